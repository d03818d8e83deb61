# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment's events as a file, one line each, byte for byte as the ledger has them.

The ledger is right, the file is its copy: whoever writes next completes what a kill left out or cut off.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import MAX_EVENT_BYTES

LOCK_LIMIT_S = 10.0
_LOCK_POLL_S = 0.005
_LONGEST_POLL_S = 0.1
# The last whole line and a torn one after it, each with its line feed.
_TAIL = 2 * (MAX_EVENT_BYTES + 1) + 1

After = Callable[[int], Iterable[str]]


def catch_up(path: Path, after: After) -> int:
    """Append the events that the file lacks, and tell how many; `after(seq)` are those since `seq`, in order.

    What it costs depends on what is missing, not on how long the file is. Any number of processes may do it at once.
    Raises OSError when the file can't be written, DeadlineExceeded when another process keeps it locked for 10 s.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "r+b") as file:
        _lock(file, path)
        lines = list(after(_settled(file)))
        # In one piece, after the lock: readers see whole lines, but for one that a kill tears.
        file.write("".join(f"{line}\n" for line in lines).encode())
        return len(lines)


def last_seq(path: Path) -> int:
    """The seq of the last whole line; 0 for a file that is empty, not there, or not ours."""
    try:
        with path.open("rb") as file:
            return _last(file)[1]
    except FileNotFoundError:
        return 0


def _settled(file: BinaryIO) -> int:
    """The last event's seq, with the file ending right after it and its position there."""
    end, seq = _last(file)
    file.truncate(end)
    file.seek(end)
    return seq


def _last(file: BinaryIO) -> tuple[int, int]:
    """Where the last whole line ends and its event's seq; (0, 0) when it is no event: then all is written anew."""
    size = file.seek(0, os.SEEK_END)
    begin = max(0, size - _TAIL)
    file.seek(begin)
    whole, feed, _torn = file.read(size - begin).rpartition(b"\n")
    seq = _seq(whole[whole.rfind(b"\n") + 1 :])
    return (begin + len(whole) + len(feed), seq) if seq else (0, 0)


def _seq(line: bytes) -> int:
    try:
        seq = json.loads(line)["seq"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0
    return seq if isinstance(seq, int) else 0


def _lock(file: BinaryIO, path: Path) -> None:
    deadline, pause = time.monotonic() + LOCK_LIMIT_S, _LOCK_POLL_S
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise DeadlineExceeded(
                    f"another process has kept the file locked for {LOCK_LIMIT_S:.0f} seconds",
                    where=str(path),
                    remedy=f"See which (`fuser {path}`). The ledger has the events; the next write completes the file",
                ) from None
            time.sleep(pause)
            # A wave's nodes end a step together: many that ask all the time would cost more than what they wait for.
            pause = min(2 * pause, _LONGEST_POLL_S)
