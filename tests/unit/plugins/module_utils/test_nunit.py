from __future__ import annotations

import json

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.expectation import Expectation, Expected
from ansible_collections.tidegate.delivery.plugins.module_utils.http_answer import Answer
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit import (
    MOST_FAILURES,
    Counts,
    NUnitOutcome,
    blot_out,
    blot_out_xml,
    ended_early,
    first_line,
    gate,
    judge_results,
    misaimed,
    unfinished,
    without,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit_box import BoxReport, Stage
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit_results import Case, CaseOutcome, Results, Unread

EXPECTED = Expectation(version=Expected("$.version", "1.1.0"))


def cases(letters: str, assembly: str = "A.dll") -> list[Case]:
    """One case a letter: p(assed), f(ailed), i(nconclusive), s(kipped)."""
    outcome = {letter: next(o for o in CaseOutcome if o.value[0] == letter) for letter in "pfis"}
    return [Case(f"T{number}", outcome[letter], "", assembly) for number, letter in enumerate(letters)]


@pytest.mark.parametrize(
    ("letters", "min_tests", "allowed", "outcome"),
    [
        ("ppp", 3, 0, NUnitOutcome.PASSED),
        ("ppp", 4, 0, NUnitOutcome.TOO_FEW),
        ("ppf", 1, 0, NUnitOutcome.FAILED),
        ("ppf", 3, 1, NUnitOutcome.PASSED),
        ("pff", 1, 1, NUnitOutcome.FAILED),
        ("ppi", 1, 0, NUnitOutcome.FAILED),
        ("ppi", 2, 1, NUnitOutcome.PASSED),
        ("ppi", 3, 1, NUnitOutcome.TOO_FEW),
        ("pps", 2, 0, NUnitOutcome.PASSED),
        ("pps", 3, 0, NUnitOutcome.TOO_FEW),
        ("", 1, 0, NUnitOutcome.NO_TESTS),
        ("", 0, 0, NUnitOutcome.NO_TESTS),
        ("sss", 1, 9, NUnitOutcome.NO_TESTS),
        ("iii", 1, 9, NUnitOutcome.NO_TESTS),
        ("f", 1, 0, NUnitOutcome.FAILED),
    ],
)
def test_the_gate(letters: str, min_tests: int, allowed: int, outcome: NUnitOutcome) -> None:
    assert gate(cases(letters), min_tests, allowed).outcome is outcome


def test_each_of_several_assemblies_must_have_run() -> None:
    assert gate(cases("pp", "A.dll") + cases("p", "B.dll"), 1, 0, ["A.dll", "B.dll"]).outcome is NUnitOutcome.PASSED
    verdict = gate(cases("pp", "A.dll") + cases("s", "B.dll"), 1, 0, ["A.dll", "B.dll"])
    assert verdict.outcome is NUnitOutcome.NO_TESTS
    assert verdict.sentence == "no test of B.dll ran: of 3 tests 2 passed, 1 skipped"


def test_the_sentence_names_failing_tests_with_their_first_lines_bounded() -> None:
    failing = [Case(f"Trade.T{number}", CaseOutcome.FAILED, "Expected: 1\n  But was:  2") for number in range(50)]
    verdict = gate(failing, 1, 0)
    assert verdict.sentence.startswith(
        "of 50 tests 0 passed, 50 failed, 0 may fail. Trade.T0: Expected: 1 But was:  2; Trade.T1:"
    )
    assert verdict.sentence.endswith("; and 45 more")
    assert len(verdict.failures) == MOST_FAILURES
    assert verdict.counts == Counts(50, 0, 50, 0, 0)


def test_a_message_is_one_safe_bounded_line() -> None:
    told = first_line(Case("T", CaseOutcome.FAILED, "red \x1b[31m\n\n  at " + "x" * 1000))
    assert told.startswith(r"red \x1b[31m  at xxx")
    assert len(told) < 350
    assert first_line(Case("T", CaseOutcome.INCONCLUSIVE)) == "inconclusive"


def probe(version: str = "1.1.0", node: str = "n1") -> Answer:
    return Answer(0.0, 0.0, 200, {"x-served-by": node}, json.dumps({"version": version}).encode())


def report(before: Answer | None, after: Answer | None) -> BoxReport:
    probes = {"before": before, "after": after}
    return BoxReport(Stage.DONE, probes={when: answer for when, answer in probes.items() if answer})


@pytest.mark.parametrize(
    ("before", "after", "outcome", "told"),
    [
        (probe(node="n2"), probe(), NUnitOutcome.WRONG_NODE, "before the tests the answer aimed at n1"),
        (probe(), probe(node="n2"), NUnitOutcome.WRONG_NODE, "status 200, X-Served-By: n2"),
        (probe(), probe(node=""), NUnitOutcome.WRONG_NODE, "X-Served-By: missing"),
        (probe(), Answer(0, 0, problem="timed out"), NUnitOutcome.WRONG_NODE, "after the tests"),
        (probe(), None, NUnitOutcome.WRONG_NODE, "it was not asked"),
        (probe("1.0.0"), probe(), NUnitOutcome.WRONG_RELEASE,
         "before the tests n1 serves version 1.0.0, expected 1.1.0"),
        (probe(), probe("1.0.0"), NUnitOutcome.WRONG_RELEASE, "after the tests n1 serves version 1.0.0"),
        (probe(), Answer(0, 0, 500, {"x-served-by": "n1"}), NUnitOutcome.WRONG_RELEASE, "status is 500"),
    ],
)  # fmt: skip
def test_tests_of_somebody_else_are_no_evidence(
    before: Answer | None, after: Answer | None, outcome: NUnitOutcome, told: str
) -> None:
    verdict = misaimed(report(before, after), "n1", "X-Served-By", EXPECTED)
    assert verdict is not None
    assert verdict.outcome is outcome
    assert told in verdict.sentence


def test_both_probes_of_the_aimed_node_and_release_are_evidence() -> None:
    assert misaimed(report(probe(), probe()), "n1", "X-Served-By", EXPECTED) is None


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.DONE])
def test_every_early_end_has_an_outcome_that_is_no_pass(stage: Stage) -> None:
    verdict = ended_early(BoxReport(stage, "the reason"))
    assert verdict is not None
    assert verdict.outcome is not NUnitOutcome.PASSED
    assert "the reason" in verdict.sentence


@pytest.mark.parametrize(
    ("rc", "seconds", "have_results", "outcome"),
    [
        (124, 10.0, True, NUnitOutcome.TIMED_OUT),
        (137, 15.0, False, NUnitOutcome.TIMED_OUT),
        (137, 2.0, False, NUnitOutcome.NO_RESULTS),
        (124, 2.0, True, None),
        (0, 2.0, False, NUnitOutcome.NO_RESULTS),
        (6, 2.0, True, None),
    ],
)
def test_a_run_without_an_end_is_not_judged(
    rc: int, seconds: float, have_results: bool, outcome: NUnitOutcome | None
) -> None:
    verdict = unfinished(BoxReport(Stage.DONE, runner_rc=rc, runner_seconds=seconds), 10.0, have_results)
    assert (verdict.outcome if verdict else None) is outcome


def test_broken_results_are_named_and_remarks_explain_why_nothing_ran() -> None:
    assert judge_results(Unread("cut off"), 1, 0, ["A.dll"]).outcome is NUnitOutcome.BROKEN_RESULTS
    verdict = judge_results(Results((), ("Assembly A.dll: bad image",)), 1, 0, ["A.dll"])
    assert verdict.sentence == "no test ran: of 0 tests 0 passed. Also: Assembly A.dll: bad image"


def test_secrets_are_blotted_out_longest_first_and_before_anything_is_cut() -> None:
    assert blot_out("hunter22 hunter2", ["hunter2", "hunter22"]) == "******** ********"
    assert blot_out("on", ["on"]) == "on"
    case = Case("T", CaseOutcome.FAILED, "x" * 1995 + "hunter2")
    results = without(Results((case,)), ["hunter2"])
    assert isinstance(results, Results)
    assert "hun" not in results.cases[0].message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_secrets_are_blotted_out_of_the_results_file(encoding: str) -> None:
    secret = "<a&\"b'c>"
    xml = f'<m>{secret}</m><m a="&lt;a&amp;&quot;b&apos;c&gt;">&lt;a&amp;"b\'c&gt;</m>'.encode(encoding)
    assert blot_out_xml(xml, [secret]).decode(encoding) == '<m>********</m><m a="********">********</m>'
