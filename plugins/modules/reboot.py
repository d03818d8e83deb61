# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.reboot; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: reboot
short_description: Reboot a node that asks for it
version_added: 0.1.0
description:
  - Looks whether a reboot is pending and, if so, reboots the node and waits until it tells another boot id.
  - Pending is what C(/run/reboot-required) says (Debian and Ubuntu write it; elsewhere a package hook or Puppet can), and a
    shutdown that systemd has scheduled, as Puppet's C(reboot) type makes it. On Windows it is what servicing or Windows Update keep in the registry.
  - Refused unless the deployment's plan says C(reboot=if_pending), which the descriptor's C(deploy.reboot) does, and unless the node has left.
    A plan is refused where another service on the node would be touched and isn't named in C(moves_with).
  - A node that no longer answers is waited for. The boot that is to end is recorded before. When the controller is killed, the deployment's next attempt
    waits until that node is in another boot, before it plans anything.
  - On Windows it needs C(wmic.exe), which Windows Server 2025 has only when it was added.
options:
  timeout:
    description: How long the node may take to go and to come back.
    type: str
    default: 10m
extends_documentation_fragment:
  - tidegate.delivery.on_node
  - action_common_attributes
  - tidegate.delivery.effect
attributes:
  check_mode:
    support: full
    details: Says whether it would be rebooted.
  diff_mode:
    support: none
seealso:
  - module: tidegate.delivery.puppet_run
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Reboot the node if Puppet left it so that it must be
  tidegate.delivery.reboot:
    deployment: "{{ tidegate_deployment }}"
    timeout: 20m
"""

RETURN = r"""
outcome:
  description: V(rebooted), V(not_pending), or in check mode V(would_reboot).
  returned: success
  type: str
  sample: rebooted
msg:
  description: What happened; after a failure also where, and what to do next.
  returned: always
  type: str
  sample: "n1: it was rebooted: /run/reboot-required is there, because of linux-image-6.1.0-28-amd64"
pending:
  description: Why a reboot was pending; empty when none was.
  returned: success
  type: str
  sample: /run/reboot-required is there, because of linux-image-6.1.0-28-amd64
boot_before:
  description: The node's boot id before, from C(/proc/sys/kernel/random/boot_id). On Windows the time of its last boot, as WMI writes it.
  returned: success
  type: str
  sample: 5cf92ad8-8b4d-4a2f-9a1b-0d0e5cf8e1c3
boot_after:
  description: The boot id afterwards.
  returned: success, unless in check mode
  type: str
  sample: 91f0c2b4-3f0e-4f0a-8a57-5a3fb8e0d7aa
own_s:
  description: Seconds from asking for the reboot to the first answer of the new boot.
  returned: when it was rebooted
  type: float
  sample: 74.2
"""
