# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.haproxy_pool; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_pool
short_description: Move a wave of nodes between the online and the maintenance pool of its load balancers
version_added: 0.1.0
description:
  - Moves all O(nodes) together on all O(load_balancers) of their site, or on none. What was sent is confirmed by
    reading it back. What can't be confirmed is undone where it took,
    and what can't be undone is named with the exact command to run.
  - Leaving drains the nodes, sets MAINT, waits until no session is left (those of old HAProxy workers included, and customers whose request these
    may still give to any node) and makes the nodes ready in the maintenance pool.
  - Joining needs the maintenance entry UP on every load balancer, closes it and re-enters the online pool so that no
    customer comes before HAProxy's own health checks have passed.
  - The floor O(pools[].min_online) is checked against the live state right before a leave, and in every look while
    the nodes drain. When it breaks, the leave is undone.
  - Running it again continues where a killed run stopped, and changes nothing when the nodes are where they should be.
  - Runs on the controller. On each load balancer's host it needs socat, flock and a POSIX shell, and there the
    variables C(tidegate_haproxy_socket) (an admin socket of level admin),
    C(tidegate_haproxy_master_socket), and optionally C(tidegate_haproxy_state_dir) (a folder with one state file per
    backend, named like it) and C(tidegate_haproxy_lock).
    O(without) needs coreutils and awk too, and takes C(tidegate_haproxy_process).
  - HAProxy has no compare-and-set. Everyone who changes servers of these load balancers should hold
    C(tidegate_haproxy_lock) with flock. A batch is sent only if, under that lock,
    the servers are still as they were when it was decided.
options:
  load_balancers:
    description: Inventory names of all load balancers of the site.
    type: list
    elements: str
    required: true
  without:
    description:
      - Those of O(load_balancers) that may be down, on the operator's word. It must be what the deployment's plan says.
      - A move goes on without one only when it is proved on its host, each time right before something is written, that no HAProxy
        process is there and that nobody has its sockets open. Then the nodes move in its saved states
        (C(tidegate_haproxy_state_dir)), with which it will start. It counts for no floor.
      - One that answers, from the beginning or in the middle of the move, is moved like the others.
      - One that does neither is refused (a process is there, but can't be asked; its host can't be reached; its states aren't saved).
    type: list
    elements: str
    default: []
  nodes:
    description: The nodes that move together, by their server names in HAProxy.
    type: list
    elements: str
    required: true
  pools:
    description: The pairs of backends in which they move.
    type: list
    elements: dict
    required: true
    suboptions:
      online:
        description: The backend that customers reach.
        type: str
        required: true
      maintenance:
        description: The backend that only testers reach.
        type: str
        required: true
      min_online:
        description: How many servers must stay usable in the online backend of each load balancer, as a count or as a share of
          the configured ones such as V(60%).
        type: str
        required: true
      nodes:
        description: Those of O(nodes) that this pair concerns, where services share nodes. All of them if it is left out.
        type: list
        elements: str
      unchecked:
        description:
          - Whether servers that HAProxy doesn't check may move. With V(allow) they count as usable, and enter the online pool
            without a check of HAProxy's in between, so what proves their health before is all there is.
        type: str
        choices: [refuse, allow]
        default: refuse
  state:
    description:
      - The pool in which the nodes shall be.
      - V(repaired) takes nodes to the maintenance pool again that are out by our doing and came back, or that left only half.
        Who took them out stays who it was. It is refused for nodes that nobody of ours took, and brings nothing in, also when it is given up.
    type: str
    choices: [online, maintenance, repaired]
    required: true
  drain:
    description: How long customers' requests may take to end when nodes leave.
    type: dict
    default: {}
    suboptions:
      soft:
        description:
          - Until then only new customers are kept away, so that requests end where they are. MAINT comes when none is left, or when this is over.
          - With O(drain.sticky=wait) MAINT never comes before.
        type: str
        default: 30s
      hard:
        description: Until then, counted from the beginning, sessions may last.
        type: str
        default: 2m
      at_hard:
        description: Whether sessions that are left then fail the leave, which is undone, or are cut and counted.
        type: str
        choices: [fail, cut]
        default: fail
      sticky:
        description:
          - What becomes of customers whom a persistence cookie or a stick table holds to a node that leaves. V(move) gives them to another node as
            soon as no request is in flight on theirs; V(wait) lets them come back until O(drain.soft) is over. After that MAINT moves them, too.
          - Neither fails a request. With V(wait) each leave takes at least O(drain.soft), since no load balancer tells who still holds a cookie.
        type: str
        choices: [move, wait]
        default: move
  join_timeout:
    description: How long nodes may take to be UP, first in the maintenance pool, then in the online pool. Longer means they leave again.
    type: str
    default: 1m
  lock_timeout:
    description: How long to wait for the lock on a load balancer's host.
    type: str
    default: 30s
  answer_timeout:
    description: How long a load balancer that stops answering in the middle of a move is asked again before the others are undone.
    type: str
    default: 20s
extends_documentation_fragment:
  - action_common_attributes
  - tidegate.delivery.effect
attributes:
  check_mode:
    support: full
    details: Says what it would change, from the load balancers' live state, and refuses what it would refuse.
  diff_mode:
    support: full
    details: Shows each node's place on each load balancer before and after.
  platform:
    support: full
    details: The load balancers' hosts.
    platforms: posix
seealso:
  - module: tidegate.delivery.haproxy_info
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Take a wave of two nodes out of the online pool, keeping 60 % usable
  tidegate.delivery.haproxy_pool:
    deployment: "{{ tidegate_plan.deployment }}"
    state: maintenance
    load_balancers: [lb1, lb2]
    nodes: [n1, n2]
    pools:
      - {online: tradeapi_online, maintenance: tradeapi_maintenance, min_online: 60%}
    drain: {soft: 30s, hard: 2m, at_hard: fail, sticky: move}
  run_once: true

- name: Let a node with two services join, the second of which lives on this node only
  tidegate.delivery.haproxy_pool:
    deployment: "{{ tidegate_plan.deployment }}"
    state: online
    load_balancers: "{{ groups['edge'] }}"
    nodes: [n5, n6]
    pools:
      - {online: tradeapi_online, maintenance: tradeapi_maintenance, min_online: 60%}
      - {online: pricefeed_online, maintenance: pricefeed_maintenance, min_online: "1", nodes: [n6]}
    join_timeout: 1m
  run_once: true

- name: Take a node out while the second load balancer is down, as the plan of this deployment says
  tidegate.delivery.haproxy_pool:
    deployment: "{{ tidegate_plan.deployment }}"
    state: maintenance
    load_balancers: [lb1, lb2]
    without: [lb2]
    nodes: [n1]
    pools:
      - {online: tradeapi_online, maintenance: tradeapi_maintenance, min_online: 60%}
  run_once: true
"""

RETURN = r"""
msg:
  description: What was done, in one sentence.
  returned: always
  type: str
  sample: "n1, n2 are in the maintenance pool on lb1, lb2; drained in 5.2 s, 0 sessions cut"
cells:
  description:
    - Where each node was and is, per load balancer and pool. C(ON), C(RISING) (ready, not UP), C(DRAIN), C(OUT) (in
      neither pool), C(TEST) (in maintenance), C(BOTH), C(ODD).
    - In check mode C(after) is what it would be.
  returned: success
  type: list
  elements: dict
  sample: [{"node": "n1", "load_balancer": "lb1", "pool": "tradeapi_online", "before": "ON", "after": "TEST"}]
places:
  description: The same as C(cells), one line for each; this is what the ledger keeps.
  returned: success
  type: list
  elements: str
  sample: ["n1 in tradeapi_online on lb1: ON -> TEST"]
drained_seconds:
  description: Per node that left, the seconds until its last customer's request had ended and no more could come.
  returned: success
  type: dict
  sample: {"n1": 5.2, "n2": 0.3}
own_s:
  description: The step's own seconds in a deployment's timings. For a leave the longest drain, for a join from the first look until all is UP.
  returned: success
  type: float
  sample: 5.2
left_out:
  description: Each load balancer that was down when the move ended, with what proved that it carries no traffic.
  returned: success
  type: list
  elements: str
  sample: ["lb2: no HAProxy process, and nobody has /run/haproxy/admin.sock or /run/haproxy-master.sock open"]
back:
  description: Those of O(without) that answered when the move ended, and were moved like the others.
  returned: success
  type: list
  elements: str
  sample: []
sessions_cut:
  description: Per node, the sessions that were cut at the hard deadline.
  returned: success
  type: dict
  sample: {}
sessions_cut_total:
  description: How many sessions were cut, of all nodes together.
  returned: success
  type: int
  sample: 0
commands:
  description: Per load balancer, the commands that were sent.
  returned: success
  type: dict
  sample: {"lb1": ["set server tradeapi_online/n1 state drain", "set server tradeapi_online/n1 state maint"]}
"""
