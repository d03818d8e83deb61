from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.evidence import puppet_evidence
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.judge import Verdict
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.report import read_report
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.result import Result

RUNS = Path(__file__).parent.parent / "puppet_runs"


def result(report: str = "", seconds: float | None = 5.25) -> Result:
    return Result(
        verdict=Verdict(PuppetOutcome.CHANGED),
        job_id="d1.n1.1",
        adopted=False,
        report_path="/var/lib/tidegate/jobs/d1.n1.1/kept",
        report=read_report((RUNS / report).read_bytes()) if report else None,
        exit_code=2,
        seconds=seconds,
    )


def test_a_run_that_changed_something() -> None:
    told = puppet_evidence("n1", result("changed.yaml"), "n1: Puppet changed the node")
    assert (told["node"], told["outcome"], told["duration_s"]) == ("n1", "changed", 5.25)
    report = told["report"]
    assert (report["status"], report["puppet_version"], report["report_format"]) == ("changed", "7.23.0", "12")
    assert report["changed"] == ["File[/srv/app/out.txt]"]
    assert report["resources"]["total"] == 8
    assert report["times_s"]["config_retrieval"] == 0.474
    assert report["began"] == "2026-11-23T05:47:37.501804375+00:00"


def test_failed_resources_have_place_and_message() -> None:
    failed = puppet_evidence("n1", result("failed_restart.yaml"), "…")["report"]["failed"]
    assert [each["resource"] for each in failed] == ["Exec[refreshed]", "Service[tgsvc]"]
    assert failed[1]["message"].startswith("Failed to call refresh") and failed[1]["restart"]


@pytest.mark.parametrize("path", sorted(RUNS.glob("*.yaml")), ids=lambda path: path.name)
def test_no_parameter_diff_old_or_new_value_is_kept(path: Path) -> None:
    report = puppet_evidence("n1", result(path.name), "…")["report"]
    kept = {key for each in report["failed"] for key in each} | set(report)
    assert not kept & {"parameters", "events", "logs", "previous_value", "desired_value", "diff"}
    assert "{sha256}" not in str(report)


def test_a_run_without_a_report_of_its_own() -> None:
    assert puppet_evidence("n1", result(), "n1: no report")["report"] is None
