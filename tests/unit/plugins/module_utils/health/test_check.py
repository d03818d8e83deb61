from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.health.check import (
    HealthOutcome,
    HealthResult,
    Pace,
    check,
    explain,
    row,
    verdict,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import (
    Expectation,
    Expected,
    Finding,
    judge,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.http_answer import Answer, Target
from ansible_collections.tidegate.delivery.plugins.module_utils.health.probes import http_probe

TARGET = Target("http://n1:8080/health")
EXPECTATION = Expectation(version=Expected("$.version", "1.1.0"))


def said(version: str = "1.1.0", status: int = 200, pid: int = 7) -> Answer:
    return Answer(0.0, 0.001, status, {}, json.dumps({"version": version, "pid": pid}).encode())


GOOD = said()
REFUSED = Answer(0.0, 0.001, problem="connection refused")
LATE = Answer(0.0, 5.0, problem="no complete answer within 5s", late=True)


def findings(answers: Iterable[Answer]) -> list[Finding]:
    return [judge(answer, EXPECTATION) for answer in answers]


class World:
    """A clock that only moves when something is waited for, and a server that answers from a list."""

    def __init__(self, answers: Callable[[int], Answer]) -> None:
        self.now = 0.0
        self.asked: list[tuple[float, float]] = []
        self._answers = answers

    def ask(self, _target: Target, timeout: float) -> Answer:
        self.asked.append((self.now, timeout))
        answer = self._answers(len(self.asked) - 1)
        self.now += min(answer.seconds, timeout)
        return answer

    def check(self, pace: Pace) -> HealthResult:
        return check(http_probe(TARGET, EXPECTATION, self.ask), pace, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("answers", "length"),
    [
        ([], 0),
        ([GOOD], 1),
        ([REFUSED, GOOD, GOOD], 2),
        ([GOOD, GOOD, REFUSED], 0),
        ([GOOD, said("1.0.0"), GOOD], 1),
        ([GOOD, said(pid=8), said(pid=8)], 2),
        ([said(pid=8), GOOD, said(pid=8)], 1),
    ],
)
def test_a_row_is_unbroken_and_of_one_process(answers: list[Answer], length: int) -> None:
    assert row(findings(answers)) == length


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([GOOD, GOOD, GOOD], HealthOutcome.HEALTHY),
        ([GOOD, GOOD], HealthOutcome.DEADLINE),
        ([], HealthOutcome.DEADLINE),
        ([LATE, LATE], HealthOutcome.DEADLINE),
        ([REFUSED, LATE], HealthOutcome.UNHEALTHY),
        ([GOOD, REFUSED], HealthOutcome.UNHEALTHY),
        ([REFUSED, said("1.0.0"), GOOD], HealthOutcome.WRONG_RELEASE),
        ([said("1.0.0"), REFUSED], HealthOutcome.UNHEALTHY),
        ([said("1.0.0", 503)], HealthOutcome.WRONG_RELEASE),
    ],
)
def test_the_verdict_when_the_time_is_up(answers: list[Answer], outcome: HealthOutcome) -> None:
    assert verdict(findings(answers), 3, out_of_time=True) is outcome


def test_before_that_only_health_ends_it() -> None:
    assert verdict(findings([said("1.0.0")]), 3, out_of_time=False) is None
    assert verdict(findings([GOOD]), 1, out_of_time=False) is HealthOutcome.HEALTHY


def test_three_in_a_row_take_two_intervals() -> None:
    world = World(lambda _: GOOD)
    result = world.check(Pace(in_a_row=3, interval=0.5))
    assert result.outcome is HealthOutcome.HEALTHY
    assert [at for at, _ in world.asked] == pytest.approx([0.0, 0.5, 1.0])
    assert result.release.version == "1.1.0"


def test_a_failed_answer_resets_the_row() -> None:
    world = World(lambda index: REFUSED if index == 2 else GOOD)
    assert world.check(Pace(in_a_row=3)).outcome is HealthOutcome.HEALTHY
    assert len(world.asked) == 6


def test_the_deadline_holds_and_no_request_may_pass_it() -> None:
    world = World(lambda _: LATE)
    result = world.check(Pace(interval=0.5, timeout=12.0, request_timeout=5.0))
    assert result.outcome is HealthOutcome.DEADLINE
    assert world.now == pytest.approx(12.0)
    assert [timeout for _, timeout in world.asked] == pytest.approx([5.0, 5.0, 2.0])


def test_an_answer_that_the_deadline_cut_short_hides_no_reason() -> None:
    world = World(lambda index: said("1.0.0") if index < 8 else LATE)
    result = world.check(Pace(interval=0.5, timeout=4.2, request_timeout=5.0))
    assert result.outcome is HealthOutcome.WRONG_RELEASE
    assert len(result.findings) == 8


def test_the_explanation_names_the_wrong_release_and_the_last_answers() -> None:
    world = World(lambda _: said("1.0.0"))
    pace = Pace(in_a_row=3, interval=0.5, timeout=2.0)
    told = explain(world.check(pace), pace)
    assert told.startswith("it serves another release: not 3 good answers in a row (4 answers in 1.5s, 0 of them good)")
    assert told.count("serves version 1.0.0, expected 1.1.0") == 3


def test_the_explanation_names_a_process_that_restarts_all_the_time() -> None:
    world = World(lambda index: said(pid=index))
    pace = Pace(in_a_row=3, interval=0.5, timeout=2.0)
    assert "from 4 different processes (it restarts)" in explain(world.check(pace), pace)
