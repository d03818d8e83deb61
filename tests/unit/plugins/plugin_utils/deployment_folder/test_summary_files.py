"""A run that is killed right after its deployment's end leaves its folder behind: the next one completes it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from ansible.utils.display import Display

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.record import Record, plan_digest
from ansible_collections.tidegate.delivery.plugins.plugin_utils.deployment_folder.summary_files import (
    complete,
    keep_summary,
)
from tidegate.ledger import SqlLedger
from tidegate.store import Store


def event(step: Step, **details: str) -> Event:
    return Event(
        service="s", environment="lab", deployment="d1", attempt=1, step=step, outcome=Outcome.OK, details=details
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "lab" / "d1"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def record(tmp_path: Path, folder: Path) -> Record:
    """A deployment that has ended, and nothing of that in its folder."""
    ledger = SqlLedger(Store(f"sqlite:///{tmp_path}/ledger.sqlite"))
    plan = json.dumps({"folder": str(folder), "waves": []})
    deployment = Deployment(id="d1", kind=Kind.DEPLOY, service="s", environment="lab", plan=plan)
    ledger.open(deployment, event(Step.PLAN, plan_sha256=plan_digest(plan)))
    ledger.update_state("d1", State.DONE, event(Step.CLOSE))
    return Record(f"sqlite:///{tmp_path}/ledger.sqlite", "lab", "d1")


def steps(folder: Path) -> list[str]:
    return [json.loads(line)["step"] for line in (folder / "events.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("left", ["", "{", '{"ended_at": ""}', "[]"])
def test_the_last_events_and_the_summary_are_written(record: Record, folder: Path, left: str) -> None:
    if left:
        (folder / "summary.json").write_text(left)
    complete(record, lambda told: told)
    assert steps(folder) == ["plan", "close"]
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["outcome"], summary["ended_at"]) == ("done", record.deployment.closed_at)
    assert (folder / "summary.txt").read_text().startswith("s  in lab: done")


def test_the_report_is_written_before_the_summary_says_that_all_is_there(record: Record, folder: Path) -> None:
    complete(record, lambda told: told)
    assert "Done:" in (folder / "report.html").read_text()
    assert (folder / "report.html").stat().st_mtime_ns <= (folder / "summary.json").stat().st_mtime_ns


@pytest.mark.parametrize("place", ["tidegate.report.render", "tidegate.report.report_of"])
def test_a_report_that_cannot_be_made_is_a_warning(
    record: Record, folder: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: object, **_named: object) -> None:
        raise ZeroDivisionError("a fault in the report")

    warnings: list[str] = []
    monkeypatch.setattr(place, broken)
    monkeypatch.setattr(Display, "warning", lambda _self, text: warnings.append(text))
    keep_summary(record, record.deployment, lambda told: told)
    assert json.loads((folder / "summary.json").read_text())["outcome"] == "done"
    assert not (folder / "report.html").exists()
    assert len(warnings) == 1 and "report.html can't be made (ZeroDivisionError: a fault" in warnings[0]


def test_secrets_in_test_results_do_not_get_into_the_report(record: Record, folder: Path) -> None:
    results = folder / "nunit" / "s.n1.1.xml"
    results.parent.mkdir()
    results.write_text("<testsuite><testcase name='T'><failure message='key hunter22'/></testcase></testsuite>")
    sha256 = hashlib.sha256(results.read_bytes()).hexdigest()
    tested = event(Step.NUNIT, results_sha256=sha256)
    record.ledger.append(replace(tested, outcome=Outcome.FAILED, nodes=("n1",)))
    keep_summary(
        record, record.deployment, lambda told: told.replace("hunter22", "***") if isinstance(told, str) else told
    )
    page = (folder / "report.html").read_text()
    assert "key ***" in page and "hunter22" not in page


def test_what_is_complete_stays_as_it_is(record: Record, folder: Path) -> None:
    keep_summary(record, record.deployment, lambda told: told)
    (folder / "summary.txt").write_text("as it was")
    complete(record, lambda told: told)
    assert (folder / "summary.txt").read_text() == "as it was"
    assert not (folder / "events.jsonl").exists()


def test_a_folder_that_was_removed_does_not_come_back(record: Record, folder: Path) -> None:
    folder.rmdir()
    complete(record, lambda told: told)
    assert not folder.exists()
