# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.nagios_downtime_info; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nagios_downtime_info
short_description: Show the downtimes that deployments have open in Nagios, and what dead ones left
version_added: 0.1.0
description:
  - Asks the Nagios that the service's descriptor names, or those of all services, for the downtimes whose comment names a deployment, and the
    ledger about that deployment and the node.
  - Nobody else's downtimes are told. Changes nothing, except that Nagios is made to save its state, and takes no lock.
  - M(tidegate.delivery.plan) with C(intent=thaw) ends what is left.
options:
  service:
    description: The service's name. All services when it is left out.
    type: str
extends_documentation_fragment:
  - tidegate.delivery.on_controller
  - action_common_attributes
notes:
  - Runs on the controller and needs the pipeline there (C(pip install tidegate)).
  - Uses the inventory variables C(tidegate_environment), C(tidegate_ledger), C(tidegate_services), of nodes C(tidegate_nagios_host), and of the
    Nagios server C(tidegate_nagios_config).
seealso:
  - module: tidegate.delivery.nagios_downtime
  - module: tidegate.delivery.puppet_freeze_info
  - module: tidegate.delivery.plan
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Show the downtimes of our deployments
  tidegate.delivery.nagios_downtime_info:
  register: seen

- name: Fail when a dead deployment left one
  ansible.builtin.assert:
    that: seen.downtimes | selectattr('whose', 'equalto', 'left') | length == 0
    fail_msg: "{{ seen.msg }}"
"""

RETURN = r"""
msg:
  description: What deployments of this ledger left and nobody will end before its time, in a few words; empty when there is nothing.
  returned: success
  type: str
  sample: "left in downtime: 1 node: n3"
table:
  description: The same as RV(downtimes) as people read it.
  returned: success
  type: list
  elements: str
  sample:
    - "n3 (tradeapi): in downtime in Nagios until 2026-01-31 16:25 UTC (host, disk), by deployment tradeapi-20260131-142501-7f3a"
    - "  that deployment is done, and the node is not out"
    - "  next: tidegate frozen tradeapi --thaw"
problems:
  description: Why services can't be looked at.
  returned: success
  type: list
  elements: str
  sample: []
downtimes:
  description: Each deployment's downtimes of a node, and each Nagios that can't be asked.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: The node; empty for a Nagios that can't be asked.
      type: str
    whose:
      description:
        - V(left) by a deployment that is over while the node is not out, V(open) by one that is open or held, V(out), the deployment is over and the
          node is out by our doing, V(unknown) by a deployment that this ledger doesn't know, or V(silent), Nagios can't be asked.
      type: str
    server:
      description: The inventory's host on which that Nagios runs.
      type: str
    host:
      description: What Nagios calls the node.
      type: str
    service:
      description: The service of the deployment.
      type: str
    deployment:
      description: The deployment that the comment names.
      type: str
    covers:
      description: Which of Nagios' services are in downtime, with V(host) for the host itself.
      type: list
      elements: str
    until:
      description: When the last of them ends.
      type: str
    why:
      description: Why it is so, or why Nagios can't be asked.
      type: str
    next:
      description: What leads on.
      type: str
"""
