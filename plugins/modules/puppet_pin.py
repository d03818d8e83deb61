# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.puppet_pin; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: puppet_pin
short_description: Pin Puppet values for single nodes, and raise the common ones
version_added: 0.1.0
description:
  - Edits files of a global Hiera layer on the compile servers, C(nodes/<certname>.yaml) for pins and C(common.yaml)
    for the values of all other nodes, below the rollout folder. With O(place=fact) pins are in an external fact on each node instead.
  - Every file is written on every server (or node) or on none, in one rename, and read back. Other keys and people's comments stay.
  - A comment in the file says which deployment set which key. A value that a person or an unfinished deployment set
    is theirs. Setting another one is refused, and removing leaves it.
  - A server that caches its environments (C(environment_timeout = unlimited)) reads these files again all the same when they change.
  - With O(state=absent) pins go only when the common value was raised in the same attempt of the deployment.
options:
  state:
    description:
      - V(pinned), O(values) hold for O(nodes).
      - V(absent), the keys of O(values) are no longer pinned for O(nodes). A file without a value left is removed.
      - V(sealed), the keys of O(values) are no longer pinned for O(nodes), of a wave that goes on. For the key that lets Puppet change the service
        (C(deploy.puppet.open_key)), before its nodes join.
      - V(raised), O(values) hold for all nodes without a pin.
    type: str
    choices: [pinned, absent, sealed, raised]
    default: pinned
  servers:
    description: The compile servers, by their inventory names. All of them serve the same nodes. Needed unless O(place=fact).
    type: list
    elements: str
  place:
    description:
      - Where the pins of O(nodes) are.
      - V(hiera), in files on every compile server. The node can't change its own pin, and needs not be reachable.
      - V(fact), in the file C(tidegate_pins.yaml) among the external facts of each node, in the fact C(tidegate_pins). Hiera takes it through
        C(tidegate::pinned_by_the_node) of Tidegate's Puppet module. Whoever is root on the node can set it, and the node must be reachable.
        The folder is the host's variable C(tidegate_facts_dir), by default Facter's own.
    type: str
    choices: [hiera, fact]
    default: hiera
  nodes:
    description:
      - The nodes, by their inventory names. Their certificate's name is the host's variable C(tidegate_certname), by default the inventory name.
      - Needed unless O(state=raised).
    type: list
    elements: str
  values:
    description: Puppet's keys and their values. With O(state=absent) only the keys count.
    type: dict
    required: true
extends_documentation_fragment:
  - action_common_attributes
  - tidegate.delivery.effect
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: The files on each server.
  platform:
    support: full
    platforms: posix, windows
    details: The servers, over ssh or locally, and with O(place=fact) the nodes, over WinRM as well. They need coreutils and C(flock), on Windows tar.
seealso:
  - module: tidegate.delivery.puppet_run
  - module: tidegate.delivery.puppet_freeze
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: The wave's nodes shall run the new release
  tidegate.delivery.puppet_pin:
    deployment: "{{ tidegate_deployment }}"
    servers: "{{ groups.puppetservers }}"
    nodes: [n1, n2]
    values:
      tradeapi::version: 1.1.0
      tradeapi::digest: "{{ tidegate_digest }}"
  run_once: true

- name: The same where only the nodes can be reached
  tidegate.delivery.puppet_pin:
    deployment: "{{ tidegate_deployment }}"
    place: fact
    nodes: [n1, n2]
    values: {tradeapi::version: 1.1.0}
  run_once: true

- name: All nodes shall run it
  tidegate.delivery.puppet_pin:
    deployment: "{{ tidegate_deployment }}"
    state: raised
    servers: "{{ groups.puppetservers }}"
    values: {tradeapi::version: 1.1.0}
  run_once: true

- name: So that the pins can go
  tidegate.delivery.puppet_pin:
    deployment: "{{ tidegate_deployment }}"
    state: absent
    servers: "{{ groups.puppetservers }}"
    nodes: [n1, n2]
    values: {tradeapi::version: 1.1.0}
  run_once: true
"""

RETURN = r"""
outcome:
  description: The O(state) that is reached. In check mode, that would be.
  returned: on success
  type: str
  sample: pinned
msg:
  description: What holds now; after a failure also where, and what to do next.
  returned: always
  type: str
  sample: "tradeapi::version: 1.1.0 pinned on puppet (2 of 2 files changed)"
values:
  description: The values, as texts.
  returned: on success
  type: dict
  sample: {"tradeapi::version": 1.1.0}
files:
  description: The files that changed.
  returned: on success
  type: list
  elements: str
  sample: ["puppet: /etc/puppetlabs/rollout/nodes/n1.example.org.yaml"]
kept:
  description: With O(state=absent), pins that someone else set and that stay.
  returned: on success
  type: list
  elements: str
  sample: []
"""
