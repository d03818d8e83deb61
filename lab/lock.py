"""One `up` or `down` of a lab at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded
from lab.layout import Layout
from lab.supervise import Say

_DEADLINE_S = 600.0
_REMIND_S = 2.0


@contextmanager
def held(layout: Layout, say: Say) -> Iterator[None]:
    """Hold the lab's lock; it goes with our process, however that ends. Raises DeadlineExceeded."""
    lock = _acquire(layout, say)
    try:
        yield
    finally:
        lock.close()


def _acquire(layout: Layout, say: Say) -> BinaryIO:
    deadline, told = time.monotonic() + _DEADLINE_S, 0.0
    while (lock := _try(layout)) is None:
        if time.monotonic() > deadline:
            raise DeadlineExceeded(
                f"Another `python -m lab` works on this lab since {_DEADLINE_S:.0f}s",
                where=str(layout.lock),
                remedy="Find it with: fuser -v " + str(layout.lock),
            )
        if time.monotonic() - told >= _REMIND_S:
            told = time.monotonic()
            say("waiting for another `python -m lab` that works on this lab")
        time.sleep(0.1)
    return lock


def _try(layout: Layout) -> BinaryIO | None:
    layout.lock.parent.mkdir(parents=True, exist_ok=True)
    lock = layout.lock.open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    # A purge may have removed the file that we had just opened.
    if not layout.lock.exists() or os.fstat(lock.fileno()).st_ino != layout.lock.stat().st_ino:
        lock.close()
        return None
    return lock
