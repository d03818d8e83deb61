# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.haproxy_check; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_check
short_description: Tell what existing HAProxy configurations lack for moves
version_added: 0.1.0
description:
  - Asks every load balancer of the catalog and tells all that would keep nodes from moving. Backends and servers that are missing, names that differ between
    load balancers, servers without checks, C(agent-check), C(track), old workers that can't be asked, state files that are missing, rights of the admin socket,
    and backends of no descriptor by which customers may reach the same nodes.
  - What it says of pools is what M(tidegate.delivery.plan) refuses for. It changes nothing, and takes no lock.
  - It succeeds also when there are problems, so that all of them can be shown. C(playbooks/haproxy.yml -e adopt=true) fails then.
  - A backend of no descriptor that has several of a pool's nodes may be meant so, for instance for testers. It is a remark (kind C(elsewhere)),
    and RV(remarks) alone do not fail the playbook.
options:
  service:
    description: The one service to look at. All services when it is left out.
    type: str
extends_documentation_fragment:
  - tidegate.delivery.on_controller
  - action_common_attributes
notes:
  - Runs on the controller and needs the pipeline there (C(pip install tidegate)).
  - Whether HAProxy reads the state files is looked for in the files that it was started with, not for each backend. It says so in its log when it doesn't.
seealso:
  - module: tidegate.delivery.haproxy_info
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: See whether HAProxy is fit for moves
  tidegate.delivery.haproxy_check:
  register: found

- name: Show what is missing
  ansible.builtin.debug:
    msg: "{{ found.table }}"
"""

RETURN = r"""
msg:
  description: How many problems and remarks there are.
  type: str
  returned: success
  sample: "2 services on 2 load balancers: fit for moves"
problems:
  description:
    - All that is missing, with C(problem), C(remedy), and for programs C(kind), which stays the same when the words change.
      C(kind) is empty for a load balancer that does not answer.
  type: list
  elements: dict
  returned: success
  sample:
    - problem: "load balancer lb1: tradeapi_online/n1 has an agent-check, which undoes drain and maint"
      remedy: Remove agent-check from this server
      kind: agent_check
remarks:
  description: What may be meant as it is, with the same values as RV(problems). Every C(kind) is C(elsewhere).
  type: list
  elements: dict
  returned: success
  sample:
    - problem: "load balancer lb1: legacy has n1, n2 of tradeapi_online too: customers who come by it reach them when they have left"
      remedy: Name it among the pools of the descriptor; where no customer comes by it, it can stay as it is
      kind: elsewhere
table:
  description: The problems and remarks as people read them, and RV(msg).
  type: list
  elements: str
  returned: success
"""
