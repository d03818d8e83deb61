# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.haproxy_config; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_config
short_description: Put HAProxy's configuration in place, and have it loaded without a lost request
version_added: 0.1.0
description:
  - Has HAProxy check the whole set of files with the new text among them. When it refuses, nothing is changed.
  - Then, under the lock that moves take too, saves the state of every backend, puts the text in place as C(tidegate.cfg) by a rename, runs the reload command
    and waits until the new worker answers. When the reload failed, the old file is put back and HAProxy goes on with what it has.
  - A server that is out of a pool stays out. One whose port changed gets the new one; HAProxy would take the old one from the saved state.
  - When nothing is to be changed, nothing is reloaded. A run that was killed before the reload is made up for by the next one.
  - Where HAProxy isn't running, the file is put in place only.
  - Runs on the controller, and needs on the load balancer what M(tidegate.delivery.haproxy_pool) needs there.
options:
  text:
    description: The configuration.
    type: str
    required: true
  servers:
    description: Backend, server and port of each server in it, as M(tidegate.delivery.haproxy_model) returns them.
    type: list
    elements: str
    required: true
  folder:
    description: The folder for the file. HAProxy must be started with C(-f) and this folder.
    type: str
    required: true
  base:
    description: The files that HAProxy is started with before that folder, written by hand.
    type: list
    elements: str
    required: true
  program:
    description: HAProxy's program.
    type: str
    required: true
  reload:
    description: The command that reloads HAProxy, and its arguments. No shell reads them.
    type: list
    elements: str
    required: true
  timeout:
    description: How many seconds the reload may take.
    type: int
    required: true
  drop_in:
    description:
      - Where to write a drop-in for HAProxy's systemd unit, with which every reload saves the states first. It calls a script beside the configuration.
      - Neither is written when it is left out.
    type: str
extends_documentation_fragment:
  - action_common_attributes
attributes:
  check_mode:
    support: full
    details: HAProxy checks the text; nothing is put in place.
  diff_mode:
    support: full
  platform:
    support: full
    details: The load balancer's host.
    platforms: posix
notes:
  - Uses the inventory variables C(tidegate_haproxy_socket), C(tidegate_haproxy_master_socket), C(tidegate_haproxy_state_dir) and C(tidegate_haproxy_lock).
seealso:
  - module: tidegate.delivery.haproxy_model
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Work out what this load balancer has
  tidegate.delivery.haproxy_model:
    shared_binds: ["*:80"]
  register: worked_out

- name: Put it in place
  tidegate.delivery.haproxy_config:
    text: "{{ lookup('ansible.builtin.template', 'tidegate.cfg.j2') }}"
    servers: "{{ worked_out.servers }}"
    folder: /etc/haproxy/conf.d
    base: [/etc/haproxy/haproxy.cfg]
    program: /usr/sbin/haproxy
    reload: [systemctl, reload, haproxy]
    timeout: 30
  vars:
    haproxy_model: "{{ worked_out.model }}"
"""

RETURN = r"""
msg:
  description: What was done.
  type: str
  returned: always
  sample: put in place and loaded
"""
