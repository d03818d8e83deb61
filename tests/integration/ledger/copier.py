"""A process that writes events and copies them: `copier.py COMMAND URL FILE [ARGUMENTS]`, spoken to as worker.py is."""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.event_copy import catch_up
from tests.integration.ledger.worker import event, say
from tests.waiting import until
from tidegate.copied import CopiedLedger
from tidegate.store import Store


def book(url: str, file: str, before: Callable[[], None] = lambda: None) -> CopiedLedger:
    """A ledger whose deployment d1 is copied to `file`; `before` is called between writing and copying."""

    def copy(_deployment: str) -> None:
        before()
        catch_up(Path(file), lambda seq: ledger.bodies("lab", "d1", seq))

    ledger = CopiedLedger(Store(url), lambda each: each, copy)
    return ledger


def write(url: str, file: str, count: str) -> None:
    """Write that many events and copy them."""
    ledger = book(url, file)
    for number in range(int(count)):
        ledger.append(event(number))
    say(done=True)


def lag(url: str, file: str) -> None:
    """Die by SIGKILL between the ledger's append and the copy."""
    book(url, file, lambda: os.kill(os.getpid(), signal.SIGKILL)).append(event(0))


def tear(url: str, file: str, kept: str) -> None:
    """Die in the middle of a line: the kernel takes `kept` bytes of it and then ends the process."""
    limit = Path(file).stat().st_size + int(kept)

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    book(url, file, limited).append(event(0))


def herd(url: str, file: str, wanted: str, writers: str) -> None:
    """Again and again: writers that write without end, killed with -9 at a random moment; then one more write.

    Says after each round whether file and ledger are the same, and whether the file was behind before. Ends when it
    has been behind as often as is wanted; the moment between ledger and copy is short.
    """
    chance = random.Random(4711)
    hits = 0
    while hits < int(wanted):
        size = len(_left(Path(file)))
        herded = [_fork(url, file) for _ in range(int(writers))]
        until(lambda size=size: len(_left(Path(file))) > size, "they write", every=0.001)  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 0.03))
        for pid in herded:
            os.kill(pid, signal.SIGKILL)
        for pid in herded:
            os.waitpid(pid, 0)
        ledger = book(url, file)
        behind = _left(Path(file)) != _stored(ledger)
        hits += behind
        ledger.append(event(0))
        say(same=_left(Path(file)) == _stored(ledger), behind=behind)


def _fork(url: str, file: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        ledger = book(url, file)
        while True:
            ledger.append(event(1))
    finally:
        os._exit(1)


def _left(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _stored(ledger: CopiedLedger) -> bytes:
    return "".join(f"{body}\n" for body in ledger.bodies("lab", "d1")).encode()


COMMANDS: dict[str, Callable[..., None]] = {"write": write, "lag": lag, "tear": tear, "herd": herd}

if __name__ == "__main__":
    say(ready=True)
    sys.stdin.readline()
    COMMANDS[sys.argv[1]](*sys.argv[2:])
