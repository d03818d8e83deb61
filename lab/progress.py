"""Progress lines with the time since the start."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SILENCE_S = 2.0


class Progress:
    """Prints one line at a time to standard error, so that standard output is left to what was asked for."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._told = self._began
        self._lock = threading.Lock()

    def __call__(self, text: str) -> None:
        with self._lock:
            self._told = time.monotonic()
            print(f"[{self.seconds:6.1f}s] {text}", file=sys.stderr, flush=True)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        """Say when it begins and ends, and every two seconds of silence in between that it still goes on."""
        began = time.monotonic()
        self(what)
        ended = threading.Event()
        thread = threading.Thread(target=self._remind, args=(what, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        self(f"{what}: done in {time.monotonic() - began:.1f}s")

    def _remind(self, what: str, ended: threading.Event) -> None:
        began = time.monotonic()
        while not ended.wait(0.2):
            if time.monotonic() - self._told >= _SILENCE_S - 0.2:
                self(f"{what}: still at it ({time.monotonic() - began:.0f}s)")
