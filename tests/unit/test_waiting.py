"""Waiting: what is looked for, what is told when it doesn't come, and whose end is the end of waiting."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import until


def test_what_is_reached_ends_it() -> None:
    looks: list[int] = []

    def third() -> bool:
        looks.append(1)
        return len(looks) == 3

    until(third, "the third look", every=0.001)
    assert len(looks) == 3


def test_it_is_looked_for_once_more_after_the_time() -> None:
    looks = iter((False, True))
    until(lambda: next(looks), "the second look", 0, every=0.01)


def test_what_did_not_come_is_told_as_it_was_at_the_end() -> None:
    looks: list[int] = []
    with pytest.raises(AssertionError, match=r"^not in 0\.05 s: ten looks, not ([2-9]|\d\d)$"):
        until(lambda: looks.append(1), lambda: f"ten looks, not {len(looks)}", 0.05, every=0.01)


def test_a_process_that_ended_before_ends_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process, pytest.raises(AssertionError, match="its end"):
        until(lambda: False, "its end", of=process)


def test_what_came_with_the_processs_end_has_come(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with subprocess.Popen([sys.executable, "-c", f"open({str(mark)!r}, 'w').close()"]) as process:
        process.wait()
        until(mark.exists, "the mark", of=process)
