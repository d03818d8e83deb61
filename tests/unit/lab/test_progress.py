from __future__ import annotations

import time

import pytest

from lab.progress import Progress


def test_silence_is_broken_before_two_seconds_and_an_error_passes_through(capsys: pytest.CaptureFixture[str]) -> None:
    say = Progress()
    with pytest.raises(RuntimeError), say.during("sleeping"):
        time.sleep(2.1)
        raise RuntimeError
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.split("] ")[1].split(" (")[0] for line in printed.err.splitlines()] == [
        "sleeping",
        "sleeping: still at it",
    ]


def test_what_is_quick_says_when_it_began_and_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress().during("blinking"):
        pass
    assert capsys.readouterr().err == "[   0.0s] blinking\n[   0.0s] blinking: done in 0.0s\n"
