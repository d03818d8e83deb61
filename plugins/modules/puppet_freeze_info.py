# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.puppet_freeze_info; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: puppet_freeze_info
short_description: Show where Puppet is disabled, and what dead deployments left so
version_added: 0.1.0
description:
  - Asks every node of a service, or of all services, whether its Puppet agent is disabled, and the ledger about the deployment that the reason names.
  - Of services with C(deploy.puppet.open_key) it asks the compile servers as well on which nodes that key stands. Where it does, a merge changes the
    service at once.
  - Changes nothing and takes no lock. M(tidegate.delivery.plan) with C(intent=thaw) thaws what is left.
options:
  service:
    description: The service's name. All services when it is left out.
    type: str
extends_documentation_fragment:
  - tidegate.delivery.on_controller
  - action_common_attributes
notes:
  - Runs on the controller and needs the pipeline there (C(pip install tidegate)).
  - Uses the inventory variables C(tidegate_environment), C(tidegate_ledger), C(tidegate_services), for each node C(tidegate_puppet_confdir) and
    C(tidegate_certname), for each compile server C(tidegate_rollout_dir).
seealso:
  - module: tidegate.delivery.puppet_freeze
  - module: tidegate.delivery.plan
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Show where Puppet is disabled
  tidegate.delivery.puppet_freeze_info:
  register: seen

- name: Fail when a dead deployment left a node frozen
  ansible.builtin.assert:
    that: seen.frozen | selectattr('whose', 'equalto', 'left') | length == 0
    fail_msg: "{{ seen.msg }}"
"""

RETURN = r"""
msg:
  description: What deployments of this ledger left and nobody will thaw or take back by itself, in a few words; empty when there is nothing.
  returned: success
  type: str
  sample: "left frozen on 1 node: n3"
problems:
  description: Why services can't be looked at. Their nodes are not asked.
  returned: success
  type: list
  elements: str
  sample: []
table:
  description: The same as RV(frozen), RV(open) and RV(problems) as people read it.
  returned: success
  type: list
  elements: str
  sample:
    - "n3 (tradeapi): tidegate: deployment tradeapi-20260131-142501-7f3a of tradeapi, by alice"
    - "  that deployment is superseded"
    - "  next: tidegate frozen tradeapi --thaw"
frozen:
  description: Each node on which Puppet is disabled, or that can't be asked.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: The node.
      type: str
    whose:
      description:
        - V(left) by a deployment that is over or held, V(open) by one that is still under way or waits to go on, V(unknown) by a deployment that this
          ledger doesn't know, V(foreign) by somebody else, or V(silent), the node can't be asked.
      type: str
    services:
      description: The services on it that were asked for.
      type: list
      elements: str
    reason:
      description: The reason in the agent's lock.
      type: str
    deployment:
      description: The deployment that the reason names; empty when it isn't ours.
      type: str
    why:
      description: Why it is so, or why the node can't be asked.
      type: str
    next:
      description: What leads on.
      type: str
open:
  description: Each node on which Puppet may change a service outside of its deployments, and each compile server that can't be asked.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: The node; empty when a compile server can't be asked.
      type: str
    whose:
      description: As in RV(frozen).
      type: str
    service:
      description: The service.
      type: str
    key:
      description: Its C(deploy.puppet.open_key).
      type: str
    where:
      description: The file that has the key, and on which server.
      type: str
    deployment:
      description: The deployment that set it; empty when it isn't ours.
      type: str
    why:
      description: Why it is so, or why the server can't be asked.
      type: str
    next:
      description: What leads on.
      type: str
"""
