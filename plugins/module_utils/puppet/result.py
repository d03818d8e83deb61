# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a Puppet run, and what it came to: judged by the report that it left on the node."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ansible_collections.tidegate.delivery.plugins.module_utils.node.boot import Boot, OnPending
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import JobState, Phase
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.judge import Run, Verdict, judge, waited
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.remains import Remains
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to run. `folder`: where job folders are on the node. `run_id`: the id of this very run; `family`: the
    beginning of the ids of all runs of this deployment on this node, of which a live one is adopted.
    `revision`: the configuration's that its catalog must be compiled from, empty for any.
    `timeout`, `wait_for_lock`, `interval`: seconds for the run, for another run to end before it, and between two
    lines of `tell`."""

    folder: str
    run_id: str
    family: str
    timeout: float
    wait_for_lock: float
    interval: float
    confdir: str = ""
    environment: str = ""
    revision: str = ""
    settings_cache: str = ""
    reboot: OnPending = OnPending.IGNORE

    @property
    def limit(self) -> float:
        """The most seconds that the job may take on the node."""
        return self.timeout + self.wait_for_lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How it ended, and the evidence. `adopted`: it had been started before us. `waited`: another run had the node
    first. `reconnected`: how often the way to the node broke, and the run was found again. `rebooted`: the node was,
    since the run began. `reboot_pending`: why it is to be; known of good runs alone."""

    verdict: Verdict
    job_id: str
    adopted: bool
    report_path: str
    report: Report | None = None
    exit_code: int | None = None
    seconds: float | None = None
    waited: bool = False
    reconnected: int = 0
    rebooted: bool = False
    reboot_pending: str = ""

    @property
    def outcome(self) -> PuppetOutcome:
        """How the run ended."""
        return self.verdict.outcome


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that is over, and how often the way to the node broke meanwhile."""

    state: JobState
    reconnected: int = 0


@dataclass(frozen=True, slots=True)
class Started:
    """The job that is ours to wait for."""

    id: str
    adopted: bool


def judged(request: Request, started: Started, ended: Ended, remains: Remains, *, in_shell: bool = False) -> Result:
    """What the ended job came to."""
    state, report = ended.state, remains.report
    evidence = Run(
        job_id=started.id,
        rc=state.rc,
        report=report,
        environment=request.environment,
        revision=request.revision,
        output=state.output,
        timed_out=state.phase is Phase.TIMED_OUT,
        problem=remains.problem,
        in_shell=in_shell,
        rebooted=state.rebooted,
    )
    verdict = judge(evidence)
    boot = remains.boot if verdict.outcome.ok else Boot("")
    if request.reboot.counts(boot):
        verdict = judge(replace(evidence, pending=boot.pending))
    return Result(
        verdict=verdict,
        job_id=started.id,
        adopted=started.adopted,
        report_path=remains.path,
        report=report if report and report.job_id == started.id else None,
        exit_code=state.rc,
        seconds=state.seconds,
        waited=waited(state.output),
        reconnected=ended.reconnected,
        rebooted=state.rebooted,
        reboot_pending=boot.pending,
    )
