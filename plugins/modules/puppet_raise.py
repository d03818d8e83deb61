# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.puppet_raise; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: puppet_raise
short_description: Have the common value raised where it lives, and wait until it is served
version_added: 0.1.0
description:
  - For sites whose common values are in the control repository, and change by merge request. C(tidegate_raise_command) opens it.
  - Asks each compile server, with C(puppet lookup), what it would give each of O(nodes) if it had no pin. When that is O(values) already, the
    command is not run.
  - When the value is not served within O(wait), the step fails and the deployment is held. The pins stay. Running the same deployment again,
    when the request was merged and the servers have it, finishes it.
options:
  servers:
    description: The compile servers, by their inventory names. All of them are asked.
    type: list
    elements: str
    required: true
  nodes:
    description: The nodes whose pins go afterwards, by their inventory names.
    type: list
    elements: str
    required: true
  values:
    description: Puppet's keys and their values.
    type: dict
    required: true
  wait:
    description: How long to wait for the merge, after the command has ended.
    type: str
    default: 0s
extends_documentation_fragment:
  - action_common_attributes
  - tidegate.delivery.effect
  - tidegate.delivery.on_controller
notes:
  - The command gets a JSON document on standard input with C(deployment), C(service), C(environment), C(kind), C(version) and C(values). The last
    line that it says, such as the address of the merge request, is recorded. It is run again with the same C(deployment) when an attempt was cut off
    or the value is not served yet, so it must find its own request again.
  - Uses the inventory variables C(tidegate_raise_command), C(tidegate_puppet_facts), C(tidegate_puppet_environment), C(tidegate_puppet_confdir),
    C(tidegate_certname) and C(tidegate_rollout_dir).
seealso:
  - module: tidegate.delivery.puppet_pin
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Have the release made the common one
  tidegate.delivery.puppet_raise:
    deployment: "{{ tidegate_deployment }}"
    servers: "{{ groups.puppetservers }}"
    nodes: [n1, n2]
    values: {tradeapi::version: 1.1.0}
    wait: 10m
"""

RETURN = r"""
outcome:
  description: V(served) when nothing needed to be raised, V(raised) when it was asked for and is served now.
  returned: on success
  type: str
  sample: raised
msg:
  description: What holds now; after a failure also where, and what to do next.
  returned: always
  type: str
  sample: "tradeapi::version: 1.1.0 is raised and served"
values:
  description: The values, as texts.
  returned: on success
  type: dict
  sample: {"tradeapi::version": 1.1.0}
request:
  description: The last line that the command said.
  returned: on success
  type: str
  sample: https://git.example.org/puppet/control/merge_requests/12
"""
