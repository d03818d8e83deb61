# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ending this worker's own clients (ssh, or a local shell) in the middle of a command."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOOK_EVERY = 0.25


@contextmanager
def ended_when(asked: Callable[[], object]) -> Iterator[None]:
    """As soon as `asked()` is true, end every process that this one has started: whoever waits for it goes on."""
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(asked, over), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(asked: Callable[[], object], over: threading.Event) -> None:
    while not over.wait(_LOOK_EVERY):
        if asked():
            _end_children()


def _end_children() -> None:
    for pid in _children():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def _children() -> list[int]:
    """proc(5): each thread's children. Without CONFIG_PROC_CHILDREN none: then a wait takes until its own end."""
    found: list[int] = []
    for listed in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found += [int(pid) for pid in listed.read_text().split()]
    return found
