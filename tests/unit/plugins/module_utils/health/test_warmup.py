from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.health.http_answer import Answer, Target
from ansible_collections.tidegate.delivery.plugins.module_utils.health.warmup import (
    WarmupPlan,
    explain_warmup,
    judge_round,
    percentile,
    warm_up,
)

A, B = Target("http://n1/a"), Target("http://n1/b")
PLAN = WarmupPlan((A, B), {"p95": 0.2}, batch=20, concurrency=1)


def took(seconds: float, status: int = 200) -> Answer:
    return Answer(0.0, seconds, status)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([3, 1, 2], 0.5, 2),
        (list(range(1, 101)), 0.95, 95),
        (list(range(1, 21)), 0.95, 19),
        ([5], 0.99, 5),
        ([1, 9], 1.0, 9),
    ],
)
def test_percentiles_are_values_that_were_measured(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


def test_one_cold_url_can_not_hide_among_warm_ones() -> None:
    a_round = judge_round({A.url: [took(0.01)] * 99, B.url: [took(0.5)]}, PLAN)
    assert not a_round.warm
    assert a_round.complaints == ("p95 of http://n1/b is 500ms, limit 200ms",)


def test_a_failed_request_is_not_warm_however_fast() -> None:
    a_round = judge_round({A.url: [took(0.01)] * 9 + [took(0.01, 500)], B.url: [took(0.01)]}, PLAN)
    assert a_round.complaints == ("1 requests failed, the last one: status 500 ''",)


def test_rounds_go_on_until_one_is_warm() -> None:
    clock = Clock()

    def ask(target: Target, timeout: float) -> Answer:
        clock.asked += 1
        return took(1.0 if clock.asked <= 20 and target is B else 0.01)

    result = warm_up(PLAN, ask=ask, clock=clock, sleep=clock.sleep)
    assert result.warm
    assert [a_round.requests for a_round in result.rounds] == [20, 20]
    assert explain_warmup(result, PLAN) == "warm: p95 10ms after 40 requests in 2 rounds and 0ms"


def test_a_node_that_stays_cold_ends_at_the_deadline() -> None:
    clock = Clock()

    def ask(target: Target, timeout: float) -> Answer:
        clock.now += min(0.3, timeout)
        return took(0.3)

    result = warm_up(PLAN, ask=ask, clock=clock, sleep=clock.sleep)
    assert not result.warm
    assert clock.now == pytest.approx(60.0, abs=0.5)
    told = explain_warmup(result, PLAN)
    assert told.startswith(("still cold after 180 requests", "still cold after 200 requests"))
    assert "First round: p95 300ms. Last: p95 of http://n1/a is 300ms, limit 200ms" in told


def test_what_refuses_at_once_is_not_asked_in_a_busy_loop() -> None:
    clock = Clock()

    def ask(target: Target, timeout: float) -> Answer:
        clock.asked += 1
        return Answer(0.0, 0.0, problem="connection refused")

    result = warm_up(PLAN, ask=ask, clock=clock, sleep=clock.sleep)
    assert not result.warm
    assert clock.asked <= 20 * 60 * 4 + 20
    assert "connection refused" in explain_warmup(result, PLAN)


@pytest.mark.parametrize(
    ("targets", "until", "batch", "concurrency", "told"),
    [
        ((A,), {"p96": 1.0}, 20, 4, "p96"),
        ((A,), {}, 20, 4, "nothing"),
        ((), {"p95": 1.0}, 20, 4, "0 URLs"),
        ((A,), {"p95": 1.0}, 0, 4, "batch 0"),
        ((A,), {"p95": 1.0}, 20, 1000, "concurrency 1000"),
    ],
)
def test_a_plan_that_makes_no_round_is_refused(
    targets: tuple[Target, ...], until: dict[str, float], batch: int, concurrency: int, told: str
) -> None:
    with pytest.raises(BadInput, match=told):
        WarmupPlan(targets, until, batch, concurrency)


def test_a_round_that_the_deadline_cut_short_hides_no_latency() -> None:
    clock = Clock()

    def ask(target: Target, timeout: float) -> Answer:
        clock.now += min(0.9, timeout)
        return took(0.9) if timeout >= 0.9 else Answer(0.0, timeout, problem="no complete answer", late=True)

    plan = WarmupPlan((A,), {"p95": 0.2}, batch=4, concurrency=1, timeout=10.0)
    result = warm_up(plan, ask=ask, clock=clock, sleep=clock.sleep)
    assert [a_round.failed for a_round in result.rounds] == [0, 0]
    assert result.rounds[-1].complaints == ("p95 of http://n1/a is 900ms, limit 200ms",)
