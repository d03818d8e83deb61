"""A run that is killed right after its deployment's end leaves its folder behind: the next one completes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.plugin_utils.record import Record, plan_digest
from ansible_collections.tidegate.delivery.plugins.plugin_utils.summary_files import complete, keep_summary
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
