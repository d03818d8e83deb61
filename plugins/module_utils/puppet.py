# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a Puppet run ended, decided from its exit code, its report and its last words; and how one is started."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.puppet_report import Report

# --onetime would fall back to the cached catalog, answer a run that only compiled badly with 0, and splay.
_ALWAYS = (
    "--onetime",
    "--no-daemonize",
    "--detailed-exitcodes",
    "--no-usecacheonfailure",
    "--no-use_cached_catalog",
    "--no-splay",
    "--color=false",
    "--verbose",
    "--logdest",
    "console",
)
# Puppet's messages are matched: they must not be translated.
AGENT_ENV = {"LC_ALL": "C.UTF-8"}
# A path that can't exist, below a file: a run with it passes a freeze, and can't create one.
NO_LOCK_FILE = "/dev/null/tidegate.lock"
NO_LOCK_FILE_ON_WINDOWS = r"C:\Windows\System32\cmd.exe\tidegate.lock"
_LOCK_RETRY = 2
# ntstatus.h: what Windows itself ends a process with, such as 0xC000013A for Ctrl-C.
_NTSTATUS_ERROR = 0xC0000000


class PuppetOutcome(StrEnum):
    """How a run of the agent ended."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED_RESOURCES = "failed_resources"
    FAILED_RESTART = "failed_restart"
    CATALOG_FAILURE = "catalog_failure"
    CACHED_CATALOG = "cached_catalog"
    WRONG_ENVIRONMENT = "wrong_environment"
    SERVER_UNREACHABLE = "server_unreachable"
    CERTIFICATE_UNSIGNED = "certificate_unsigned"
    DISABLED = "disabled"
    ALREADY_RUNNING = "already_running"
    NOOP_PENDING = "noop_pending"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    SHELL_LOST = "shell_lost"
    UNKNOWN = "unknown"

    @property
    def ok(self) -> bool:
        """Whether the node is now as its catalog says."""
        return self in (PuppetOutcome.CHANGED, PuppetOutcome.UNCHANGED)

    @property
    def said(self) -> str:
        """What happened, in words."""
        return _SAID[self]

    @property
    def remedy(self) -> str:
        """What to do next; empty when nothing is to be done."""
        return "" if self.ok else f"{_REMEDY[self]}, then run the same deployment again"


_SAID = {
    PuppetOutcome.CHANGED: "Puppet changed the node",
    PuppetOutcome.UNCHANGED: "Puppet had nothing to change",
    PuppetOutcome.FAILED_RESOURCES: "Puppet could not bring about all that the catalog says",
    PuppetOutcome.FAILED_RESTART: "Puppet changed the node, but what it then restarted failed",
    PuppetOutcome.CATALOG_FAILURE: "Puppet got no catalog for the node",
    PuppetOutcome.CACHED_CATALOG: "Puppet applied an old catalog from its cache",
    PuppetOutcome.WRONG_ENVIRONMENT: "Puppet's environment is not the one that was asked for",
    PuppetOutcome.SERVER_UNREACHABLE: "The Puppet server could not be reached from the node",
    PuppetOutcome.CERTIFICATE_UNSIGNED: "The node's Puppet certificate is not signed",
    PuppetOutcome.DISABLED: "Puppet is disabled on the node",
    PuppetOutcome.ALREADY_RUNNING: "Another Puppet run kept the node's run lock",
    PuppetOutcome.NOOP_PENDING: "Puppet runs in noop mode on the node: it only said what it would change",
    PuppetOutcome.TERMINATED: "The Puppet run was ended from outside before it was through",
    PuppetOutcome.TIMED_OUT: "The Puppet run passed its time limit and was ended",
    PuppetOutcome.LOST: "The Puppet run is gone and nobody wrote down how it ended",
    PuppetOutcome.SHELL_LOST: "The WinRM shell that owned the Puppet run is gone, and the run with it",
    PuppetOutcome.UNKNOWN: "How the Puppet run ended can't be told",
}
_REMEDY = {
    PuppetOutcome.FAILED_RESOURCES: "Correct what the failed resources name",
    PuppetOutcome.FAILED_RESTART: "Look at the service's own log",
    PuppetOutcome.CATALOG_FAILURE: "Correct the code or data that the message names",
    PuppetOutcome.CACHED_CATALOG: "Find out why the server gave no fresh catalog",
    PuppetOutcome.WRONG_ENVIRONMENT: "Deploy that environment to the Puppet server, or correct the name",
    PuppetOutcome.SERVER_UNREACHABLE: "Check the Puppet server and the node's way to it",
    PuppetOutcome.CERTIFICATE_UNSIGNED: "Sign it on the CA (puppetserver ca sign --certname NAME)",
    PuppetOutcome.DISABLED: "Ask who disabled it; puppet agent --enable ends it",
    PuppetOutcome.ALREADY_RUNNING: "Wait for that run to end, or find out why it hangs",
    PuppetOutcome.NOOP_PENDING: "Take noop out of the node's puppet.conf",
    PuppetOutcome.TERMINATED: "Find out who ended it",
    PuppetOutcome.TIMED_OUT: "Look at what took so long, or raise the time limit",
    PuppetOutcome.LOST: "See whether the node was restarted",
    PuppetOutcome.SHELL_LOST: "See whether the node or its WinRM service was restarted",
    PuppetOutcome.UNKNOWN: "Look at the run's output and Puppet's log on the node",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is known of a run: the evidence that `judge` decides from.

    `rc`: exit code under --detailed-exitcodes, None when it was lost. `report`: the node's last report, whoever's
    run wrote it. `in_shell`: a shell of WinRM owned it, and ended it with itself.
    """

    job_id: str
    rc: int | None
    report: Report | None = None
    environment: str = ""
    output: str = ""
    timed_out: bool = False
    in_shell: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, and the one detail that explains it."""

    outcome: PuppetOutcome
    detail: str = ""


def agent_argv(
    program: str,
    job_id: str,
    *,
    confdir: str = "",
    environment: str = "",
    wait_for_lock: float = 0,
    pass_freeze: bool = False,
    no_lock_file: str = NO_LOCK_FILE,
) -> list[str]:
    """A single run that can be found again by its job id. `wait_for_lock`: seconds for a run in progress to end.

    `pass_freeze` runs although the agent is disabled, with `no_lock_file`: only for a freeze of our own. All options
    seen accepted by puppet-agent 7.23; --waitforlock came with Puppet 7.
    """
    argv = [program, "agent", *_ALWAYS, "--job-id", job_id, "--waitforcert", "0"]
    if wait_for_lock > 0:
        argv += ["--waitforlock", str(_LOCK_RETRY), "--maxwaitforlock", str(round(wait_for_lock))]
    if environment:
        # Only then: where the server's classifier chooses environments, strict mode fails every run.
        argv += ["--environment", environment, "--strict_environment_mode"]
    if pass_freeze:
        argv += [f"--agent_disabled_lockfile={no_lock_file}"]
    return argv + (["--confdir", confdir] if confdir else [])


def judge(run: Run) -> Verdict:
    """The outcome. A report counts only when it carries this run's job id; exit codes alone prove nothing good."""
    if run.timed_out:
        return Verdict(PuppetOutcome.TIMED_OUT)
    fresh = run.report is not None and run.report.job_id == run.job_id
    verdict = _by_report(run, run.report) if fresh and run.report else _by_output(run)
    return replace(verdict, detail=verdict.detail or _last_error(run.output)) if not verdict.outcome.ok else verdict


def _by_report(run: Run, report: Report) -> Verdict:
    if (run.environment and report.environment != run.environment) or _NO_ENVIRONMENT.search(run.output):
        return Verdict(PuppetOutcome.WRONG_ENVIRONMENT, f"the run used environment {report.environment!r}")
    if report.cached_catalog_status not in ("not_used", ""):
        return Verdict(PuppetOutcome.CACHED_CATALOG, f"cached_catalog_status is {report.cached_catalog_status}")
    if not report.configuration_version:
        return _without_catalog(run)
    if not report.transaction_completed:
        return Verdict(PuppetOutcome.TERMINATED, "the report says that its transaction was not completed")
    if report.noop and report.noop_pending:
        return Verdict(PuppetOutcome.NOOP_PENDING)
    return _by_status(run, report)


def _by_status(run: Run, report: Report) -> Verdict:
    if report.status == "failed" or run.rc in (4, 6):
        only_restarts = 0 < report.failures == report.failed_restarts
        outcome = PuppetOutcome.FAILED_RESTART if only_restarts else PuppetOutcome.FAILED_RESOURCES
        return Verdict(outcome, "; ".join(map(str, report.failed[:3])))
    if report.status == "changed" and run.rc in (2, None):
        return Verdict(PuppetOutcome.CHANGED)
    if report.status == "unchanged" and run.rc in (0, None):
        return Verdict(PuppetOutcome.UNCHANGED)
    return Verdict(PuppetOutcome.UNKNOWN, f"exit code {run.rc} does not fit a report with status {report.status!r}")


def _without_catalog(run: Run) -> Verdict:
    compiled = _COMPILE.search(run.output)
    if compiled:
        return Verdict(PuppetOutcome.CATALOG_FAILURE, compiled[0].strip()[:1000])
    if _NO_ROUTE.search(run.output):
        return Verdict(PuppetOutcome.SERVER_UNREACHABLE, _first_error(run.output))
    return Verdict(PuppetOutcome.CATALOG_FAILURE)


def _by_output(run: Run) -> Verdict:
    """Without a report of its own the run was skipped, never got as far, or was killed."""
    if run.rc is None:
        outcome = PuppetOutcome.SHELL_LOST if run.in_shell else PuppetOutcome.LOST
        return Verdict(outcome, "it wrote no report")
    if disabled := _DISABLED.search(run.output):
        return Verdict(PuppetOutcome.DISABLED, f"reason: {disabled[1]}")
    if _IN_PROGRESS.search(run.output):
        return Verdict(PuppetOutcome.ALREADY_RUNNING)
    if _UNSIGNED.search(run.output):
        return Verdict(PuppetOutcome.CERTIFICATE_UNSIGNED)
    if _NO_ROUTE.search(run.output):
        return Verdict(PuppetOutcome.SERVER_UNREACHABLE, _first_error(run.output))
    if run.in_shell and run.rc >= _NTSTATUS_ERROR:
        return Verdict(PuppetOutcome.TERMINATED, f"Windows ended it with 0x{run.rc:08X}, and it wrote no report")
    if run.rc >= 128 and not run.in_shell:
        return Verdict(PuppetOutcome.TERMINATED, f"it was killed by signal {run.rc - 128} and wrote no report")
    return Verdict(PuppetOutcome.UNKNOWN, f"exit code {run.rc}, and no report with job id {run.job_id}")


# Puppet's own words, 7.23; the report does not tell these cases apart.
_NO_ENVIRONMENT = re.compile(r"Environment '[^']*' not found on server, aborting run")
_COMPILE = re.compile(r"Could not retrieve catalog from remote server: Error \d+ on SERVER: .*")
_NO_ROUTE = re.compile(r"No more routes to |Connection refused|Failed to open TCP connection")
_DISABLED = re.compile(r"administratively disabled \(Reason: '(.*?)'\)", re.DOTALL)
_IN_PROGRESS = re.compile(r"already in progress; skipping|maxwaitforlock timeout has been exceeded")
_UNSIGNED = re.compile(r"Couldn't fetch certificate from CA server|Certificate for \S+ has not been signed")
# Facter's complaints are in good runs too.
_ERROR = re.compile(r"^Error: (?!Facter)(.*)$", re.MULTILINE)


def _first_error(output: str) -> str:
    found = _ERROR.search(output)
    return found[1].strip()[:500] if found else ""


def _last_error(output: str) -> str:
    found = _ERROR.findall(output)
    return found[-1].strip()[:500] if found else ""
