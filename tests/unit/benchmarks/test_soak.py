"""What must not be in a soak is named, whoever saw it; a soak whose accounts can't be trusted is no success."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.soak import Turn, problems, report
from tests.unit.benchmarks.accounts import account

TURNS = [Turn("n1", 1.0, 1.0, 2.0), Turn("n2", 4.0, 1.0, 2.5), Turn("n1", 2.0, 1.0, 2.0)]


def test_nothing_is_wrong_with_a_run_without_failures() -> None:
    assert problems(TURNS, account(), "") == []


SEEN: list[tuple[dict[str, Any], str]] = [
    ({"failed": 3}, "3 requests failed"),
    ({"log": {"failed": 2}}, "2 requests failed"),
    ({"retried": 1}, "1 requests retried"),
    ({"counted": {"retried": 4}}, "4 requests retried"),
    ({"redispatched": 1}, "1 requests re-dispatched"),
    ({"counted": {"redispatched": 5}}, "5 requests re-dispatched"),
    ({"log": {"total": 99}}, "the clients wrote 100 requests, the logs have 99"),
    ({"log": {"repeated": 1}}, "1 requests were sent twice"),
    ({"log": {"unreadable": 1}}, "1 lines of the logs are unreadable"),
    ({"log": {"dropped": 1}}, "HAProxy dropped 1 lines of its logs"),
    ({"unsent": 2}, "2 requests were not sent"),
    ({"stray_bytes": 5}, "5 bytes came unasked"),
    ({"ended_by": "time"}, "the load ended by itself (time)"),
    ({"requests_total": 0}, "there were no requests"),
]


@pytest.mark.parametrize(("what", "told"), SEEN)
def test_whatever_one_account_saw_is_told(what: dict[str, Any], told: str) -> None:
    assert problems(TURNS, account(**what), "") == [told]


def test_an_error_and_a_soak_without_a_turn_are_told() -> None:
    assert problems([], account(), "turn 1: no") == ["turn 1: no", "no node had a turn"]


def test_the_report_tells_turns_and_how_long_they_took() -> None:
    told = report(TURNS, account(), "")
    assert (told["turns"], told["turns_by_node"]) == (3, {"n1": 2, "n2": 1})
    assert told["leave_s"] == {"median": 2.0, "longest": 4.0}
    assert told["join_s"] == {"median": 2.0, "longest": 2.5}
    assert (told["requests"], told["failed"], told["retried"], told["redispatched"]) == (100, 0, 0, 0)
    assert report([], account(), "")["leave_s"] == {}
