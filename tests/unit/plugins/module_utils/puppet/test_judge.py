"""The outcome of a run. The reports and outputs in puppet_runs/ are puppet-agent 7.23's own, captured against a
puppetserver 7.9.5; paths and addresses are replaced, repetitions of Facter's complaints are cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.judge import (
    NO_LOCK_FILE,
    Run,
    Verdict,
    agent_argv,
    judge,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.report import Report, read_report

RUNS = Path(__file__).parent.parent / "puppet_runs"
GOOD = Report(
    job_id="j", status="changed", environment="production", configuration_version="1", transaction_completed=True
)


def captured(name: str, rc: int | None, environment: str = "") -> Run:
    report = RUNS / f"{name}.yaml"
    return Run(
        job_id=name,
        rc=rc,
        report=read_report(report.read_bytes()) if report.exists() else None,
        environment=environment,
        output=(RUNS / f"{name}.txt").read_text(),
    )


@pytest.mark.parametrize(
    ("name", "rc", "environment", "outcome", "detail"),
    [
        ("changed", 2, "", PuppetOutcome.CHANGED, ""),
        ("changed", 2, "production", PuppetOutcome.CHANGED, ""),
        ("unchanged", 0, "", PuppetOutcome.UNCHANGED, ""),
        ("failed_resource", 4, "", PuppetOutcome.FAILED_RESOURCES, "site.pp:4): change failed: '/bin/false' returned"),
        ("failed_and_changed", 6, "", PuppetOutcome.FAILED_RESOURCES, "Exec[/bin/false] (/etc/puppet/code/"),
        ("failed_restart", 6, "", PuppetOutcome.FAILED_RESTART, "Could not restart Service[tgsvc]"),
        ("catalog_failure", 1, "", PuppetOutcome.CATALOG_FAILURE, "this does not compile (file: /etc/puppet/code/"),
        ("cached_catalog", 0, "", PuppetOutcome.CACHED_CATALOG, "on_failure"),
        ("noop", 0, "", PuppetOutcome.NOOP_PENDING, ""),
        ("noop_resource", 0, "", PuppetOutcome.UNCHANGED, ""),
        ("wrong_environment", 1, "nosuch", PuppetOutcome.WRONG_ENVIRONMENT, "'nosuch'"),
        ("other_environment", 0, "nosuch", PuppetOutcome.WRONG_ENVIRONMENT, "'production'"),
        ("terminated", 0, "", PuppetOutcome.TERMINATED, "not completed"),
        ("killed", 137, "", PuppetOutcome.TERMINATED, "signal 9"),
        ("killed", None, "", PuppetOutcome.LOST, "no report"),
        ("server_unreachable", 1, "", PuppetOutcome.SERVER_UNREACHABLE, "Connection refused"),
        ("certificate_unsigned", 1, "", PuppetOutcome.CERTIFICATE_UNSIGNED, ""),
        ("disabled", 1, "", PuppetOutcome.DISABLED, "reason: it is mine"),
        ("already_running", 1, "", PuppetOutcome.ALREADY_RUNNING, ""),
        ("waited_in_vain", 1, "", PuppetOutcome.ALREADY_RUNNING, ""),
    ],
)
def test_captured_runs(name: str, rc: int | None, environment: str, outcome: PuppetOutcome, detail: str) -> None:
    verdict = judge(captured(name, rc, environment))
    assert verdict.outcome is outcome
    assert detail in verdict.detail


@pytest.mark.parametrize("name", ["changed", "unchanged", "failed_resource", "terminated", "cached_catalog"])
def test_a_run_whose_exit_code_is_lost_is_judged_by_its_own_report(name: str) -> None:
    expected = {"changed": 2, "unchanged": 0, "failed_resource": 4, "terminated": 0, "cached_catalog": 0}[name]
    assert judge(captured(name, None)).outcome is judge(captured(name, expected)).outcome


@pytest.mark.parametrize(
    ("rc", "outcome", "detail"),
    [
        (None, PuppetOutcome.SHELL_LOST, "no report"),
        (0xC000013A, PuppetOutcome.TERMINATED, "0xC000013A"),
        (137, PuppetOutcome.NO_REPORT, "exit code 137"),
    ],
)
def test_a_run_that_a_winrm_shell_owned_knows_no_signals(rc: int | None, outcome: PuppetOutcome, detail: str) -> None:
    verdict = judge(replace(captured("killed", rc), in_shell=True))
    assert verdict.outcome is outcome
    assert detail in verdict.detail


@pytest.mark.parametrize("rc", [128, 193, 255])
def test_an_exit_code_that_no_signal_makes_tells_of_none(rc: int) -> None:
    verdict = judge(captured("killed", rc))
    assert verdict.outcome is PuppetOutcome.NO_REPORT
    assert f"exit code {rc}" in verdict.detail


def test_a_run_whose_shell_was_lost_is_judged_by_its_report_if_it_got_that_far() -> None:
    assert judge(replace(captured("changed", None), in_shell=True)).outcome is PuppetOutcome.CHANGED


NO_CATALOG = Report(job_id="j", status="failed", environment="production")
UNREPORTED = "Info: Applying configuration version '1'\nNotice: Applied catalog in 0.05 seconds\n"


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("Failed to apply catalog: Parameter path failed on File[a/b]: must be full", PuppetOutcome.CATALOG_UNUSABLE),
        ("Failed to apply catalog: No more routes to fileserver", PuppetOutcome.SERVER_UNREACHABLE),
        ("Could not run command from postrun_command: Execution of '/bin/false'", PuppetOutcome.HOOK_FAILED),
        ("Could not retrieve catalog from remote server: Error 500 on SERVER: x", PuppetOutcome.CATALOG_FAILURE),
        ("Could not retrieve catalog from remote server: Error 404 on SERVER: x", PuppetOutcome.CATALOG_FAILURE),
        ("Could not retrieve catalog from remote server: Error 503 on SERVER: x", PuppetOutcome.SERVER_UNAVAILABLE),
        ("Could not retrieve catalog from remote server: Error 429 on SERVER: x", PuppetOutcome.SERVER_UNAVAILABLE),
        ("Could not retrieve catalog from remote server: Error 403 on SERVER: x", PuppetOutcome.SERVER_REFUSED),
        ("Could not retrieve catalog: certificate verify failed [revoked for CN=p]", PuppetOutcome.CERTIFICATE_INVALID),
        ("Request to https://p:8140 timed out read operation after 120 seconds", PuppetOutcome.SERVER_UNREACHABLE),
    ],
)
def test_why_there_was_no_catalog(said: str, outcome: PuppetOutcome) -> None:
    verdict = judge(Run(job_id="j", rc=1, report=NO_CATALOG, output=f"Error: {said}\n"))
    assert verdict.outcome is outcome
    assert verdict.detail and verdict.detail in said


def test_the_answer_about_the_catalog_counts_before_one_about_plugins() -> None:
    output = (
        "Error: Could not retrieve file metadata for puppet:///plugins: Error 403 on SERVER: no\n"
        "Error: Could not retrieve catalog from remote server: Error 500 on SERVER: it does not compile\n"
    )
    assert judge(Run(job_id="j", rc=1, report=NO_CATALOG, output=output)).outcome is PuppetOutcome.CATALOG_FAILURE


@pytest.mark.parametrize(
    ("rc", "output", "outcome"),
    [
        (0, UNREPORTED, PuppetOutcome.NO_REPORT),
        (2, UNREPORTED + "Error: Could not send report: Connection refused\n", PuppetOutcome.NO_REPORT),
        (2, UNREPORTED + "Error: Could not send report: No space left on device\n", PuppetOutcome.DISK_FULL),
        (1, "Error: Could not prepare for execution: No space left on device\n", PuppetOutcome.DISK_FULL),
        (
            1,
            "Error: The certificate 'CN=n' has expired, verify time\n",
            PuppetOutcome.CERTIFICATE_INVALID,
        ),
        (1, "Error: The CRL issued by 'CN=ca' is not yet valid, verify time\n", PuppetOutcome.CERTIFICATE_INVALID),
        (1, "Error: Server hostname 'p' did not match server certificate; a\n", PuppetOutcome.CERTIFICATE_INVALID),
        (127, "env: '/opt/puppet': No such file or directory\n", PuppetOutcome.NO_AGENT),
        (1, "Error: Could not prepare for execution: Permission denied\n", PuppetOutcome.AGENT_FAILED),
        (139, "", PuppetOutcome.TERMINATED),
        (0, "", PuppetOutcome.NO_REPORT),
    ],
)
@pytest.mark.parametrize("last", [None, Report(job_id="older", status="changed")])
def test_without_a_report_of_its_own(rc: int, output: str, outcome: PuppetOutcome, last: Report | None) -> None:
    verdict = judge(Run(job_id="j", rc=rc, report=last, output=output))
    assert verdict.outcome is outcome
    assert verdict.detail
    assert outcome is not PuppetOutcome.NO_REPORT or last is None or "'older'" in verdict.detail


@pytest.mark.parametrize(
    ("name", "rc", "outcome"),
    [
        ("terminated", 0, PuppetOutcome.REBOOTED),
        ("killed", 137, PuppetOutcome.REBOOTED),
        ("killed", None, PuppetOutcome.REBOOTED),
        ("changed", 2, PuppetOutcome.CHANGED),
        ("changed", None, PuppetOutcome.CHANGED),
        ("failed_resource", 4, PuppetOutcome.FAILED_RESOURCES),
        ("disabled", 1, PuppetOutcome.DISABLED),
    ],
)
def test_a_reboot_explains_only_what_was_cut_short(name: str, rc: int | None, outcome: PuppetOutcome) -> None:
    assert judge(replace(captured(name, rc), rebooted=True)).outcome is outcome


@pytest.mark.parametrize(
    ("name", "rc", "outcome"),
    [
        ("changed", 2, PuppetOutcome.REBOOT_PENDING),
        ("unchanged", 0, PuppetOutcome.REBOOT_PENDING),
        ("failed_resource", 4, PuppetOutcome.FAILED_RESOURCES),
    ],
)
def test_a_pending_reboot_is_told_of_good_runs(name: str, rc: int, outcome: PuppetOutcome) -> None:
    verdict = judge(replace(captured(name, rc), pending="a kernel"))
    assert verdict.outcome is outcome
    assert (verdict.detail == "a kernel") is (outcome is PuppetOutcome.REBOOT_PENDING)


@pytest.mark.parametrize("rc", [0, 2])
def test_a_good_exit_code_without_a_report_of_its_own_is_no_success(rc: int) -> None:
    stale = Run(job_id="ours", rc=rc, report=GOOD)
    assert judge(stale).outcome is PuppetOutcome.NO_REPORT
    assert "no report with job id ours" in judge(stale).detail


@pytest.mark.parametrize(("status", "rc"), [("changed", 0), ("unchanged", 2), ("changed", 1), ("", 0)])
def test_exit_code_and_report_must_fit(status: str, rc: int) -> None:
    report = Report(job_id="j", status=status, configuration_version="1", transaction_completed=True)
    assert judge(Run(job_id="j", rc=rc, report=report)).outcome is PuppetOutcome.UNKNOWN


def test_a_failed_exit_code_wins_over_a_good_report() -> None:
    assert judge(Run(job_id="j", rc=6, report=GOOD)).outcome is PuppetOutcome.FAILED_RESOURCES


def test_a_run_that_was_ended_at_its_limit_is_never_good() -> None:
    assert judge(Run(job_id="j", rc=2, report=GOOD, timed_out=True)).outcome is PuppetOutcome.TIMED_OUT


def test_facter_complaints_are_no_explanation() -> None:
    output = "Error: Facter: Permission denied\nError: the real one\nError: Facter: again\n"
    assert judge(Run(job_id="j", rc=1, output=output)) == Verdict(PuppetOutcome.AGENT_FAILED, "the real one")
    report = Report(job_id="j", status="failed", environment="production")
    assert judge(Run(job_id="j", rc=1, report=report, output=output)).detail == "the real one"


@settings(deadline=None)
@given(
    rc=st.one_of(st.none(), st.integers(0, 255)),
    status=st.sampled_from(["changed", "unchanged", "failed", "", "odd"]),
    completed=st.booleans(),
    version=st.sampled_from(["", "1"]),
    cached=st.sampled_from(["not_used", "on_failure", "explicitly_requested"]),
    fresh=st.booleans(),
)
def test_only_a_fresh_completed_report_with_its_exit_code_is_good(
    rc: int | None, status: str, completed: bool, version: str, cached: str, fresh: bool
) -> None:
    report = Report(
        job_id="j" if fresh else "older",
        status=status,
        configuration_version=version,
        transaction_completed=completed,
        cached_catalog_status=cached,
    )
    outcome = judge(Run(job_id="j", rc=rc, report=report)).outcome
    proved = fresh and completed and version and cached == "not_used"
    good = proved and (status, rc) in (("changed", 2), ("changed", None), ("unchanged", 0), ("unchanged", None))
    assert outcome.ok == bool(good)


@pytest.mark.parametrize(
    ("told", "revision", "rc", "outcome"),
    [
        ("3f1c2ab", "3f1c2ab", 2, PuppetOutcome.CHANGED),
        ("ps2-production-3f1c2ab", "3f1c2ab", 2, PuppetOutcome.CHANGED),
        ("3f1c2ab", "", 2, PuppetOutcome.CHANGED),
        ("warning: no such file\n" * 20 + "3f1c2ab", "3f1c2ab", 2, PuppetOutcome.CHANGED),
        ("4444444", "3f1c2ab", 2, PuppetOutcome.OTHER_REVISION),
        ("1795412860", "3f1c2ab", 2, PuppetOutcome.OTHER_REVISION),
        # What went wrong goes before what was compiled.
        ("4444444", "3f1c2ab", 6, PuppetOutcome.FAILED_RESOURCES),
    ],
)
def test_a_catalog_is_of_the_configuration_that_the_deployment_brings(
    told: str, revision: str, rc: int, outcome: PuppetOutcome
) -> None:
    report = replace(GOOD, configuration_version=told)
    verdict = judge(Run(job_id="j", rc=rc, report=report, revision=revision))
    assert verdict.outcome is outcome
    if outcome is PuppetOutcome.OTHER_REVISION:
        assert verdict.detail == f"it is {told} in environment 'production', not 3f1c2ab"


def test_a_run_can_be_found_again_and_falls_back_to_nothing() -> None:
    argv = agent_argv("/opt/puppet", "d.n1.1", confdir="/etc/p")
    assert argv[:3] == ["/opt/puppet", "agent", "--onetime"]
    assert argv[argv.index("--job-id") + 1] == "d.n1.1"
    assert {"--detailed-exitcodes", "--no-usecacheonfailure", "--no-use_cached_catalog", "--no-splay"} <= set(argv)
    assert argv[-2:] == ["--confdir", "/etc/p"]


def test_what_is_not_asked_for_is_not_given() -> None:
    argv = " ".join(agent_argv("puppet", "j"))
    for option in (
        "--environment",
        "--strict_environment_mode",
        "--agent_disabled_lockfile",
        "--waitforlock",
        "--conf",
    ):
        assert option not in argv


def test_an_environment_is_asked_for_strictly() -> None:
    argv = agent_argv("puppet", "j", environment="canary")
    assert argv[-3:] == ["--environment", "canary", "--strict_environment_mode"]


def test_waiting_for_another_run_and_passing_our_freeze() -> None:
    argv = agent_argv("puppet", "j", wait_for_lock=120, pass_freeze=True)
    assert argv[-5:] == ["--waitforlock", "2", "--maxwaitforlock", "120", f"--agent_disabled_lockfile={NO_LOCK_FILE}"]
