from __future__ import annotations

import io
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.junit_writer import JUnitWriter
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results import read_results
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import Case, CaseOutcome, Results

ANY_TEXT = st.text(st.characters(codec=None), max_size=40)


def written(*suites: tuple[str, list[tuple[Case, str]]]) -> bytes:
    file = io.BytesIO()
    writer = JUnitWriter(file, "all of them")
    for name, cases in suites:
        writer.begin(name, {"node": name})
        for case, excuse in cases:
            writer.case(case, excuse)
        writer.end()
    writer.close()
    return file.getvalue()


def root_of(data: bytes) -> Element:
    root = fromstring(data)
    assert isinstance(root, Element)
    return root


def test_each_outcome_is_told_as_jenkins_shows_it() -> None:
    cases = [
        (Case("S.Mixed.Passes", CaseOutcome.PASSED, seconds=0.5), ""),
        (Case("S.Mixed.Fails(1.5)", CaseOutcome.FAILED, "Expected: <1>\n  But was:  \x1b2", seconds=0.25), ""),
        (Case("S.Mixed.Unsure", CaseOutcome.INCONCLUSIVE, "cannot tell"), ""),
        (Case("S.Mixed.Ignored", CaseOutcome.SKIPPED, "not yet"), ""),
        (Case("S.Mixed.Flaky", CaseOutcome.FAILED, "once more"), "in quarantine until 2026-12-31 (TRADE-117)"),
        (Case("Bare", CaseOutcome.PASSED), ""),
    ]
    root = root_of(written(("tradeapi.n1", cases)))
    [suite] = root
    assert suite.attrib == {
        "name": "tradeapi.n1",
        "tests": "6",
        "failures": "2",
        "errors": "0",
        "skipped": "2",
        "time": "0.750",
    }
    assert root.attrib == suite.attrib | {"name": "all of them"}
    assert [(case.get("classname"), case.get("name")) for case in suite.iter("testcase")] == [
        ("S.Mixed", "Passes"),
        ("S.Mixed", "Fails(1.5)"),
        ("S.Mixed", "Unsure"),
        ("S.Mixed", "Ignored"),
        ("S.Mixed", "Flaky"),
        ("", "Bare"),
    ]
    failed, unsure = suite.iter("failure")
    assert (failed.get("message"), failed.text) == (
        "Expected: <1> But was:  \ufffd2".replace("\ufffd", "\\x1b"),
        "Expected: <1>\n  But was:  \ufffd2",
    )
    assert unsure.get("type") == "inconclusive"
    assert [skipped.get("message") for skipped in suite.iter("skipped")] == [
        "not yet",
        "in quarantine until 2026-12-31 (TRADE-117): once more",
    ]


def test_suites_have_their_own_totals() -> None:
    passed, failed = (Case("A", CaseOutcome.PASSED), ""), (Case("B", CaseOutcome.FAILED), "")
    root = root_of(written(("n1", [passed, failed]), ("n2", [passed]), ("n3", [])))
    assert [(suite.get("tests"), suite.get("failures")) for suite in root] == [("2", "1"), ("1", "0"), ("0", "0")]
    assert (root.get("tests"), root.get("failures")) == ("3", "1")
    assert [suite.find("properties/property") is not None for suite in root] == [True] * 3


@pytest.mark.parametrize("number", [10**9])
def test_the_room_for_totals_is_enough_for_any(number: int) -> None:
    file = io.BytesIO()
    writer = JUnitWriter(file, "n")
    writer._all.tests = writer._all.failures = writer._all.skipped = number
    writer._all.seconds = 1e12
    writer.close()
    assert root_of(file.getvalue()).get("tests") == str(number)


@given(st.lists(st.tuples(ANY_TEXT, st.sampled_from(CaseOutcome), ANY_TEXT), max_size=5), ANY_TEXT)
def test_whatever_is_written_is_xml_and_reads_as_it_was(told: list[tuple[str, CaseOutcome, str]], suite: str) -> None:
    cases = [Case(name, outcome, message) for name, outcome, message in told]
    read: list[Case] = []
    results = read_results([written((suite, [(case, "") for case in cases]))], read.append)
    assert isinstance(results, Results)
    not_passed = {CaseOutcome.INCONCLUSIVE: CaseOutcome.FAILED}
    assert [case.outcome for case in read] == [not_passed.get(case.outcome, case.outcome) for case in cases]
