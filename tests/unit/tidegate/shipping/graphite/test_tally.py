"""Counting events by interval: what is sent is an interval's whole value, however often an event comes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tidegate.shipping.graphite.tally import KEPT, OtherIntervalError, Tally

BEGIN = 1_800_000_000


def event(**other: Any) -> dict[str, Any]:
    plain = {"environment": "lab", "service": "tradeapi", "step": "health", "outcome": "ok", "duration_ms": None}
    return {**plain, **other}


def lines(tally: Tally, prefix: str = "t") -> list[str]:
    return tally.lines(prefix, tally.keys()).decode().splitlines()


def test_counts_and_durations_by_environment_service_step_and_outcome() -> None:
    tally = Tally(60)
    tally.add("1", BEGIN + 1.5, event(duration_ms=200))
    tally.add("2", BEGIN + 59.9, event(duration_ms=300))
    tally.add("3", BEGIN + 2, event(outcome="failed"))
    tally.add("4", BEGIN + 60, event())
    assert lines(tally) == [
        f"t.lab.tradeapi.health.failed.count 1 {BEGIN}",
        f"t.lab.tradeapi.health.ok.count 2 {BEGIN}",
        f"t.lab.tradeapi.health.ok.duration_ms.count 2 {BEGIN}",
        f"t.lab.tradeapi.health.ok.duration_ms.max 300 {BEGIN}",
        f"t.lab.tradeapi.health.ok.duration_ms.sum 500 {BEGIN}",
        f"t.lab.tradeapi.health.ok.count 1 {BEGIN + 60}",
    ]


def test_an_event_counts_once_however_often_it_comes() -> None:
    tally = Tally(10)
    for _ in range(3):
        assert tally.add("1", BEGIN, event(duration_ms=5)) == ("lab", BEGIN)
    assert lines(tally)[0].endswith(f"count 1 {BEGIN}")


def test_what_was_kept_goes_on_where_it_was() -> None:
    tally = Tally(10)
    tally.add("1", BEGIN, event(service="_ü", environment=".x", duration_ms=5))
    again = Tally.of_dict(json.loads(json.dumps(tally.as_dict())), 10)
    assert lines(again) == lines(tally)
    again.add("1", BEGIN, event(service="_ü", environment=".x", duration_ms=5))
    assert lines(again) == lines(tally)


def test_of_another_interval_nothing_goes_on() -> None:
    tally = Tally(10)
    tally.add("1", BEGIN, event())
    with pytest.raises(OtherIntervalError):
        Tally.of_dict(tally.as_dict(), 60)


@pytest.mark.parametrize("name", ["a 1 2\nb", "", "a..b"])
def test_a_kept_name_that_would_be_another_line_is_no_tally(name: str) -> None:
    kept = {"environment": "lab", "begin": 1, "ids": [], "values": {name: 1}}
    with pytest.raises(ValueError, match=r".*"):
        Tally.of_dict({"interval": 10, "intervals": [kept]}, 10)


def test_those_that_were_counted_in_last_are_kept_whatever_their_times_are() -> None:
    tally = Tally(60)
    for number in range(KEPT):
        tally.add(str(number), BEGIN - 60 * number, event())
    tally.forget()
    assert len(tally.keys()) == KEPT
    tally.add("again", BEGIN, event())
    tally = Tally.of_dict(tally.as_dict(), 60)
    tally.add("ahead", BEGIN + 10**8, event(environment="prod"))
    tally.forget()
    assert len(tally.keys()) == KEPT
    kept = tally.keys()
    assert {("lab", BEGIN), ("prod", (BEGIN + 10**8) // 60 * 60)} <= kept
    assert ("lab", BEGIN - 60) not in kept


def test_no_id_and_no_name_is_kept_as_it_was() -> None:
    tally = Tally(60)
    tally.add("some-id", BEGIN, event(service="trade api"))
    kept = json.dumps(tally.as_dict())
    assert "some-id" not in kept and "trade api" not in kept
