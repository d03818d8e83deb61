from __future__ import annotations

import json

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import Expectation, Expected
from ansible_collections.tidegate.delivery.plugins.module_utils.health.http_answer import Answer
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box_report import BoxReport, Stage
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.gate import NUnitOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.run import ended_early, misaimed, unfinished

EXPECTED = Expectation(version=Expected("$.version", "1.1.0"))


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
