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
    """As soon as `asked()` is true, end the clients that this thread has started: whoever waits for one goes on.

    In the main thread, those of all threads. Of several threads none may end another's: that one may have been asked
    before, and be cleaning up already.
    """
    own = threading.get_native_id()
    threads = "*" if threading.current_thread() is threading.main_thread() else str(own)
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(asked, over, threads), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(asked: Callable[[], object], over: threading.Event, threads: str) -> None:
    while not over.wait(_LOOK_EVERY):
        if asked():
            _end(_children(threads))


def _end(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def _children(threads: str) -> list[int]:
    """proc(5): what each thread has started. Without CONFIG_PROC_CHILDREN nothing: a wait takes until its own end."""
    found: list[int] = []
    for listed in Path("/proc/self/task").glob(f"{threads}/children"):
        with suppress(OSError):
            found += [int(pid) for pid in listed.read_text().split()]
    return found
