"""One process of those that meet at a ledger: `worker.py COMMAND URL [ARGUMENTS]`.

Says `ready` when it has started, waits for a line, acts, says what became of it, one JSON a line.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Locked
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import (
    Event,
    Outcome,
    Step,
    canonical,
    digest,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import Holder, this_process
from tidegate import ledger
from tidegate.ledger import SqlLedger
from tidegate.locks import SqlLocks
from tidegate.store import Store


def say(**told: object) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def event(number: int) -> Event:
    return Event(
        service="tradeapi",
        environment="lab",
        deployment="d1",
        attempt=1,
        step=Step.HEALTH,
        outcome=Outcome.OK,
        nodes=("n1",),
        details={"number": number, "url": "http://127.20.1.1:8080/health"},
    )


def append(url: str, count: str) -> None:
    """Write that many events (0: until killed) and say each once it is written."""
    book = SqlLedger(Store(url))
    number = 0
    while number < int(count) or count == "0":
        number += 1
        entry = book.append(event(number))
        say(seq=entry.seq, hash=entry.hash)


def half(url: str) -> None:
    """Write more than SQLite keeps in memory, so that some of it is in the file, then stay there until killed."""
    big = {str(key): "x" * 2_000 for key in range(30)}
    with Store(url).write() as connection:
        written = [
            ledger._append(connection, replace(event(number), id=f"{number}", details=big)) for number in range(200)
        ]
        say(seq=written[-1].seq)
        time.sleep(600)


def take(url: str, deployment: str, *names: str) -> None:
    """Take the names, say so, and keep them until a line comes."""
    holder = Holder(user="worker", process=this_process(), deployment=deployment, doing="test")
    try:
        lease = SqlLocks(Store(url)).acquire(names, holder, 600)
    except Locked as error:
        say(won=False, told=str(error))
        return
    say(won=True, fence=lease.fence, taken_over=[str(taken) for taken in lease.taken_over])
    sys.stdin.readline()


def meet(url: str, deployment: str, folder: str, rounds: str, *names: str) -> None:
    """Take the names again and again; while they are held, a file of each name must not be there twice."""
    store = SqlLocks(Store(url))
    holder = Holder(user="worker", process=this_process(), deployment=deployment, doing="test")
    fences: list[int] = []
    give_up = time.monotonic() + 240
    while len(fences) < int(rounds) and time.monotonic() < give_up:
        try:
            lease = store.acquire(names, holder, 600)
        except Locked:
            time.sleep(0.005)
            continue
        for name in names:
            (Path(folder) / name).open("x").close()
        for name in names:
            (Path(folder) / name).unlink()
        fences.append(lease.fence)
        store.release(lease)
    say(fences=fences)


def naive(path: str, count: str) -> None:
    """Write entries as the driver does by default: its transaction starts at the first write, after the read."""
    raw = sqlite3.connect(path, timeout=240)
    for number in range(int(count)):
        seq, prev = raw.execute("SELECT seq, hash FROM chain ORDER BY seq DESC LIMIT 1").fetchone()
        body = canonical(event(number), seq + 1, prev)
        row = (seq + 1, prev, digest(seq + 1, prev, body), body)
        raw.execute("INSERT INTO chain VALUES (?, ?, ?, ?)", row)
        raw.commit()


COMMANDS: dict[str, Callable[..., None]] = {
    "append": append,
    "half": half,
    "take": take,
    "meet": meet,
    "naive": naive,
}

if __name__ == "__main__":
    say(ready=True)
    sys.stdin.readline()
    COMMANDS[sys.argv[1]](*sys.argv[2:])
