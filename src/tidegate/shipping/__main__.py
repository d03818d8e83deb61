"""The shipper's process: `python -m tidegate.shipping`, told on its standard input what to ship (lines.py).

It is started by a callback, is nobody's child in the terminal's eyes, and ends when its starter has ended and all has
arrived, or `drain` seconds after, whatever is left: the next one goes on from there.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from tidegate.shipping.handed import hand_over, taken_over
from tidegate.shipping.lines import MAX_LINE, parsed
from tidegate.shipping.shipper import Shipper, make_sink, take

_NICE = 19
_LOOK_S = 1.0
_FIRST_LINE_S = 30.0


class _Lines:
    """Whole lines of standard input; `over` when no more will come."""

    def __init__(self, starter: int) -> None:
        self._starter = starter
        self._read = selectors.DefaultSelector()
        self._read.register(0, selectors.EVENT_READ)
        self._rest = b""
        self.over = False
        os.set_blocking(0, False)

    def some(self, wait_s: float) -> Iterator[bytes]:
        """Those that have come, after waiting for at most so long."""
        if self._read.select(wait_s):
            with contextlib.suppress(BlockingIOError):
                data = os.read(0, MAX_LINE)
                self.over = not data
                self._rest += data
        # A worker that outlives a killed playbook has our pipe open, too.
        self.over = self.over or os.getppid() != self._starter or len(self._rest) > 4 * MAX_LINE
        *whole, self._rest = self._rest.split(b"\n")
        yield from whole


def _quiet() -> None:
    """Nobody's Ctrl-C is meant for us, and the playbook's processor time is not ours."""
    os.nice(_NICE)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)


def _made(shipper: Shipper | None, told: dict[str, Any]) -> Shipper | None:
    if shipper is None:
        if "spool" not in told:
            return None
        spool = Path(str(told["spool"]))
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        shipper = Shipper(spool)
    return shipper


def main() -> int:
    """0 when all has arrived, 1 when something is left, 2 when the settings are wrong."""
    _quiet()
    lines = _Lines(os.getppid())
    shipper: Shipper | None = None
    ours: int | None = None
    later: list[dict[str, Any]] = []
    ledgers: list[tuple[str, str]] = []
    drain, began = 60.0, time.monotonic()
    while not lines.over:
        for line in lines.some(_LOOK_S):
            told = parsed(line)
            drain = float(told.get("drain", drain))
            shipper = _made(shipper, told)
            later += told.get("sinks", [])
            if shipper is not None and "ledger" in told:
                ledgers.append((str(told["ledger"]), str(told["environment"])))
                shipper.add_ledger(*ledgers[-1])
        if shipper is None:
            if time.monotonic() - began > _FIRST_LINE_S:
                return 2
            continue
        # Until then another playbook's shipper has the spool, and ships what we would, once it is told of our ledgers.
        ours = take(shipper.spool) if ours is None else ours
        if ours is None:
            while ledgers:
                hand_over(shipper.spool, *ledgers.pop())
        else:
            for url, environment in taken_over(shipper.spool):
                shipper.add_ledger(url, environment)
            while later:
                shipper.add_sink(make_sink(later.pop(0), shipper.spool))
                # What the one before left there is over.
                shipper.write_status()
            shipper.wake()
    end = time.monotonic() + drain
    while shipper is not None and ours is None and time.monotonic() < end:
        time.sleep(_LOOK_S)
        ours = take(shipper.spool)
    if shipper is None or ours is None:
        return 1
    while later:
        shipper.add_sink(make_sink(later.pop(0), shipper.spool))
    return 0 if shipper.finish(end - time.monotonic()) else 1


if __name__ == "__main__":
    try:
        code = main()
    except (DomainError, OSError) as problem:
        sys.stderr.write(f"tidegate.shipping: {problem}\n")
        code = 2
    # Not sys.exit: a thread may be in the middle of a request that nobody waits for.
    sys.stderr.flush()
    os._exit(code)
