# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.deployment; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment
short_description: Begin and confirm a wave, hold or close a deployment
version_added: 0.1.0
description:
  - Keeps the ledger's record of a deployment between its steps. What Ansible believes about hosts is never taken for it.
options:
  deployment:
    description: The id of the deployment, as M(tidegate.delivery.plan) returned it.
    type: str
    required: true
  state:
    description:
      - V(wave) begins a wave. It refuses when an earlier wave has not joined, when O(nodes) are not just the planned ones
        (C(--limit) drops nodes silently), or when another deployment holds one of the nodes; then it takes the nodes' locks.
      - V(joined) asks every load balancer whether all O(nodes) are online and every node which release it serves, and records
        that the wave is done. It gives the nodes' locks back.
      - V(held) records that the wave stays where it is and why, and gives all locks back. The deployment stays open for another attempt.
      - V(left) records that a node left by hand, and gives all locks back.
      - V(repaired) records that a repair's wave is out again, and gives its nodes' locks back. It refuses for nodes that it did not take out.
      - V(closed) records that all is done, and gives all locks back. It refuses when a planned wave has not joined.
    type: str
    required: true
    choices: [wave, joined, held, left, repaired, closed]
  wave:
    description: The wave's number. Needed with O(state=wave) and O(state=joined).
    type: int
  nodes:
    description: The nodes that it concerns.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - tidegate.delivery.on_controller
  - action_common_attributes
notes:
  - Needs the pipeline on the controller (C(pip install tidegate)).
seealso:
  - module: tidegate.delivery.plan
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Begin the wave
  tidegate.delivery.deployment:
    deployment: "{{ tidegate_plan.deployment }}"
    state: wave
    wave: 1
    nodes: "{{ ansible_play_batch }}"
  run_once: true

- name: Close the deployment
  tidegate.delivery.deployment:
    deployment: "{{ tidegate_plan.deployment }}"
    state: closed
"""

RETURN = r"""
msg:
  description: What was recorded, and for a held wave why it is held and what to run next.
  type: str
  returned: always
  sample: "tradeapi 1.2.0 is held: n1 stays in the maintenance pool."
outcome:
  description: The state that was recorded.
  type: str
  returned: success
  sample: joined
folder:
  description: The deployment's folder on the controller. Empty for one that was planned by a version without folders.
  type: str
  returned: when O(state=held) or O(state=closed)
  sample: /var/lib/tidegate/deployments/prod/tradeapi-20260131-142501-7f3a
summary:
  description: What C(summary.json) in that folder holds; how it ended, where each node is, and what each wave took.
  type: dict
  returned: when O(state=held) or O(state=closed)
  contains:
    outcome:
      description: C(done), C(rolled_back), C(held), or C(stopped) when somebody asked for it.
      type: str
    cause:
      description: Why it is held; empty otherwise.
      type: str
    next:
      description: What leads on, as people are told it; empty when nothing is left to do.
      type: list
      elements: str
    nodes:
      description: Each node with C(from), C(to), C(wave), C(state) (C(joined), C(held), C(skipped), C(waiting), C(unmoved)) and C(why).
      type: list
      elements: dict
    waves:
      description:
        - Each wave of each attempt with C(wall_s), C(drain_s), C(puppet_s), C(tests_s), C(warmup_s) and C(tidegate_added_s).
        - Steps are counted by their own clocks, of several nodes the slowest.
      type: list
      elements: dict
plan:
  description: What this wave's tasks take of the recorded plan.
  type: dict
  returned: when O(state=wave)
stopped:
  description: Whether the wave is held because somebody asked to stop (SIGINT, SIGTERM, SIGHUP), and not because something failed.
  type: bool
  returned: when O(state=held)
  sample: false
"""
