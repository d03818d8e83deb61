"""What the folder's files add, and that they are read with limits and suspicion."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from tidegate.report.findings import MAX_FAILURES, read_puppet, read_tests


def event(step: Step, ended: Outcome = Outcome.FAILED, **details: Any) -> Event:
    return Event(
        service="s",
        environment="lab",
        deployment="d",
        attempt=1,
        step=step,
        outcome=ended,
        nodes=("n1",),
        at="2026-01-31T14:25:01.000Z",
        details=details,
    )


def results(folder: Path, cases: str) -> str:
    """The tests' results in the folder; their digest, as the ledger has it."""
    path = folder / "nunit" / "s.n1.1.xml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"<testsuites><testsuite name='s'>{cases}</testsuite></testsuites>")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def failure(name: str, message: str) -> str:
    return f"<testcase classname='A' name='{name}'><failure message='{message}'/></testcase>"


def test_ten_thousand_failed_tests_are_counted_and_the_first_are_told(tmp_path: Path) -> None:
    sha256 = results(tmp_path, "".join(failure(f"T{number}", "m" * 50) for number in range(10_000)))
    told = read_tests([event(Step.NUNIT, results_sha256=sha256, failed_tests=10_000, failing=["A.T0: m"])], tmp_path)
    assert len(told.failures) == MAX_FAILURES
    assert told.left_out == 10_000 - MAX_FAILURES
    assert (told.failures[0].name, told.failures[0].nodes) == ("A.T0", ("n1",))


def test_secrets_are_taken_out_of_names_and_messages(tmp_path: Path) -> None:
    sha256 = results(tmp_path, failure("T_hunter22", "password hunter22"))
    told = read_tests(
        [event(Step.NUNIT, results_sha256=sha256)], tmp_path, lambda text: text.replace("hunter22", "***")
    )
    assert [(each.name, each.message) for each in told.failures] == [("A.T_***", "password ***")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "are not in the deployment's folder"),
        ("<testsuites/>", "are not those that the ledger has the digest of"),
    ],
)
def test_without_the_recorded_file_the_ledgers_names_are_told(tmp_path: Path, text: str | None, problem: str) -> None:
    if text is not None:
        results(tmp_path, text)
    told = read_tests([event(Step.NUNIT, results_sha256="0" * 64, failing=["A.T: it broke"])], tmp_path)
    assert [(each.name, each.message) for each in told.failures] == [("A.T", "it broke")]
    assert problem in told.problems[0]


def test_a_file_with_entities_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "nunit" / "s.n1.1.xml"
    path.parent.mkdir()
    path.write_text("<!DOCTYPE x [<!ENTITY a 'b'>]><testsuites>&a;</testsuites>")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    told = read_tests([event(Step.NUNIT, results_sha256=sha256, failing=["A.T: it broke"])], tmp_path)
    assert [each.name for each in told.failures] == ["A.T"] and told.problems


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"report": []}', '{"report": {"changed": "x", "resources": 3, "failed": {}}}', "[" * 99_999],
)
def test_a_puppet_report_that_is_none_adds_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "puppet").mkdir()
    (tmp_path / "puppet" / "n1.1.json").write_text(text)
    (told,) = read_puppet([event(Step.PUPPET, Outcome.CHANGED, outcome="changed", own_s=3.5)], tmp_path)
    assert (told.outcome, told.seconds, told.changed, told.changed_count) == ("changed", 3.5, (), None)


def test_failed_resources_are_told_with_their_place(tmp_path: Path) -> None:
    (tmp_path / "puppet").mkdir()
    failed = [{"resource": "File[/x]", "place": "a.pp:3", "message": "no room"}]
    report = {"report": {"changed": ["File[/y]"], "failed": failed, "resources": {"changed": 1}}}
    (tmp_path / "puppet" / "n1.1.json").write_text(json.dumps(report))
    (told,) = read_puppet([event(Step.PUPPET, outcome="failed_resources")], tmp_path)
    assert told.failed == ("File[/x] (a.pp:3): no room",)
    assert (told.good, told.changed, told.changed_count) == (False, ("File[/y]",), 1)
