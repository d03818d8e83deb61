# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.puppet_run; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: puppet_run
short_description: Run Puppet once on a node and judge the run by its report
version_added: 0.1.0
description:
  - Starts one run of the agent, detached from the connection, and waits for its end. A dropped connection or a killed controller does not end it.
  - A run of the same deployment that still goes on is adopted. One of this very attempt that has ended is judged and not run again.
  - The outcome is decided from the exit code and the report, and a report counts only if it carries the run's own job id.
  - Passes a freeze of Tidegate's own. If someone else disabled the agent, nothing is run.
  - Puppet falls back to no cached catalog. Whether the service serves what was deployed is for M(tidegate.delivery.health_check) to prove.
  - The node needs a POSIX shell, coreutils, C(setsid), Linux's C(/proc) and Puppet 7 or later, but no Python.
options:
  timeout:
    description: How long the run may take. The node itself ends a longer one, first with SIGTERM, ten seconds later with SIGKILL.
    type: str
    default: 15m
  wait_for_lock:
    description: How long a run in progress that isn't ours is waited for before ours begins.
    type: str
    default: 2m
  interval:
    description: How often the wait says that it goes on. The run's end is noticed at once.
    type: str
    default: 30s
  environment:
    description:
      - Run in this Puppet environment, and fail unless the run used it.
      - It is no pin, since the next periodic run does not know it.
    type: str
  reboot:
    description:
      - What a reboot means that is pending after a good run (see M(tidegate.delivery.reboot)).
      - V(ignore) only tells it. V(hold) fails with outcome V(reboot_pending). V(if_pending) leaves it to the task after.
      - A reboot that systemd has scheduled already fails with V(ignore) too, since the node goes down by itself.
    type: str
    choices: [ignore, hold, if_pending]
    default: ignore
  job:
    description: A suffix of the job id, for a second run in the same attempt.
    type: str
extends_documentation_fragment:
  - tidegate.delivery.on_node
  - action_common_attributes
  - tidegate.delivery.effect
  - tidegate.delivery.puppet_agent
attributes:
  check_mode:
    support: full
    details: Says that it would run, or that someone disabled the agent. Puppet's own noop mode is not used.
  diff_mode:
    support: none
seealso:
  - module: tidegate.delivery.puppet_freeze
  - module: tidegate.delivery.puppet_pin
  - module: tidegate.delivery.health_check
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Bring the node to its pinned release
  tidegate.delivery.puppet_run:
    deployment: "{{ tidegate_deployment }}"

- name: Run again after a reboot, with more time
  tidegate.delivery.puppet_run:
    deployment: "{{ tidegate_deployment }}"
    job: after-reboot
    reboot: hold
    timeout: 30m
"""

RETURN = r"""
outcome:
  description:
    - V(changed) or V(unchanged), the node is as its catalog says. All others are failures.
    - V(failed_resources) or V(failed_restart), see RV(failed_resources).
    - V(catalog_failure), the server gave no catalog. V(catalog_unusable), the node can't apply it. V(cached_catalog), an old one was applied.
    - V(wrong_environment), the run did not use O(environment).
    - V(other_revision), the catalog is of another configuration than the one that the recorded deployment brings.
    - V(server_unreachable), V(server_unavailable), V(server_refused), V(certificate_unsigned), V(certificate_invalid), the server gave nothing.
    - V(disabled), V(already_running), V(no_agent), V(not_root), V(agent_failed), nothing was run.
    - V(hook_failed), puppet.conf's own command before or after the run failed.
    - V(noop_pending), the node runs Puppet in noop mode and something would have changed.
    - V(reboot_pending), see O(reboot). V(rebooted), the node was rebooted while Puppet ran.
    - V(terminated), someone ended the run. V(timed_out), it passed O(timeout). V(lost), it is gone without a trace. V(shell_lost), so is its WinRM shell.
    - V(pin_not_taken), V(wrong_target), Puppet's code took another release than the pinned one, or says that the node belongs elsewhere.
    - V(not_opened), Puppet's code left the service in noop, though the deployment opened it on the node.
    - V(disk_full), V(no_report), how it ended could not be written down or read.
    - V(unknown), the evidence does not fit together.
    - V(would_run), in check mode.
    - The page docs/puppet.md has the evidence of each and what to do.
  returned: always
  type: str
  sample: changed
msg:
  description: What happened; after a failure also where, and what to do next.
  returned: always
  type: str
  sample: >-
    n1: Puppet could not bring about all that the catalog says: File[/srv/app] (/etc/puppet/code/site.pp:4): No such file
    (n1: /var/cache/puppet/state/last_run_report.yaml). Correct what the failed resources name, then run the same deployment again
changed:
  description: Whether the run changed any resource, also when it failed.
  returned: always
  type: bool
  sample: true
job_id:
  description: The run's id, as it stands in its report.
  returned: unless in check mode
  type: str
  sample: tradeapi-20260131-142501-7f3a.n1.1
adopted:
  description: Whether the run had been started before.
  returned: always
  type: bool
  sample: false
exit_code:
  description: Puppet's exit code under C(--detailed-exitcodes); null when it was lost.
  returned: unless in check mode
  type: int
  sample: 2
duration_s:
  description: How long the run took by the node's clock, from its process's start to its end, the wait for another one included.
  returned: unless in check mode
  type: float
  sample: 4.31
own_s:
  description: The same, for the timings of a deployment's summary.
  returned: unless in check mode
  type: float
  sample: 4.31
report:
  description: The report on the node, as kept when the run ended.
  returned: unless in check mode
  type: str
  sample: /var/lib/tidegate/jobs/tradeapi-20260131-142501-7f3a.n1.1/kept
configuration_version:
  description: The catalog's version; empty when there was none.
  returned: unless in check mode
  type: str
  sample: puppet1-production-3f1c2ab4d5e
revision:
  description:
    - The configuration's revision in it, without the compile server's name, the environment's and what the command complained of; empty
      when there was none, or the deployment has none on record.
  returned: unless in check mode
  type: str
  sample: 3f1c2ab4d5e
noop_pending:
  description: Whether a resource that is noop by itself would have changed. That is no failure.
  returned: unless in check mode
  type: bool
  sample: false
reboot_pending:
  description: Why the node is to be rebooted; empty when it is not, or the run was not good.
  returned: unless in check mode
  type: str
  sample: /run/reboot-required is there, because of linux-image-6.1.0-28-amd64
reconnected:
  description: How often the way to the node broke while Puppet ran, and the run was found again.
  returned: unless in check mode
  type: int
  sample: 0
waited:
  description: Whether the run stood back until another one had ended.
  returned: unless in check mode
  type: bool
  sample: false
resources:
  description: The report's counts of resources.
  returned: unless in check mode
  type: dict
  sample: {total: 41, changed: 3, failed: 0, failed_to_restart: 0}
failed_resources:
  description: Up to 20 resources that failed, with the place in Puppet's code.
  returned: unless in check mode
  type: list
  elements: dict
  sample: [{resource: "File[/srv/app]", place: "/etc/puppet/code/site.pp:4", message: "No such file", restart: false}]
"""
