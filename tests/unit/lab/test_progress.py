from __future__ import annotations

import re

import pytest

from lab.progress import Progress
from tests.waiting import until


def test_silence_is_broken_before_two_seconds_and_an_error_passes_through(capsys: pytest.CaptureFixture[str]) -> None:
    say, told = Progress(), ""

    def is_said_again() -> bool:
        nonlocal told
        printed = capsys.readouterr()
        assert printed.out == ""
        told += printed.err
        return "still at it" in told

    with pytest.raises(RuntimeError), say.during("sleeping"):
        until(is_said_again, "it says so")
        raise RuntimeError
    lines = told.splitlines()
    assert [line.split("] ")[1].split(" (")[0] for line in lines] == ["sleeping", "sleeping: still at it"]


def test_what_is_quick_says_when_it_began_and_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress().during("blinking"):
        pass
    time_ = r"\[ +\d+\.\ds\]"
    assert re.fullmatch(rf"{time_} blinking\n{time_} blinking: done in \d+\.\ds\n", capsys.readouterr().err)
