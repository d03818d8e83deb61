"""Waiting for what takes as long as it takes, with a deadline."""

from __future__ import annotations

from collections.abc import Callable

from lab.witness import wait_until


def until(reached: Callable[[], bool], what: str, seconds: float, every: float = 0.05) -> None:
    """Wait for something, so many seconds at most; it is looked for `every` so many."""
    assert wait_until(reached, seconds, every), f"not in {seconds} s: {what}"
