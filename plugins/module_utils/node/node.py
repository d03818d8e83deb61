# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running, reading and writing on a node, whatever carries the commands there."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DeadlineExceeded, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import printable
from ansible_collections.tidegate.delivery.plugins.module_utils.node.readable_file import LOOK, is_there

READ_LIMIT = 4 * 1024 * 1024
# How long the way there and back may take beyond the command's own deadline.
TRANSPORT_GRACE = 15.0
_KILL_AFTER = 5


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended: exit code and its byte-exact output."""

    rc: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 are shown escaped."""
        return self.stdout.decode(errors="backslashreplace")

    @property
    def said(self) -> str:
        """The end of what it said, for a message: of standard error, or of standard output if that is empty."""
        return _end(self.stderr or self.stdout)

    @property
    def complaint(self) -> str:
        """The end of standard error, for a message."""
        return _end(self.stderr)


def _end(output: bytes) -> str:
    return printable(output.decode(errors="backslashreplace")).strip()[-300:]


class Node(Protocol):
    """A server on which operations run. Every wait has a deadline in seconds.

    Methods raise Unreachable when no complete answer came (the command may have run: read back) and
    DeadlineExceeded when the command was ended at its deadline.
    """

    name: str

    def run(self, argv: Sequence[str], *, stdin: bytes | None = None, timeout: float = 30) -> Completed:
        """Run one program without a shell's reading of its arguments."""

    def sh(self, script: str, *args: str, stdin: bytes | None = None, timeout: float = 30) -> Completed:
        """Run a POSIX shell script; what varies goes into `args` ($1, $2, …), never into the script."""

    def read(self, path: str, *, limit: int = READ_LIMIT) -> bytes | None:
        """The file's bytes; None when there is no such file. BadInput when it is larger than `limit` bytes."""

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Write under a temporary name in the same folder (made if missing), then rename."""

    def exists(self, path: str) -> bool:
        """Whether there is anything at `path`."""


class Execute(Protocol):
    """Carries one command line to a POSIX shell and its output back."""

    def __call__(self, command: str, stdin: bytes | None, timeout: float) -> Completed:
        """Run `command`; raise Unreachable when it can't be known to have ended."""


class PosixNode:
    """A node with a POSIX shell and coreutils, reached through an `Execute`."""

    def __init__(self, name: str, execute: Execute) -> None:
        self.name = name
        self._execute = execute

    def run(self, argv: Sequence[str], *, stdin: bytes | None = None, timeout: float = 30) -> Completed:
        seconds = max(1, math.ceil(timeout))
        # The exit code travels in the output: ssh reports its own failures as 255, and an answer without
        # its last line is an answer that broke off.
        inner = f"timeout -k {_KILL_AFTER} {seconds} {shlex.join(argv)}; printf '\\n%d' $?"
        began = time.monotonic()
        raw = self._execute(f"/bin/sh -c {shlex.quote(inner)}", stdin, seconds + _KILL_AFTER + TRANSPORT_GRACE)
        done = self._unwrap(raw, argv[0])
        if done.rc in (124, 137) and time.monotonic() - began >= seconds:
            raise DeadlineExceeded(
                f"{argv[0]} did not end within {seconds} s and was ended",
                where=self.name,
                remedy="Look at what holds it up on the node, or raise the time limit",
            )
        return done

    def sh(self, script: str, *args: str, stdin: bytes | None = None, timeout: float = 30) -> Completed:
        return self.run(["/bin/sh", "-c", script, "tidegate", *args], stdin=stdin, timeout=timeout)

    def read(self, path: str, *, limit: int = READ_LIMIT) -> bytes | None:
        done = self.sh(LOOK + 'cat "$1"', path, str(limit))
        if not is_there(done.rc, path, limit, self.name):
            return None
        self._expect_success(done, f"read {path}")
        return done.stdout

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        script = (
            'set -e; folder=$(dirname "$1"); mkdir -p "$folder"; new=$(mktemp "$folder/.tidegate.XXXXXX"); '
            'trap \'rm -f "$new"\' EXIT; cat >"$new"; '
            # A connection that broke off half-way looks like the end of the data: the size tells.
            '[ "$(wc -c <"$new")" -eq "$3" ]; chmod "$2" "$new"; mv -f "$new" "$1"'
        )
        done = self.sh(script, path, f"{mode:o}", str(len(data)), stdin=data)
        self._expect_success(done, f"write {path}")

    def exists(self, path: str) -> bool:
        return self.sh('[ -e "$1" ]', path).rc == 0

    def _expect_success(self, done: Completed, what: str) -> None:
        if done.rc != 0:
            reason = done.stderr.decode(errors="backslashreplace").strip()[-300:] or f"exit code {done.rc}"
            raise BadInput(f"can't {what}: {reason}", where=self.name, remedy="Check the path and its permissions")

    def _unwrap(self, raw: Completed, program: str) -> Completed:
        output, newline, code = raw.stdout.rpartition(b"\n")
        if not newline or not code.isdigit():
            detail = raw.stderr.decode(errors="backslashreplace").strip()[-300:]
            raise Unreachable(
                f"the answer to {program} broke off (transport ended with {raw.rc}{': ' + detail if detail else ''})",
                where=self.name,
                remedy="Whether it ran is unknown: the next run reads the state back",
            )
        return Completed(int(code), output, raw.stderr)


class LocalShell:
    """An `Execute` for this machine, used by tests and by whatever already runs on the node."""

    def __init__(self, env: dict[str, str] | None = None) -> None:
        self._env = env

    def __call__(self, command: str, stdin: bytes | None, timeout: float) -> Completed:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._env,
            start_new_session=True,
        )
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise Unreachable(f"no answer within {timeout:.0f} s", where="this machine") from None
        return Completed(process.returncode, stdout, stderr)
