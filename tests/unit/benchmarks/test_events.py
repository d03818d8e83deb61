"""The figures of `make bench-events` from what was measured, and the order in which it is."""

from __future__ import annotations

from pathlib import Path

from benchmarks import shipping
from benchmarks.collector import CASES, Collector
from benchmarks.events import SIDES, figures, measured_rounds
from tidegate.ledger import SqlLedger
from tidegate.store import Store


def same(none: float, ours: float, other: float) -> dict[str, dict[str, float]]:
    return {case: dict(zip(SIDES, (none, ours, other), strict=True)) for case in CASES}


def test_what_is_added_is_of_the_medians() -> None:
    rounds = [same(100.0, 100.5, 150.0), same(90.0, 300.0, 160.0), same(110.0, 90.0, 200.0)]
    told = figures(rounds)
    assert set(told["added_pct"]) == {"0ms", "200ms", "2000ms", "down"}
    assert set(told["added_pct"].values()) == {0.5}
    assert set(told["peer_added_pct"].values()) == {60.0}
    assert told["wall_s"]["down"] == {"none": 100.0, "tidegate": 100.5, "other": 160.0}


def test_every_other_round_is_in_the_opposite_order() -> None:
    asked: list[tuple[str, str]] = []

    def wall_s(side: str, case: str) -> float:
        asked.append((side, case))
        return float(len(asked))

    told: list[str] = []
    rounds = measured_rounds(wall_s, 2, 2, told.append)
    assert asked == [(side, case) for order in (SIDES, SIDES[::-1]) for case in CASES for side in order]
    assert rounds[0]["0ms"] == {"none": 1.0, "tidegate": 2.0, "other": 3.0}
    assert told[0] == "round 1 of 2, 0ms: none 1.0 s, tidegate 2.0 s, other 3.0 s"


def test_the_other_callback_may_be_measured_in_fewer_rounds() -> None:
    asked: list[str] = []
    told: list[str] = []

    def wall_s(side: str, case: str) -> float:
        asked.append(side)
        return {"none": 100.0, "tidegate": 101.0, "other": 150.0}[side]

    rounds = measured_rounds(wall_s, 3, 1, told.append)
    assert [asked.count(side) for side in SIDES] == [3 * len(CASES), 3 * len(CASES), len(CASES)]
    assert told[-1] == "round 3 of 3, down: none 100.0 s, tidegate 101.0 s"
    assert set(figures(rounds)["peer_added_pct"].values()) == {50.0}


def test_what_the_collector_was_never_asked_about_is_missing(tmp_path: Path) -> None:
    ledger = f"sqlite:///{tmp_path}/ledger.sqlite"
    shipping.fill(ledger, 3)
    assert len(list(SqlLedger(Store(ledger)).entries("bench"))) == 3
    assert shipping.missing(Collector(tmp_path, 1, "", ""), ledger, "bench") == 3
