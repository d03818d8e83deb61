"""Ctrl-C, SIGTERM and SIGHUP while a playbook runs: the first asks it to stop, the second ends it at once."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from ansible_collections.tidegate.delivery.plugins.module_utils.lasting_stream import leave_closed_terminal
from tidegate.processes import Brood

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Who aborts a job may signal twice, and by several ways: what comes within this time is one request, in seconds.
ONE_REQUEST_S = 1.0


@dataclass(slots=True)
class Interruption:
    """What was asked for so far. Its handler runs in the main thread, between any two steps of it."""

    brood: Brood
    tell: Callable[[str], None]
    first: signal.Signals | None = None
    at: float = 0.0
    at_once: bool = False
    reached: bool = False
    _clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """The handler."""
        if number == signal.SIGHUP:
            leave_closed_terminal()
        now = self._clock()
        if self.first is None:
            self.first, self.at = signal.Signals(number), now
            self.pass_on()
            self.tell(f"{self.first.name}: stopping at the next safe point; once more ends it at once")
        elif now - self.at > ONE_REQUEST_S:
            self.at_once = True
            self.brood.kill()

    def pass_on(self) -> None:
        """Tell ansible-playbook what was asked for, unless it knows. To be called again: it may not be there yet."""
        if self.first is not None and not self.reached:
            self.reached = self.brood.ask(_as_request(self.first))

    def lost_output(self) -> None:
        """Nobody can read any more what is shown: as with a closed terminal, that is a request to stop."""
        if self.first is None:
            self.first, self.at = signal.SIGPIPE, self._clock()
            self.pass_on()


@contextmanager
def interruptible(interruption: Interruption) -> Iterator[None]:
    """Have it handle the signals that the caller doesn't ignore (nohup ignores SIGHUP) while the block runs."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handled = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in handled:
        signal.signal(number, interruption)
    try:
        yield
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)


def _as_request(number: signal.Signals) -> signal.Signals:
    return signal.SIGTERM if number is signal.SIGPIPE else number
