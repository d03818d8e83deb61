"""The spool: events that no ledger has, as files that survive a kill and are bounded.

<folder>/events/<nanoseconds>-<pid>.jsonl, one for each process that writes, one event a line. A file is the writer's
while it holds its lock; after that whoever ships removes it when all of it has arrived.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import math
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from tidegate.shipping.sinks import Item, Kind, NoEvent

LIMIT_MB = 64
MAX_EVENT_BYTES = 64 * 1024
# A file is removed as a whole: what is shipped while a long playbook runs makes room.
SEGMENT_BYTES = 1024 * 1024
_FOLDER = "events"
_VARIABLE = "TIDEGATE_SPOOL"
_KINDS: Mapping[str, Kind] = {"task": "task", "custom": "custom"}
_READ = 1024 * 1024


class SpoolWriter:
    """Puts events into the spool. It never raises for a disk that is full or a folder that can't be written: `dropped`
    counts what was not kept, and `why` says why not.
    """

    def __init__(self, folder: Path, limit_mb: float = LIMIT_MB) -> None:
        self._folder = folder / _FOLDER
        self._limit = int(limit_mb * 1024 * 1024)
        self._file: int | None = None
        self._size = self._used = 0
        self.dropped = 0
        self.why = ""

    def put(self, kind: Kind, id_: str, at: float, fields: Mapping[str, Any]) -> bool:
        """Keep one event. False when it was dropped."""
        line = json.dumps({"kind": kind, "id": id_, "at": at, "fields": dict(fields)}, ensure_ascii=False)
        data = line.encode("utf-8", "replace") + b"\n"
        try:
            self._write(data)
        except OSError as error:
            self.dropped += 1
            self.why = error.strerror or type(error).__name__
            return False
        return True

    def close(self) -> None:
        """Leave the file to whoever ships."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, data: bytes) -> None:
        if len(data) > MAX_EVENT_BYTES:
            raise OSError(0, f"an event of more than {MAX_EVENT_BYTES} bytes")
        if self._size + len(data) > SEGMENT_BYTES:
            self.close()
        if self._file is None or self._used + len(data) > self._limit:
            # Others write there, too, and what has arrived is gone.
            self._used = used(self._folder.parent)
        if self._used + len(data) > self._limit:
            self.close()  # so that it can go, when it has arrived
            raise OSError(0, f"the spool is full ({self._limit / 1024 / 1024:.3g} MiB)")
        if self._file is None:
            self._file, self._size = self._opened(), 0
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += written
        self._used += written

    def _opened(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{time.time_ns()}-{os.getpid()}.jsonl"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(path, flags, 0o600)
        fcntl.flock(file, fcntl.LOCK_SH)
        return file


def used(spool: Path) -> int:
    """Bytes that the spool has."""
    total = 0
    for path in segments(spool):
        with contextlib.suppress(FileNotFoundError):
            total += path.lstat().st_size
    return total


def segments(spool: Path) -> list[Path]:
    """The spool's files, oldest first."""
    try:
        found = [path for path in (spool / _FOLDER).iterdir() if path.suffix == ".jsonl"]
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda path: (path.name.partition("-")[0].rjust(20, "0"), path.name))


class SpoolSource:
    """The spool as what is shipped from. A position tells of each file how many of its bytes: several grow at once.

    `problem` says which file could not be read or removed the last time: the others go on.
    """

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self.key = "spool"
        self.problem = ""

    def after(self, position: object, limit: int) -> list[tuple[object, Item | NoEvent]]:
        """At most `limit` events after a position, each with its own."""
        try:
            paths = segments(self._spool)
        except OSError as error:
            self.problem = f"{self._spool / _FOLDER} can't be read: {error.strerror}"
            return []
        known = _offsets(position)
        read = {path.name: known[path.name] for path in paths if path.name in known}
        found: list[tuple[object, Item | NoEvent]] = []
        self.problem = ""
        for path in paths:
            try:
                lines = _lines(path, read.get(path.name, 0), limit - len(found))
            except OSError as error:
                self.problem = f"{path} can't be read: {error.strerror}"
                continue
            for end, line in lines:
                read = {**read, path.name: end}
                found.append((read, _item(line) or NoEvent(f"{_FOLDER}/{path.name}", "lines in it are no events")))
        return found

    def arrived(self, position: object) -> None:
        """Remove the files of which all has arrived and whose writers have ended."""
        read = _offsets(position)
        for path in segments(self._spool):
            # One of which nothing was read may be so new that its writer has not locked it yet.
            if path.name in read:
                # Where it can't be removed the cursor is beyond it all the same, and it takes room.
                with contextlib.suppress(OSError):
                    _remove(path, read[path.name])


def _open(path: Path) -> IO[bytes]:
    """A file to read from. Raises OSError for all that is none: nobody's fifo may hold up what stands behind it."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(errno.EINVAL, "it is no regular file. Remove it")
    # Should it become one now.
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW), "rb")


def _remove(path: Path, size: int) -> None:
    with _open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # its writer lives
        file.seek(size)
        # What a kill tore is no event and never will be.
        if b"\n" not in file.read(MAX_EVENT_BYTES + 1):
            path.unlink(missing_ok=True)


def _offsets(position: object) -> dict[str, int]:
    if not isinstance(position, dict):
        return {}
    return {name: end for name, end in position.items() if isinstance(name, str) and isinstance(end, int)}


def _lines(path: Path, begin: int, limit: int) -> list[tuple[int, bytes]]:
    """Whole lines and where each ends; what a kill tore stays behind and is no line."""
    found: list[tuple[int, bytes]] = []
    try:
        with _open(path) as file:
            file.seek(begin)
            while len(found) < limit:
                line = file.readline(MAX_EVENT_BYTES + 1)
                size = len(line)
                # Longer than what is ever written: a damaged disk's. It must not hide what stands behind it.
                while len(line) > MAX_EVENT_BYTES and not line.endswith(b"\n"):
                    line = file.readline(MAX_EVENT_BYTES + 1)
                    size += len(line)
                if not line.endswith(b"\n"):
                    break
                begin += size
                found.append((begin, line if size == len(line) else b""))
    except FileNotFoundError:
        return []
    return found


def _item(line: bytes) -> Item | None:
    try:
        told = json.loads(line)
        at = float(told["at"])
        if not math.isfinite(at):
            return None
        return Item(_KINDS[told["kind"]], str(told["id"]), at, dict(told["fields"]), len(line))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def require_folder(path: Path) -> Path:
    """The spool's folder, made if it isn't there. Raises BadInput when it can't be written."""
    if os.environ.get(_VARIABLE) == "":
        # Ansible makes the folder of ansible.cfg of an empty path.
        raise BadInput("it is empty", where=_VARIABLE, remedy="Name a folder in it, or unset it")
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise BadInput(
            f"the spool's folder can't be used: {error.strerror}",
            where=str(path),
            remedy=f"Give spool a folder that this user may write to ({_VARIABLE})",
        ) from error
    return path
