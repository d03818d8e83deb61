"""A deployment's junit.xml: from the ledger's events and the results in its folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from defusedxml.ElementTree import parse

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.folder_files import results_name
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.record import Record, plan_digest
from ansible_collections.tidegate.delivery.plugins.plugin_utils.deployment_folder.summary_files import keep_summary
from tidegate.ledger import SqlLedger
from tidegate.store import Store

RESULTS = b'<test-run><test-case fullname="S.A" result="Passed"/><test-case fullname="S.B" result="Failed"/></test-run>'
SHA256 = hashlib.sha256(RESULTS).hexdigest()
QUARANTINE = [{"test": "S.B", "until": "2999-12-31", "reason": "TRADE-117"}]


class Place:
    """A deployment d1 of service s on n1 and n2, in its second attempt, and its folder."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "lab" / "d1"
        self._url = f"sqlite:///{tmp_path}/ledger.sqlite"
        self._ledger = SqlLedger(Store(self._url))
        nodes = {name: {"checks": {"s": {"nunit": {"quarantine": QUARANTINE}}}} for name in ("n1", "n2")}
        plan = json.dumps({"folder": str(self.folder), "waves": [], "nodes": nodes})
        deployment = Deployment(id="d1", kind=Kind.DEPLOY, service="s", environment="lab", plan=plan)
        self._ledger.open(deployment, self._event(Step.PLAN, Outcome.OK, "", 1, plan_sha256=plan_digest(plan)))

    def _event(self, step: Step, ended: Outcome, node: str, attempt: int, **details: Any) -> Event:
        return Event(
            service="s",
            environment="lab",
            deployment="d1",
            attempt=attempt,
            step=step,
            outcome=ended,
            nodes=(node,) if node else (),
            details=details,
        )

    def tested(self, node: str, attempt: int, outcome: str, results: bytes | None = RESULTS, **details: Any) -> None:
        """The node's tests ended, and their results were kept."""
        ended = Outcome.OK if outcome == "passed" else Outcome.FAILED
        self._ledger.append(self._event(Step.NUNIT, Outcome.STARTED, node, attempt))
        told = {"outcome": outcome, "msg": f"{node} {outcome}"} | details
        self._ledger.append(self._event(Step.NUNIT, ended, node, attempt, **told))
        if results is not None:
            path = self.folder / results_name("s", node, attempt)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(results)

    def suites(self) -> dict[str, dict[str, str]]:
        """By suite, each case with what it is."""
        record = Record(self._url, "lab", "d1")
        keep_summary(record, record.deployment, lambda told: told)
        if not (self.folder / "junit.xml").exists():
            return {}
        root = parse(self.folder / "junit.xml").getroot()
        assert root is not None
        return {
            str(suite.get("name")): {
                str(case.get("name")): next((each.tag for each in case), "passed") for case in suite.iter("testcase")
            }
            for suite in root
        }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_nothing_is_written_where_no_node_was_tested(place: Place) -> None:
    assert place.suites() == {}


def test_the_last_attempt_of_each_node_counts(place: Place) -> None:
    place.tested("n1", 1, "failed", results_sha256=SHA256)
    place.tested("n2", 1, "passed", results_sha256=SHA256)
    place.tested("n1", 2, "passed", results_sha256=SHA256)
    both = {"A": "passed", "B": "skipped", "gate": "passed"}
    assert place.suites() == {"s.n1": both, "s.n2": both}
    assert (place.folder / "junit.xml").stat().st_mode & 0o777 == 0o600
    # Again, after a kill say: the same.
    assert place.suites() == {"s.n1": both, "s.n2": both}


def test_a_run_without_results_is_told_by_its_verdict(place: Place) -> None:
    place.tested("n1", 1, "timed_out", results=None)
    assert place.suites() == {"s.n1": {"gate": "failure"}}


@pytest.mark.parametrize("results", [None, RESULTS.replace(b"Failed", b"Passed")])
def test_results_that_are_not_the_recorded_ones_are_named_and_not_shown(place: Place, results: bytes | None) -> None:
    place.tested("n1", 1, "passed", results=results, results_sha256=SHA256)
    assert place.suites() == {"s.n1": {"results": "failure", "gate": "passed"}}
    assert "Somebody changed or removed it" in (place.folder / "junit.xml").read_text()
