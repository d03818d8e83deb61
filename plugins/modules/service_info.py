# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.service_info; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_info
short_description: Show where every node of a service is, what it serves and who holds what
version_added: 0.1.0
description:
  - Asks every load balancer and node of one service, or of all in the catalog, and the ledger. Changes nothing and takes no lock.
  - A load balancer or node that doesn't answer is shown as such.
  - Tells drift, which is every node that is not where the ledger explains it to be. Who is moved by somebody right now is not judged.
options:
  service:
    description: The service's name. All services of the catalog when it is left out.
    type: str
  view:
    description:
      - V(status) asks load balancers, nodes and ledger, and RV(table) has what nodes serve and who holds what.
      - V(pools) asks load balancers and the ledger alone, and RV(table) has the pools with their sessions. While a deployment is open,
        nodes that are online and have not joined with its release are asked for theirs.
    type: str
    choices: [status, pools]
    default: status
extends_documentation_fragment:
  - tidegate.delivery.on_controller
  - action_common_attributes
notes:
  - Runs on the controller and needs the pipeline there (C(pip install tidegate)).
seealso:
  - module: tidegate.delivery.plan
  - module: tidegate.delivery.haproxy_info
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Show one service
  tidegate.delivery.service_info:
    service: tradeapi
  register: status

- name: Show the pools of all services without asking a node
  tidegate.delivery.service_info:
    view: pools
  register: seen

- name: Name the nodes that are not online on every load balancer
  ansible.builtin.debug:
    msg: "{{ seen.pools | map(attribute='nodes') | flatten | rejectattr('place', 'eq', 'online') | map(attribute='name') | unique }}"
"""

RETURN = r"""
services:
  description: By service, its nodes, its open deployment and the last one that was done.
  type: dict
  returned: success and O(view=status)
  contains:
    nodes:
      description:
        - By node, the release it serves and the configuration's revision it joined with, its place on each load balancer, who took it out and who
          froze it.
      type: dict
    silent_load_balancers:
      description: By load balancer that didn't answer, why.
      type: dict
    under_way:
      description: The open or held deployment; empty when there is none.
      type: dict
    last_done:
      description: The deployment or rollback that was done last.
      type: dict
locks:
  description: Who holds which lock, since when, doing what.
  type: list
  elements: dict
  returned: success and O(view=status)
ledger:
  description: Whether the environment's chain of entries is intact, and up to which one.
  type: str
  returned: success and O(view=status)
pools:
  description: Every pool of every service, once for each load balancer.
  type: list
  elements: dict
  returned: success
  contains:
    service:
      description: The service.
      type: str
    site:
      description: The site.
      type: str
    load_balancer:
      description: The load balancer.
      type: str
    online:
      description: The backend that customers use.
      type: str
    maintenance:
      description: The backend for testers.
      type: str
    min_online:
      description: What the descriptor asks for.
      type: str
    floor:
      description: How many usable servers that is here; null when the load balancer didn't answer.
      type: int
    configured:
      description: How many servers the online backend lists; null when the load balancer didn't answer.
      type: int
    usable:
      description: How many of them customers can use right now; null when the load balancer didn't answer.
      type: int
    problem:
      description: Why the load balancer didn't answer; empty when it did.
      type: str
    nodes:
      description:
        - The service's nodes with C(name), C(place), C(taken_by) (who took it out through Tidegate) and for each of C(online) and C(maintenance)
          its entry there with C(status), C(admin), C(weight) and C(sessions); null where there is none.
      type: list
      elements: dict
drift:
  description: Every node of a pool that is not where the ledger explains it to be; the same on several load balancers is told once.
  type: list
  elements: dict
  returned: success
  contains:
    what:
      description:
        - Of nodes that we took out, V(returned) (customers reach it), V(displaced) (out, but not where a leave ends), V(half_left) and V(half_joined)
          (a move whose run is dead), V(forgotten) (its deployment ended without it).
        - V(unproven) is online and serves the open deployment's release without having joined with it.
        - Of nodes that nobody of ours took, V(foreign) is out everywhere, V(new) as well and no move of ours ever named it, V(differs) is out on some
          load balancers only.
        - V(drained) (and left so), V(both) (in both pools) and V(odd) (tracked, unresolved, drained in maintenance) may be anybody's.
      type: str
    service:
      description: The service.
      type: str
    site:
      description: The site.
      type: str
    pool:
      description: The backend that customers use.
      type: str
    node:
      description: The node.
      type: str
    load_balancers:
      description: Where.
      type: list
      elements: str
    why:
      description: Why it most likely is.
      type: str
    next:
      description: The command to run next.
      type: str
    taken_by:
      description: Who took it out through Tidegate; empty when nobody did.
      type: str
    repairable:
      description: Whether M(tidegate.delivery.plan) with C(intent=repair) takes it out again.
      type: bool
not_judged:
  description: The nodes that somebody moved while this looked.
  type: list
  elements: str
  returned: success
msg:
  description: How much drift there is; empty when there is none.
  type: str
  returned: success
  sample: "drift of 1 node: n3"
table:
  description: The same as people read it.
  type: list
  elements: str
  returned: success
"""
