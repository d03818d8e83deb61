# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running, reading and writing on a Windows node, without PowerShell and without a shell where none is needed.

Files travel as tar archives through tar.exe (libarchive's bsdtar, in System32 since Windows Server 2019), whose
standard streams are byte-exact.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NoReturn, Protocol

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import READ_LIMIT, Completed
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.command_line import (
    CommandLine,
    builtin,
    command_line,
    direct,
    is_batch,
    through_cmd,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.system32 import SYSTEM32
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.tar_archive import (
    archive_of,
    file_in,
    files_in,
)

OUTPUT_LIMIT = 16 * 1024 * 1024
FILE_TIMEOUT_S = 60.0
# A shell ends as long after its last request, and all that runs in it: what a controller that died has left.
# Windows takes no less than 60 s.
SHELL_IDLE_S = 120
_TAR = rf"{SYSTEM32}\tar.exe"
# Microsoft, "Naming Files, Paths, and Namespaces".
_PATH = re.compile(r'([A-Za-z]:)((?:\\[^<>:"/\\|?*\x00-\x1f]+)+)')
# What tar adds to a file's bytes: headers, and padding to a record of 10,240 bytes.
_AROUND_BYTES = 64 * 1024
# The C runtime's text of ENOENT, which tar repeats.
_ABSENT = b"No such file or directory"


class ShellLost(Unreachable):
    """The shell that owned a program is gone, and the program with it: it is not known how far it came."""

    reason = "shell_lost"


class Started(Enum):
    """How the node starts programs."""

    DIRECTLY = "directly"
    BY_CMD = "by cmd.exe, whatever is asked"


class WindowsExecute(Protocol):
    """Carries one command line to a Windows node, to be started without cmd.exe, and its output back."""

    def __call__(
        self, line: CommandLine, stdin: bytes | None, timeout: float, limit: int, *, patience: float = 0
    ) -> Completed:
        """Run it; seconds and bytes of output are bounds.

        With `patience` the command may run twice, and its output have a gap: for so many seconds in a row connections
        may drop, or not come about.
        Raises DeadlineExceeded and BadInput (too much output, no such program) when it doesn't run any more, ShellLost
        when its shell is gone, and Unreachable when it can't be known.
        """


class WindowsNode:
    """A node with Windows, reached through a `WindowsExecute`. Exit codes have 32 bits, without a sign."""

    def __init__(self, name: str, execute: WindowsExecute) -> None:
        self.name = name
        self.execute = execute
        self._started: Started | None = None

    def run(self, argv: Sequence[str], *, stdin: bytes | None = None, timeout: float = 30) -> Completed:
        """Run one program directly, or a batch file with cmd.exe.

        Standard input is sent before output is read: it is for programs that read all of it first.
        """
        return self.execute(self._line(argv), stdin, timeout, OUTPUT_LIMIT)

    def run_lasting(self, argv: Sequence[str], *, timeout: float, patience: float) -> Completed:
        """Run what takes long and may be run again, through connections that drop.

        The node's shell goes on meanwhile, and the program in it. Output that was under way is lost. Raises Unreachable
        only when the node can't be reached for `patience` seconds.
        """
        return self.execute(self._line(argv), None, timeout, OUTPUT_LIMIT, patience=patience)

    def sh(self, script: str, *args: str, stdin: bytes | None = None, timeout: float = 30) -> Completed:  # noqa: ARG002
        raise BadInput(
            "there is no POSIX shell on Windows",
            where=self.name,
            remedy="This operation can't be done on a Windows node yet",
        )

    def read(self, path: str, *, limit: int = READ_LIMIT) -> bytes | None:
        drive, inside = self._split(path)
        line = self._line([_TAR, "-cnf", "-", "-C", drive, inside])
        try:
            done = self.execute(line, None, FILE_TIMEOUT_S, limit + _AROUND_BYTES)
        except OutputTooLarge:
            self._too_large(path, limit)
        if self._is_absent(done, path):
            return None
        data = file_in(done.stdout, limit)
        if data is None:
            raise BadInput(f"{path} is not a file", where=self.name, remedy="Look at what is there")
        if len(data) > limit:
            self._too_large(path, limit)
        return data

    def read_all(self, paths: Sequence[str], *, limit: int = READ_LIMIT) -> dict[str, bytes | None]:
        """Several files, in one command a drive; None for absent ones. `limit`: bytes, of a drive's files."""
        drives: dict[str, dict[str, str]] = {}
        for path in paths:
            drive, inside = self._split(path)
            drives.setdefault(drive, {})[path] = inside
        found: dict[str, bytes | None] = {}
        for drive, places in drives.items():
            found |= self._read_drive(drive, places, limit)
        return found

    def _read_drive(self, drive: str, places: Mapping[str, str], limit: int) -> dict[str, bytes | None]:
        line = self._line([_TAR, "-cnf", "-", "-C", drive, *places.values()])
        told = ", ".join(places)
        try:
            done = self.execute(line, None, FILE_TIMEOUT_S, limit + _AROUND_BYTES * len(places))
        except OutputTooLarge:
            self._too_large(told, limit)
        found = files_in(done.stdout, places.values(), limit)
        if sum(map(len, found.values())) > limit:
            self._too_large(told, limit)
        missing = len(set(places.values()) - set(found))
        # Of a file that isn't there tar says so, goes on with the others, and ends with 1.
        if missing > done.stderr.count(_ABSENT) or (done.rc != 0 and not missing):
            self._failed(done, f"read {told}")
        return {path: found.get(inside) for path, inside in places.items()}

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """As `Node.write`; permissions are those that the folder hands down, and `mode` means nothing."""
        del mode
        drive, inside = self._split(path)
        parent, name = inside.rsplit("/", 1)
        temporary = f".tidegate.{secrets.token_hex(6)}"
        there = rf"{path[: -len(name)]}{temporary}"
        move = builtin("move", "/y", there, path)
        # -P: a folder on the way may be a junction. -m: the file is as old as this write.
        extract = self._line([_TAR, "-xmPf", "-", "-C", drive])
        done = self.execute(extract, archive_of(f"{parent}/{temporary}", data), FILE_TIMEOUT_S, OUTPUT_LIMIT)
        if done.rc == 0:
            done = self.execute(move, None, FILE_TIMEOUT_S, OUTPUT_LIMIT)
        if done.rc != 0:
            self.execute(builtin("del", "/q", there), None, FILE_TIMEOUT_S, OUTPUT_LIMIT)
            self._failed(done, f"write {path}")

    def remove(self, path: str) -> None:
        """Remove a file. Whether it is gone tells only looking again: del ends with 0 whatever it did."""
        self._split(path)
        self.execute(builtin("del", "/q", path), None, FILE_TIMEOUT_S, OUTPUT_LIMIT)

    def exists(self, path: str) -> bool:
        drive, inside = self._split(path)
        # The format of which only names and sizes travel.
        line = self._line([_TAR, "-cnf", "-", "--format=mtree", "-C", drive, inside])
        return not self._is_absent(self.execute(line, None, FILE_TIMEOUT_S, OUTPUT_LIMIT), path)

    def _line(self, argv: Sequence[str]) -> CommandLine:
        if argv and is_batch(argv[0]):
            return command_line(argv)
        line = direct(argv)
        if self._started is None:
            self._started = self._find_out()
        return line if self._started is Started.DIRECTLY else through_cmd(argv)

    def _find_out(self) -> Started:
        """Ask the node, since a line that is quoted for a program means something else to cmd.exe."""
        done = self.execute(direct([_TAR, "-tf", "%OS%"]), None, FILE_TIMEOUT_S, OUTPUT_LIMIT)
        found = how_started(done)
        if found is None:
            said = done.complaint
            raise BadInput(
                f"{_TAR} gives no answer that is known: {said or f'exit code {done.rc}'}",
                where=self.name,
                remedy="Windows Server 2019 and later have it; run `tar.exe --version` on the node",
            )
        return found

    def _split(self, path: str) -> tuple[str, str]:
        """Drive and the path in it as tar has it. Raises BadInput."""
        found = _PATH.fullmatch(path)
        if not found or any(part in (".", "..") for part in path.split("\\")):
            raise BadInput(f"{path} is not a full path", where=self.name, remedy=r"Write it as C:\folder\file")
        return f"{found[1]}\\", "." + found[2].replace("\\", "/")

    def _is_absent(self, done: Completed, path: str) -> bool:
        if done.rc != 0 and _ABSENT in done.stderr:
            return True
        if done.rc != 0:
            self._failed(done, f"read {path}")
        return False

    def _too_large(self, path: str, limit: int) -> NoReturn:
        raise BadInput(f"{path} is larger than {limit} bytes", where=self.name, remedy="Look at the file")

    def _failed(self, done: Completed, what: str) -> NoReturn:
        reason = done.complaint or f"exit code {done.rc}"
        raise BadInput(f"can't {what}: {reason}", where=self.name, remedy="Check the path and its permissions")


class NoSuchProgram(BadInput):
    """The node has no such program: nothing ran."""


class OutputTooLarge(BadInput):
    """A program said more than was allowed, and was ended."""


def how_started(done: Completed) -> Started | None:
    """What `tar.exe -tf %OS%` says: the name of a file that isn't there, which cmd.exe has changed, or not."""
    if b"'%OS%'" in done.stderr:
        return Started.DIRECTLY
    return Started.BY_CMD if b"'Windows_NT'" in done.stderr else None
