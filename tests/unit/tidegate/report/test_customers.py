"""What may be said about customers, as a table: only what was counted, and never more."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from tests.unit.tidegate.report.recordings import sample
from tidegate.report.customers import Felt, When, what_customers_felt

BEGUN = Event(
    service="s",
    environment="lab",
    deployment="d",
    attempt=1,
    step=Step.PLAN,
    outcome=Outcome.OK,
    at="2026-01-31T14:25:01.000Z",
)


def samples(*told: tuple[str, str, int, dict[str, Any]]) -> list[Event]:
    return [sample(BEGUN, name, moment, requests, **more) for name, moment, requests, more in told]


def lb(name: str, *requests: int, **last: Any) -> list[Event]:
    """One load balancer's samples: before, then at each move, then after; `last` is what its last one tells."""
    moments = ["before", *(["left", "joined"] * len(requests))[: len(requests) - 2], "after"]
    told, end = zip(moments, requests, strict=True), len(requests) - 1
    return samples(*((name, moment, count, last if place == end else {}) for place, (moment, count) in enumerate(told)))


@pytest.mark.parametrize(
    ("events", "felt", "requests", "failed"),
    [
        ([], Felt.NOT_SAMPLED, 0, 0),
        (lb("a", 5_000, 5_400, 6_000), Felt.NOTHING, 1_000, 0),
        (lb("a", 5_000, 5_400, 6_000) + lb("b", 0, 0, 0), Felt.NOTHING, 1_000, 0),
        (lb("a", 5_000, 5_400, 6_000, failed=3), Felt.SOME_FAILED, 1_000, 3),
        # Failures before it began are nobody's fault here.
        (samples(("a", "before", 100, {"failed": 9}), ("a", "after", 900, {"failed": 9})), Felt.NOTHING, 800, 0),
        (lb("a", 5_000, 5_040, 5_099), Felt.TOO_FEW, 99, 0),
        (lb("a", 5_000, 5_040, 5_099, failed=1), Felt.SOME_FAILED, 99, 1),
        # Another worker: what its counters say is no difference to the former one's.
        (lb("a", 5_000, 6_000, 7_000, worker="9:9"), Felt.PARTLY_KNOWN, 1_000, 0),
        (lb("a", 5_000, 6_000, 700), Felt.PARTLY_KNOWN, 1_000, 0),
        (lb("a", 5_000, 6_000, 7_000) + lb("b", 5_000, 6_000, 7_000, worker="9:9"), Felt.PARTLY_KNOWN, 3_000, 0),
        (lb("a", 5_000, 6_000) + samples(("b", "before", 10, {})), Felt.PARTLY_KNOWN, 1_000, 0),
        (samples(("a", "before", 5_000, {})), Felt.TOO_FEW, 0, 0),
        (samples(("a", "before", 0, {}), ("a", "joined", 400, {}), ("a", "held", 900, {})), Felt.NOTHING, 900, 0),
        # It did not answer at the end, or the attempt was killed: what came after its last sample is not known.
        (samples(("a", "before", 0, {}), ("a", "joined", 900, {})), Felt.PARTLY_KNOWN, 900, 0),
        (lb("a", 0, 900) + samples(("b", "before", 0, {}), ("b", "joined", 900, {})), Felt.PARTLY_KNOWN, 1_800, 0),
        # No counters at all are no sample.
        (samples(("a", "before", 5_000, {"failed": None}), ("a", "after", 9_000, {})), Felt.TOO_FEW, 0, 0),
    ],
)
def test_what_is_said(events: list[Event], felt: Felt, requests: int, failed: int) -> None:
    told = what_customers_felt(events)
    assert (told.felt, told.requests, told.failed) == (felt, requests, failed)
    assert ("No customer was affected" in told.sentence) == (felt is Felt.NOTHING)


def test_a_load_balancer_that_was_planned_and_never_told_is_not_passed_over() -> None:
    told = what_customers_felt(lb("a", 5_000, 6_000), ["a", "b"])
    assert (told.felt, told.lost) == (Felt.PARTLY_KNOWN, ("b",))
    assert "is not known for b" in told.sentence


def test_failures_are_told_as_a_share_and_what_else_may_have_failed() -> None:
    told = what_customers_felt(lb("a", 0, 10_000, failed=5) + lb("b", 0, 10, 0))
    assert told.sentence.startswith("Customers were affected: 5 of 10,010 requests failed (0.05 %). On b more may have")


def test_before_during_and_after_are_told_apart() -> None:
    told = what_customers_felt(lb("a", 5_000, 5_400, 5_600, 6_000, retried=2, total_ms=31))
    assert [(row.when, row.counters["requests"], row.counters["retried"]) for row in told.rows] == [
        (When.BEFORE, 5_000, 0),
        (When.DURING, 600, 0),
        (When.AFTER, 400, 2),
    ]
    assert told.rows[-1].times_ms["total_ms"] == 31


def test_time_between_two_attempts_is_not_counted() -> None:
    first, second = lb("a", 0, 500), lb("a", 90_000, 90_700)
    later = [Event(**{**_values(event), "attempt": 2}) for event in second]
    told = what_customers_felt([*first, *later])
    assert (told.felt, told.requests) == (Felt.NOTHING, 1_200)


def _leave(cut: Any) -> Event:
    told = {"step": Step.LEAVE, "outcome": Outcome.CHANGED, "details": {"sessions_cut_total": cut}}
    return Event(**{**_values(BEGUN), **told})


def test_sessions_that_were_cut_are_no_failure_to_haproxy_and_one_to_customers() -> None:
    leave = _leave(37)
    told = what_customers_felt([leave, *lb("a", 0, 900)])
    assert (told.felt, told.cut) == (Felt.SESSIONS_CUT, 37)
    begin = "Customers were affected: 37 sessions were cut at the drain's hard limit."
    assert told.sentence == f"{begin} 900 requests, none failed."
    failed = what_customers_felt([leave, *lb("a", 0, 900, failed=9)]).sentence
    assert failed.endswith("9 of 900 requests failed (1.0 %). 37 sessions were cut at the drain's hard limit.")
    # No more than is known.
    assert what_customers_felt([leave]).sentence == f"{begin} HAProxy's counters were not recorded."
    partly = what_customers_felt([leave, *lb("a", 0, 900)], ["a", "b"]).sentence
    assert partly.startswith(f"{begin} 900 requests, none failed. On b requests may have failed: ")


@pytest.mark.parametrize("kept", [0, -1, "37", None, 3.5])
def test_where_none_was_cut_nothing_is_said_of_it(kept: Any) -> None:
    assert what_customers_felt([_leave(kept), *lb("a", 0, 900)]).felt is Felt.NOTHING


def test_an_attempt_that_moved_nodes_and_was_not_counted_is_not_passed_over() -> None:
    begun = [
        Event(**{**_values(BEGUN), "attempt": number, "step": Step.WAVE, "details": {"outcome": "begun"}})
        for number in (1, 2)
    ]
    second = [Event(**{**_values(event), "attempt": 2}) for event in lb("a", 0, 700)]
    told = what_customers_felt([*begun, *second])
    assert (told.felt, told.lost, told.requests) == (Felt.PARTLY_KNOWN, ("a",), 700)
    # One that only settled moved nothing.
    assert what_customers_felt([*begun[1:], *second, *_settling(3)]).felt is Felt.NOTHING


def _settling(attempt: int) -> list[Event]:
    return [Event(**{**_values(event), "attempt": attempt}) for event in samples(("a", "after", 9_000, {}))]


def _values(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in Event.__dataclass_fields__}
