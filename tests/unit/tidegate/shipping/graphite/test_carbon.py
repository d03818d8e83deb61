"""Which intervals go to carbon: never one that Whisper would write over the sum of a coarser slot."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tidegate.shipping.graphite import carbon
from tidegate.shipping.graphite.carbon import COUNTED_S, SENT_S, CarbonSink
from tidegate.shipping.graphite.settings import CarbonSettings
from tidegate.shipping.sinks import Delivered, Item, Retry

NOW = 1_800_000_000.0
DAY_S = 86_400
NAME = "tidegate.lab.tradeapi.health.ok.count"


class Carbon:
    """Keeps, as carbon does, the last value of each metric and time; `lines` are the last delivery's."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, int], int] = {}
        self.lines: dict[int, int] = {}
        self.problem = ""

    def send(self, _address: tuple[str, int], data: bytes, _timeout: float) -> str:
        told = [line.split() for line in data.decode().splitlines() if ".duration_ms" not in line]
        self.lines = {int(at): int(value) for _name, value, at in told}
        if not self.problem:
            self.kept |= {(name, int(at)): int(value) for name, value, at in told}
        return self.problem

    @property
    def count(self) -> int:
        return sum(self.kept.values())


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Carbon:
    made = Carbon()
    monkeypatch.setattr(carbon, "send", made.send)
    at(monkeypatch, NOW)
    return made


def at(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    monkeypatch.setattr(time, "time", lambda: now)


def sink(spool: Path, interval: int = 60) -> CarbonSink:
    return CarbonSink(CarbonSettings("carbon.example.org", interval=interval), spool)


def item(when: float) -> Item:
    fields = {"environment": "lab", "service": "tradeapi", "step": "health", "outcome": "ok", "duration_ms": 5}
    return Item("event", os.urandom(8).hex(), when, fields)


def test_the_next_deployment_sends_nothing_of_the_one_days_ago(
    fake: Carbon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink(tmp_path).deliver([item(NOW + 60 * minute) for minute in range(8)])
    at(monkeypatch, NOW + 3 * DAY_S)
    assert sink(tmp_path).deliver([item(NOW + 3 * DAY_S)]) == Delivered({})
    assert fake.lines == {NOW + 3 * DAY_S: 1}


def test_a_process_begins_with_the_intervals_of_the_last_hour(fake: Carbon, tmp_path: Path) -> None:
    old, recent = NOW - 7200, NOW - 600
    sink(tmp_path).deliver([item(old), item(recent)])
    again = sink(tmp_path)
    again.deliver([item(NOW)])
    assert fake.lines == {recent: 1, NOW: 1}
    again.deliver([item(NOW)])
    assert fake.lines == {NOW: 2}


def test_after_a_failure_so_does_the_next_delivery(fake: Carbon, tmp_path: Path) -> None:
    one = sink(tmp_path)
    one.deliver([item(NOW - 600)])
    fake.problem = "carbon is down"
    batch = [item(NOW - 7200)]
    assert one.deliver(batch) == Retry("carbon is down")
    fake.problem = ""
    assert one.deliver(batch) == Delivered({})
    assert fake.lines == {NOW - 600: 1, NOW - 7200: 1}


def test_what_is_too_old_passes_as_delivered(fake: Carbon, tmp_path: Path) -> None:
    recent = NOW - COUNTED_S + 120
    assert sink(tmp_path).deliver([item(NOW - 3 * DAY_S), item(NOW - COUNTED_S), item(recent)]) == Delivered({})
    assert fake.lines == {recent: 1}
    fake.problem = "not even asked"
    assert sink(tmp_path / "other").deliver([item(NOW - 3 * DAY_S)]) == Delivered({})


def test_what_is_begun_is_completed_and_what_waited_too_long_is_not_sent(
    fake: Carbon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    when = NOW - COUNTED_S + 120
    one = sink(tmp_path)
    one.deliver([item(when)])
    at(monkeypatch, NOW + 600)
    one.deliver([item(when)])
    assert fake.lines == {when: 2}
    at(monkeypatch, NOW + 600 + SENT_S - COUNTED_S)
    fake.problem = "not even asked"
    assert one.deliver([item(when)]) == Delivered({})


@pytest.mark.parametrize("ahead", [7200.0, 365.0 * DAY_S])
def test_a_clock_that_was_ahead_for_one_event_costs_no_other(fake: Carbon, tmp_path: Path, ahead: float) -> None:
    one = sink(tmp_path)
    one.deliver([item(NOW + ahead)])
    for _ in range(10):
        one.deliver([item(NOW)])
    assert fake.count == 11


def test_old_events_that_come_again_in_parts_count_as_before(fake: Carbon, tmp_path: Path) -> None:
    one = sink(tmp_path)
    parts = [[item(NOW - DAY_S) for _ in range(3)] for _ in range(3)]
    for part in parts:
        one.deliver(part)
    one.deliver([item(NOW)])
    for part in parts:
        one.deliver(part)
    assert fake.count == 10


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"interval": 60, "intervals": [{}]}', "\x00" * 100])
def test_a_damaged_tally_is_told_and_kept_and_lowers_nothing(
    fake: Carbon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    file = tmp_path / "tallies" / "graphite.json"
    sink(tmp_path).deliver([item(NOW) for _ in range(5)])
    file.write_text(damage)
    os.utime(file, (NOW + 30, NOW + 30))
    one = sink(tmp_path)
    assert one.problem.startswith("what was counted can't be read") and "graphite.damaged.json" in one.problem
    assert (tmp_path / "tallies" / "graphite.damaged.json").read_text() == damage
    assert one.deliver([item(NOW + 40), item(NOW - 600)]) == Delivered({})
    assert fake.kept[NAME, int(NOW)] == 5 and fake.count == 5
    # Nor does the next process, which has nothing to tell; what comes later is whole.
    at(monkeypatch, NOW + 120)
    again = sink(tmp_path)
    assert again.problem == ""
    again.deliver([item(NOW + 50), item(NOW + 70)])
    assert fake.count == 6


def test_another_interval_goes_on_with_those_that_begin_later(fake: Carbon, tmp_path: Path) -> None:
    file = tmp_path / "tallies" / "graphite.json"
    sink(tmp_path).deliver([item(NOW) for _ in range(5)])
    os.utime(file, (NOW, NOW))
    one = sink(tmp_path, interval=300)
    assert one.problem.startswith("`interval` was changed")
    one.deliver([item(NOW + 40), item(NOW + 310)])
    assert fake.kept == {(NAME, NOW): 5, (NAME, NOW + 300): 1}


def test_a_first_tally_is_no_lost_one(fake: Carbon, tmp_path: Path) -> None:
    one = sink(tmp_path)
    one.deliver([item(NOW)])
    assert (one.problem, fake.count) == ("", 1)
