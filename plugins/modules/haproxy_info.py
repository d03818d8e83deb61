# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.haproxy_info; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_info
short_description: Show what the load balancers say about their servers
version_added: 0.1.0
description:
  - Reads every server's state from several HAProxy at once, through their admin and master sockets on their own hosts. Changes nothing and takes no lock.
  - Runs on the controller, and needs what M(tidegate.delivery.haproxy_pool) needs on the load balancers' hosts.
options:
  load_balancers:
    description: Inventory names of the load balancers.
    type: list
    elements: str
    required: true
  pools:
    description: The pairs of backends to show. All backends, without cells, if it is left out.
    type: list
    elements: dict
    default: []
    suboptions:
      online:
        description: The backend that customers reach.
        type: str
        required: true
      maintenance:
        description: The backend that only testers reach.
        type: str
        required: true
extends_documentation_fragment:
  - action_common_attributes
attributes:
  check_mode:
    support: full
    details: Reads only.
  diff_mode:
    support: none
    details: Nothing changes.
  platform:
    support: full
    details: The load balancers' hosts.
    platforms: posix
seealso:
  - module: tidegate.delivery.haproxy_pool
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Show where every node of a service is
  tidegate.delivery.haproxy_info:
    load_balancers: "{{ groups['edge'] }}"
    pools:
      - {online: tradeapi_online, maintenance: tradeapi_maintenance}
  register: pools
  delegate_to: localhost

- name: Show all backends of one load balancer
  tidegate.delivery.haproxy_info:
    load_balancers: [lb1]
  register: everything
"""

RETURN = r"""
load_balancers:
  description: What each load balancer that answered shows.
  returned: always
  type: dict
  contains:
    version:
      description: HAProxy's version.
      type: str
      sample: 2.6.12-1+deb12u4
    pid:
      description: The current worker.
      type: int
      sample: 4711
    uptime:
      description: The current worker's age in seconds.
      type: int
      sample: 86400
    failed_reloads:
      description: Reloads that failed since the last one that succeeded.
      type: int
      sample: 0
    old_workers:
      description: Workers that a reload replaced and that still serve, and whether they answer.
      type: list
      elements: dict
      sample: [{"pid": 4242, "answers": true}]
    missing_backends:
      description: Backends that were asked for and don't exist.
      type: list
      elements: str
      sample: []
    backends:
      description:
        - By backend and server name. C(admin) holds the names of the administrative bits, C(op) is 0 stopped, 1 starting, 2 running, 3 stopping.
        - C(usable) tells whether customers are sent there without doubt. C(sessions) includes old workers that answer.
        - C(cell) is the node's place as M(tidegate.delivery.haproxy_pool) names it, for servers of an online backend in O(pools).
      type: dict
      sample:
        tradeapi_online:
          n1:
            {"status": "UP", "admin": [], "op": 2, "weight": 1, "sessions": 3, "queue": 0, "checked": true,
             "usable": true, "address": "192.0.2.11:8080", "cell": "ON"}
unanswered:
  description: Load balancers that did not answer, with the reason.
  returned: always
  type: dict
  sample: {"lb2": "there is no socket /run/haproxy/admin.sock (load balancer lb2). Start HAProxy, or correct tidegate_haproxy_*"}
"""
