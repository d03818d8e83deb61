# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.puppet_freeze; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: puppet_freeze
short_description: Hold a node's periodic Puppet run off, or let it go on
version_added: 0.1.0
description:
  - Disables the agent with a reason that names the deployment, reads back that the freeze is ours, and waits for a run in progress to end.
  - A freeze by someone else is respected. Freezing is refused then, and thawing leaves it as it is and says whose it is.
  - A freeze that an earlier deployment of the same ledger left behind is taken over without a gap. Thawing ends this deployment's own freeze only; what dead
    deployments left is ended by the playbook C(thaw.yml), whose plan names each of them.
options:
  state:
    description: Whether the agent shall be disabled.
    type: str
    choices: [frozen, thawed]
    required: true
  nodes:
    description: The nodes, all at once. The task's host, if it is left out.
    type: list
    elements: str
  wait:
    description: How long to wait for a run in progress after freezing. The node stays frozen when that time is over.
    type: str
    default: 10m
extends_documentation_fragment:
  - tidegate.delivery.on_node
  - action_common_attributes
  - tidegate.delivery.effect
  - tidegate.delivery.puppet_agent
attributes:
  check_mode:
    support: full
    details: A run in progress is not waited for.
  diff_mode:
    support: full
    details: The reason in the agent's lock file.
seealso:
  - module: tidegate.delivery.puppet_run
  - module: tidegate.delivery.puppet_pin
  - module: tidegate.delivery.puppet_freeze_info
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Keep Puppet from restarting the service while it drains
  tidegate.delivery.puppet_freeze:
    deployment: "{{ tidegate_deployment }}"
    state: frozen

- name: Let Puppet's periodic runs go on
  tidegate.delivery.puppet_freeze:
    deployment: "{{ tidegate_deployment }}"
    state: thawed
    nodes: [n1, n2]
  run_once: true
"""

RETURN = r"""
outcome:
  description: How the agent is now, V(frozen) (by whomever) or V(thawed). In check mode, how it would be.
  returned: on success
  type: str
  sample: frozen
frozen_by:
  description: The reason in the agent's lock; empty when it is enabled.
  returned: on success
  type: str
  sample: "tidegate: deployment tradeapi-20260131-142501-7f3a of tradeapi, by alice"
nodes:
  description: Each node's own result.
  returned: with O(nodes)
  type: dict
  sample: {n1: {outcome: frozen, waited_s: 0.1}, n2: {outcome: frozen, waited_s: 0.0}}
own_s:
  description: How long the node took for all of it, in seconds, for a deployment's timings.
  returned: on success
  type: float
  sample: 1.9
waited_s:
  description: How long a run in progress was waited for, in seconds.
  returned: on success
  type: float
  sample: 0.1
msg:
  description: How the agent is now; after a failure also where, and what to do next.
  returned: always
  type: str
  sample: "n1: Puppet is enabled"
"""
