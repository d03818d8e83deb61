# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.haproxy_model; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_model
short_description: Work out what a load balancer's configuration is made of
version_added: 0.1.0
description:
  - Reads the service descriptors and the inventory and returns the pools and front ends of the task's host, a load balancer, as plain values for a
    template. The role C(haproxy) has one.
  - Only pools with a C(haproxy) part in their descriptor are in it. All others were written by a person and stay so.
  - Connects to no host. It fails when anything is wrong with the catalog, since a pool that is left out would be taken away.
options:
  shared_binds:
    description: The binds of the front end that services share, as HAProxy's C(bind) takes them.
    type: list
    elements: str
    required: true
extends_documentation_fragment:
  - tidegate.delivery.on_controller
  - action_common_attributes
notes:
  - Runs on the controller and needs the pipeline there (C(pip install tidegate)).
  - Uses the inventory variables C(tidegate_environment), C(tidegate_services), C(tidegate_address) and C(tidegate_haproxy_*).
seealso:
  - module: tidegate.delivery.haproxy_config
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Work out what this load balancer has
  tidegate.delivery.haproxy_model:
    shared_binds: ["*:80", "*:443 ssl crt /etc/haproxy/certs/"]
  register: worked_out

- name: Show which backends a person writes
  ansible.builtin.debug:
    var: worked_out.by_hand
"""

RETURN = r"""
msg:
  description: How many pools are to be written.
  type: str
  returned: success
  sample: 2 pools to write on lb1; 0 backends are written by hand
model:
  description: What the template writes.
  type: dict
  returned: success
  contains:
    aims:
      description: The headers that aim a test at a node; customers' front ends delete them.
      type: list
      elements: str
    customers:
      description: The front ends for customers, with C(name), C(binds), C(routes) (the most exact first) and C(default).
      type: list
      elements: dict
    testers:
      description: The maintenance front ends, with C(name), C(backend), C(address), C(aim), C(port) and C(node_ports).
      type: list
      elements: dict
    pools:
      description: The pairs of backends, with C(online), C(maintenance), C(check), C(aim), C(served_by) and C(servers).
      type: list
      elements: dict
    nowhere:
      description: The backend of requests that no service is meant by.
      type: str
servers:
  description: Backend, server and port of each server, a line each.
  type: list
  elements: str
  returned: success
  sample: ["tradeapi_online n1 8080"]
by_hand:
  description: The backends of pools without a C(haproxy) part.
  type: list
  elements: str
  returned: success
"""
