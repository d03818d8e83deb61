# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.nagios_downtime; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nagios_downtime
short_description: Open a node's downtime in Nagios when it leaves, and close it when it joins
version_added: 0.1.0
description:
  - Schedules fixed downtimes for the hosts and services that Nagios has of the nodes, or ends them, through Nagios' external command file,
    and reads them back from its state.
  - Which Nagios, which of its hosts and services and for how long is said by the service's descriptor and taken from the deployment's
    plan. Nothing is done when it names no Nagios.
  - Of a plan with C(intent=thaw), V(closed) ends the downtimes of just the dead deployments that it names, and fails when it can't.
  - Each downtime carries the deployment in its comment. Whoever else's downtime is never ended. One that an earlier deployment of the same
    service left there is taken over without a gap.
  - Opening what is open changes nothing, unless less than half of the time is left. Then it is prolonged. Closing what is not open changes nothing.
  - When Nagios can't be asked, opening fails before nodes leave, unless the descriptor says V(tell), the deployment is a rollback or the
    nodes are out already. All else goes on with a warning, RV(outcome=unknown).
options:
  state:
    description:
      - V(open) for nodes that are about to leave, V(closed) for nodes that joined.
      - V(held) for nodes of a wave that is held. Those that are out stay in downtime, and of the others it is closed.
    type: str
    choices: [open, closed, held]
    required: true
  nodes:
    description: The nodes, all at once.
    type: list
    elements: str
    required: true
extends_documentation_fragment:
  - action_common_attributes
  - tidegate.delivery.effect
attributes:
  check_mode:
    support: full
    details: Nagios is asked, which makes it save its state.
  diff_mode:
    support: full
    details: The deployment's downtimes in Nagios.
  platform:
    support: full
    platforms: posix
    details: The Nagios server, over ssh or locally.
notes:
  - The connection's user on the Nagios server must be allowed to write the command file and to read the state file (become).
  - Proved with Nagios Core 4.4.6.
seealso:
  - module: tidegate.delivery.nagios_downtime_info
  - module: tidegate.delivery.puppet_freeze
  - module: tidegate.delivery.haproxy_pool
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Tell Nagios that the wave is about to leave
  tidegate.delivery.nagios_downtime:
    deployment: "{{ tidegate_deployment }}"
    state: open
    nodes: [n1, n2]
  run_once: true

- name: Have Nagios watch them again
  tidegate.delivery.nagios_downtime:
    deployment: "{{ tidegate_deployment }}"
    state: closed
    nodes: [n1, n2]
  run_once: true
"""

RETURN = r"""
outcome:
  description:
    - V(open) when any of the nodes is in downtime of ours now, else V(closed). In check mode, how it would be.
    - V(unknown) when Nagios could not be asked, and it went on without. V(nothing_planned) when the plan names no Nagios.
  returned: on success
  type: str
  sample: open
until:
  description: When the first of the downtimes ends; empty without any.
  returned: on success
  type: str
  sample: "2026-01-31 16:25 UTC"
problem:
  description: Why Nagios could not be asked.
  returned: when outcome is unknown
  type: str
  sample: "Nagios does not run: nobody reads its command file (nagios: /var/lib/nagios4/rw/nagios.cmd). Start it, then run the same again"
nodes:
  description: Each node's own outcome.
  returned: on success
  type: dict
  sample: {n1: {outcome: open, until: "2026-01-31 16:25 UTC", changed: true}}
own_s:
  description: How long it took, in seconds.
  returned: on success, unless it went on without
  type: float
  sample: 0.4
msg:
  description: How it is now; after a failure also where, and what to do next.
  returned: always
  type: str
  sample: "Nagios on nagios: n1, n2 in downtime until 2026-01-31 16:25 UTC"
"""
