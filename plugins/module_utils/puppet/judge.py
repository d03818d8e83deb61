# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a Puppet run ended, decided from its exit code, its report and its last words; and how one is started."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.report import Report, without_values
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import compiled_from, short
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.system32 import SYSTEM32

# --onetime would fall back to the cached catalog, answer a run that only compiled badly with 0, and splay.
_ALWAYS = (
    "--onetime",
    "--no-daemonize",
    "--detailed-exitcodes",
    "--no-usecacheonfailure",
    "--no-use_cached_catalog",
    "--no-splay",
    # puppet.conf may say that none are written.
    "--report",
    "--color=false",
    "--verbose",
    "--logdest",
    "console",
)
# Puppet's messages are matched: they must not be translated.
AGENT_ENV = {"LC_ALL": "C.UTF-8"}
# A path that can't exist, below a file: a run with it passes a freeze, and can't create one.
NO_LOCK_FILE = "/dev/null/tidegate.lock"
NO_LOCK_FILE_ON_WINDOWS = rf"{SYSTEM32}\cmd.exe\tidegate.lock"
_LOCK_RETRY = 2
# What a shell says of a program that a signal ended: 128 and the signal's number, of which Linux has 64.
_KILLED = range(129, 193)
# ntstatus.h: what Windows itself ends a process with, such as 0xC000013A for Ctrl-C.
_NTSTATUS_ERROR = 0xC0000000


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is known of a run: the evidence that `judge` decides from.

    `rc`: exit code under --detailed-exitcodes, None when it was lost. `report`: the node's last report, whoever's
    run wrote it; `problem`: why there is none. `revision`: the configuration's that the catalog must be compiled from,
    if that is to count. `in_shell`: a shell of WinRM owned it, and ended it with itself.
    `rebooted`: the node's boot is not the one in which the run began. `pending`: why the node is to be rebooted, if
    that is to count.
    """

    job_id: str
    rc: int | None
    report: Report | None = None
    environment: str = ""
    revision: str = ""
    output: str = ""
    timed_out: bool = False
    in_shell: bool = False
    problem: str = ""
    rebooted: bool = False
    pending: str = ""


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
    if run.rebooted and verdict.outcome in _CUT_SHORT:
        return Verdict(PuppetOutcome.REBOOTED)
    if run.report and run.revision and verdict.outcome.ok and _other_revision(run.report, run.revision):
        return Verdict(PuppetOutcome.OTHER_REVISION, _other_revision(run.report, run.revision))
    if run.pending and verdict.outcome.ok:
        return Verdict(PuppetOutcome.REBOOT_PENDING, run.pending)
    return replace(verdict, detail=verdict.detail or _last_error(run.output)) if not verdict.outcome.ok else verdict


# What a reboot makes of a run that is under way.
_CUT_SHORT = (PuppetOutcome.TERMINATED, PuppetOutcome.LOST, PuppetOutcome.NO_REPORT)


def _by_report(run: Run, report: Report) -> Verdict:
    if (run.environment and report.environment != run.environment) or _NO_ENVIRONMENT.search(run.output):
        return Verdict(PuppetOutcome.WRONG_ENVIRONMENT, f"the run used environment {report.environment!r}")
    if report.cached_catalog_status not in ("not_used", ""):
        return Verdict(PuppetOutcome.CACHED_CATALOG, f"cached_catalog_status is {report.cached_catalog_status}")
    if hook := _HOOK.search(run.output):
        return Verdict(PuppetOutcome.HOOK_FAILED, hook[0].rstrip(": "))
    unusable = _UNUSABLE.search(run.output)
    if unusable and not (_NO_ROUTE.search(unusable[1]) or _INVALID.search(unusable[1])):
        return Verdict(PuppetOutcome.CATALOG_UNUSABLE, _unusable(run.output, unusable[1]))
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


def _other_revision(report: Report, wanted: str) -> str:
    """What the catalog was compiled from; empty when that is what was wanted."""
    found = compiled_from(report.configuration_version, report.environment, wanted)
    return f"it is {short(found)} in environment {report.environment!r}, not {short(wanted)}" if found != wanted else ""


def _without_catalog(run: Run) -> Verdict:
    if answered := _answered(run.output):
        return answered
    if invalid := _INVALID.search(run.output):
        return Verdict(PuppetOutcome.CERTIFICATE_INVALID, invalid[0])
    if _NO_ROUTE.search(run.output):
        return Verdict(PuppetOutcome.SERVER_UNREACHABLE, _first_error(run.output))
    return Verdict(PuppetOutcome.CATALOG_FAILURE)


def _answered(output: str) -> Verdict | None:
    """What an error that the server answered with means; the one about the catalog before all others."""
    answered = _CATALOG_ANSWERED.search(output) or _ANSWERED.search(output)
    if not answered:
        return None
    return Verdict(_BY_CODE.get(answered[1], PuppetOutcome.CATALOG_FAILURE), answered[0].strip()[:1000])


def _unusable(output: str, said: str) -> str:
    """What Puppet says when it gives the catalog up, or of a cycle what it said before that."""
    cycle = _CYCLE.search(output)
    return " ".join((cycle[1] if cycle else said).split())[:1000]


def _by_output(run: Run) -> Verdict:
    """Without a report of its own the run was skipped, never got as far, or was killed."""
    if run.rc is None:
        outcome = PuppetOutcome.SHELL_LOST if run.in_shell else PuppetOutcome.LOST
        return Verdict(outcome, "it wrote no report")
    if _APPLIED.search(run.output):
        return _unreported(run)
    if disabled := _DISABLED.search(run.output):
        return Verdict(PuppetOutcome.DISABLED, f"reason: {disabled[1]}")
    if _IN_PROGRESS.search(run.output):
        return Verdict(PuppetOutcome.ALREADY_RUNNING)
    if _UNSIGNED.search(run.output):
        return Verdict(PuppetOutcome.CERTIFICATE_UNSIGNED)
    if invalid := _INVALID.search(run.output):
        return Verdict(PuppetOutcome.CERTIFICATE_INVALID, invalid[0])
    if _NO_ROUTE.search(run.output):
        return Verdict(PuppetOutcome.SERVER_UNREACHABLE, _first_error(run.output))
    if run.in_shell and run.rc >= _NTSTATUS_ERROR:
        return Verdict(PuppetOutcome.TERMINATED, f"Windows ended it with 0x{run.rc:08X}, and it wrote no report")
    if run.rc in _KILLED and not run.in_shell:
        return Verdict(PuppetOutcome.TERMINATED, f"it was killed by signal {run.rc - 128} and wrote no report")
    if run.rc in (126, 127):
        return Verdict(PuppetOutcome.NO_AGENT, " ".join(run.output.split())[-300:])
    if answered := _answered(run.output):
        return answered
    if run.rc == 1 and _last_error(run.output) and not _FULL.search(run.output):
        return Verdict(PuppetOutcome.AGENT_FAILED, _last_error(run.output))
    return _unreported(run)


def _unreported(run: Run) -> Verdict:
    if full := _FULL.search(run.output):
        return Verdict(PuppetOutcome.DISK_FULL, full[0].strip()[:500])
    other = f"the last report is of {run.report.job_id!r}" if run.report else "there is none at all"
    why = run.problem or other
    return Verdict(PuppetOutcome.NO_REPORT, f"exit code {run.rc}, and no report with job id {run.job_id}: {why}")


# Puppet's own words, 7.23; the report does not tell these cases apart.
_NO_ENVIRONMENT = re.compile(r"Environment '[^']*' not found on server, aborting run")
_ANSWERED = re.compile(r"Error (\d+) on SERVER: .*")
_CATALOG_ANSWERED = re.compile(rf"Could not retrieve catalog from remote server: {_ANSWERED.pattern}")
# 500 is a catalog that doesn't compile; 404 and 400 are about what was asked for.
_BY_CODE = {
    "401": PuppetOutcome.SERVER_REFUSED,
    "403": PuppetOutcome.SERVER_REFUSED,
    "429": PuppetOutcome.SERVER_UNAVAILABLE,
    "502": PuppetOutcome.SERVER_UNAVAILABLE,
    "503": PuppetOutcome.SERVER_UNAVAILABLE,
    "504": PuppetOutcome.SERVER_UNAVAILABLE,
}
_UNUSABLE = re.compile(r"^Error: Failed to apply catalog: (.*)", re.MULTILINE)
_CYCLE = re.compile(r"^Error: (Found \d+ dependency cycles?:\s*.*)", re.MULTILINE)
_HOOK = re.compile(r"Could not run command from (?:pre|post)run_command: .*")
_APPLIED = re.compile(r"^Notice: Applied catalog in ", re.MULTILINE)
_FULL = re.compile(r".*No space left on device.*")
_NO_ROUTE = re.compile(
    r"No more routes to |Connection refused|Failed to open TCP connection|timed out (?:connect|read|write) operation"
)
_DISABLED = re.compile(r"administratively disabled \(Reason: '(.*?)'\)", re.DOTALL)
_IN_PROGRESS = re.compile(r"already in progress; skipping|maxwaitforlock timeout has been exceeded")
_WAITED = re.compile(r"Another puppet instance is already running")
_UNSIGNED = re.compile(r"Couldn't fetch certificate from CA server|Certificate for \S+ has not been signed")
# lib/puppet/ssl: verifier.rb, ssl_provider.rb and error.rb.
_INVALID = re.compile(
    r"certificate verify failed.*|The (?:certificate|CRL)[^\n]*(?:has expired|not yet valid)[^\n]*"
    r"|The certificate for .* does not match its private key|Server hostname .* did not match server certificate.*"
)
# Facter's complaints are in good runs too.
_ERROR = re.compile(r"^Error: (?!Facter)(.*)$", re.MULTILINE)


def waited(output: str) -> bool:
    """Whether the run stood back until another one had ended."""
    return bool(_WAITED.search(output))


def _first_error(output: str) -> str:
    found = _ERROR.search(output)
    return without_values(found[1]).strip()[:500] if found else ""


def _last_error(output: str) -> str:
    found = _ERROR.findall(output)
    return without_values(found[-1]).strip()[:500] if found else ""
