# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.catalog_info; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: catalog_info
short_description: Check every service descriptor, and what the inventory offers for it
version_added: 0.1.0
description:
  - Reads every file in the folder of descriptors and tells all that is wrong with each, in every environment. One bad file hides no other.
  - Compares the sound ones with each other and with the inventory. Tells of groups that are unknown or empty, nodes in two sites or hosting a service
    that doesn't move with this one, services that are named in C(moves_with) and don't exist, backends and Hiera keys that two services take
    for theirs, a floor that never lets a node leave, missing C(tidegate_*) variables, and hosts of another environment.
  - Connects to no host and opens no ledger. What HAProxy and Puppet have is for M(tidegate.delivery.plan) to see.
  - It succeeds also when there are problems, so that all of them can be shown. C(playbooks/validate.yml) fails then.
options:
  folder:
    description: The folder with the descriptors. C(tidegate_services) when it is left out.
    type: path
extends_documentation_fragment:
  - tidegate.delivery.on_controller
  - action_common_attributes
notes:
  - Runs on the controller and needs the pipeline there (C(pip install tidegate)).
  - Uses the inventory variables C(tidegate_environment) and C(tidegate_services).
seealso:
  - module: tidegate.delivery.plan
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Check the whole catalog
  tidegate.delivery.catalog_info:
  register: catalog

- name: Check a checkout of the catalog before it is merged
  tidegate.delivery.catalog_info:
    folder: /srv/checkout/services

- name: Stop when something is wrong with it
  ansible.builtin.assert:
    that: not catalog.problems
    fail_msg: "{{ catalog.msg }}"
"""

RETURN = r"""
msg:
  description: How many services and problems there are.
  type: str
  returned: always
  sample: "80 services: 3 problems in 2 places"
notices:
  description: Quarantines of tests that are over, or end within 14 days; they are no problems.
  returned: always
  type: list
  elements: str
  sample: ["tradeapi: quarantine of S.Quotes.IsFast ends in 3 days, on 2026-02-03 (TRADE-117)"]
problems:
  description: All that is wrong; empty when nothing is.
  type: list
  elements: dict
  returned: success
  contains:
    file:
      description: The descriptor, or V(inventory).
      type: str
      sample: services/tradeapi.yml
    key:
      description: The place in it, down from the top; for the inventory the host and its variable.
      type: str
      sample: environments.prod.min_online
    problem:
      description: What is wrong, and what was found there.
      type: str
      sample: "'160%' is neither a count of nodes nor a share from 0% to 100%; found '160%'"
    remedy:
      description: What to do about it.
      type: str
services:
  description: Every descriptor, in the order of their names.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The file's name, which is the service's.
      type: str
    file:
      description: The file.
      type: str
    sound:
      description: Whether the file itself is without problems.
      type: bool
    sites:
      description: The sites of a sound one, with C(name), C(nodes) and C(load_balancers) as hosts.
      type: list
      elements: dict
    moves_with:
      description: The services that move with it.
      type: list
      elements: str
table:
  description: The problems as people read them, by file, and RV(msg).
  type: list
  elements: str
  returned: success
"""
