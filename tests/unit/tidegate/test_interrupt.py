from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from typing import cast

from tidegate.interrupt import Interruption, interruptible
from tidegate.processes import Brood


@dataclass
class Calls:
    made: list[str] = field(default_factory=list)

    there: bool = True

    def ask(self, number: signal.Signals) -> bool:
        self.made.append(f"ask {number.name}")
        return self.there

    def kill(self) -> None:
        self.made.append("kill")


def interruption(calls: Calls, *times: float) -> tuple[Interruption, list[str]]:
    told: list[str] = []
    clock = iter(times)
    return Interruption(cast("Brood", calls), told.append, _clock=lambda: next(clock)), told


def test_the_first_signal_asks_and_says_so() -> None:
    calls = Calls()
    asked, told = interruption(calls, 10.0)
    asked(signal.SIGINT, None)
    assert calls.made == ["ask SIGINT"]
    assert asked.first is signal.SIGINT
    assert "SIGINT: stopping at the next safe point" in told[0]


def test_signals_at_the_same_time_are_one_request() -> None:
    calls = Calls()
    asked, told = interruption(calls, 10.0, 10.2, 10.9)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        asked(number, None)
    assert calls.made == ["ask SIGTERM"]
    assert len(told) == 1
    assert not asked.at_once


def test_a_second_request_ends_everything_at_once() -> None:
    calls = Calls()
    asked, _told = interruption(calls, 10.0, 12.0)
    asked(signal.SIGINT, None)
    asked(signal.SIGINT, None)
    assert calls.made == ["ask SIGINT", "kill"]
    assert asked.at_once


def test_signals_are_handled_inside_and_put_back_after() -> None:
    calls = Calls()
    asked, _told = interruption(calls, 1.0)
    before = signal.getsignal(signal.SIGTERM)
    with interruptible(asked):
        os.kill(os.getpid(), signal.SIGTERM)
    assert asked.first is signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_nohup_ignores_stays_ignored() -> None:
    asked, _told = interruption(Calls())
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible(asked):
            os.kill(os.getpid(), signal.SIGHUP)
        assert asked.first is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_request_that_reached_nobody_is_passed_on_again() -> None:
    calls = Calls(there=False)
    asked, _told = interruption(calls, 1.0)
    asked.pass_on()
    asked(signal.SIGTERM, None)
    asked.pass_on()
    calls.there = True
    asked.pass_on()
    asked.pass_on()
    assert calls.made == ["ask SIGTERM"] * 3


def test_output_that_nobody_reads_is_a_request_to_stop() -> None:
    calls = Calls()
    asked, told = interruption(calls, 1.0)
    asked.lost_output()
    asked.lost_output()
    assert calls.made == ["ask SIGTERM"]
    assert told == []
