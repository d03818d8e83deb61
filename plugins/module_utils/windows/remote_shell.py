# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A WinRM shell in which executables are started directly, without cmd.exe and without PowerShell.

Over pywinrm's protocol; what WinRM does is in MS-WSMV. The shell owns what runs in it: with it that ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DeadlineExceeded, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed
from ansible_collections.tidegate.delivery.plugins.module_utils.silence import LOG_IN_AGAIN_S, Silence
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.command_line import CommandLine
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import SHELL_IDLE_S, OutputTooLarge
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.winrm_errors import (
    DROPPED,
    NO_SUCH_SHELL,
    TOO_MANY_COMMANDS,
    TROUBLE,
    InvalidCredentialsError,
    WinRMOperationTimeoutError,
    WSManFaultError,
    told,
)

# One Receive waits as long, then asks again: far below the idle time-out and pywinrm's read time-out.
_WAIT_S = 15
# Beyond the operation's own time-out, as pywinrm and Ansible have it.
_NO_ANSWER_S = 10
# Base64 in one envelope of 150 KiB, which is what the oldest Windows takes.
_SEND_BYTES = 96 * 1024
_UTF8_CODEPAGE = 65001


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Of one command: seconds and bytes."""

    program: str
    deadline: float
    timeout: float
    limit: int
    patience: float


class RemoteShell:
    """A `WindowsExecute`: made when it is first needed, again after it was lost, deleted by `close`.

    `connect` gives pywinrm's Protocol, and raises BadInput or Unreachable. Without a request for `idle_s` seconds the
    node ends the shell by itself.
    """

    def __init__(self, host: str, connect: Callable[[], Any], idle_s: int = SHELL_IDLE_S) -> None:
        self.host, self.idle_s = host, idle_s
        self.id: str | None = None
        """What WinRM calls it; None while there is none."""
        self._connect = connect
        self._protocol: Any = None

    def __call__(
        self, line: CommandLine, stdin: bytes | None, timeout: float, limit: int, *, patience: float = 0
    ) -> Completed:
        """Start an executable without cmd.exe, and wait until it ends."""
        bounds = _Bounds(line.program.strip('"'), time.monotonic() + timeout, timeout, limit, patience)
        command = None
        try:
            with told(self.host, bounds.program):
                command = self._started(line, stdin is None, bounds)
                self._send(command, stdin)
                return self._receive(command, bounds)
        except (Unreachable, DeadlineExceeded, BadInput) as error:
            self._end_all(error)
            raise
        finally:
            if command is not None:
                self._acknowledge(command)

    def close(self) -> None:
        """Delete it, and with it whatever still runs in it; the next command gets another one."""
        with suppress(*TROUBLE):
            self._delete()

    # One command

    def _started(self, line: CommandLine, console: bool, bounds: _Bounds) -> str:
        """Start it; again, with patience, if the answer is lost: the shell in which it may have started is deleted."""
        silence = Silence(bounds.patience)
        while True:
            try:
                if silence.begun:
                    self._end()
                return self._start(line, console=console)
            except (*DROPPED, Unreachable, WinRMOperationTimeoutError) as error:
                silence.bear(error)
            except InvalidCredentialsError as error:
                if not silence.begun:
                    raise
                self._bear_refusal(silence, error)

    def _end(self) -> None:
        """Know that our shell is gone, and what ran in it. Raises what `close_shell` does otherwise."""
        if self.id is not None:
            try:
                self._protocol.close_shell(self.id, close_session=False)
            except WSManFaultError as fault:
                if fault.wsman_fault_code != NO_SUCH_SHELL:
                    raise
            self.id = None

    def _start(self, line: CommandLine, *, console: bool) -> str:
        try:
            return self._run(line, console)
        except WSManFaultError as fault:
            # The shell was idle for too long, or WinRM started anew; or it had as many commands as one may have, which
            # WinRM never counts down. Nothing ran: another shell does as well.
            if fault.wsman_fault_code == TOO_MANY_COMMANDS:
                self._delete()
            elif fault.wsman_fault_code != NO_SUCH_SHELL:
                raise
            self.id = None
            return self._run(line, console)

    def _run(self, line: CommandLine, console: bool) -> str:
        if self._protocol is None:
            self._protocol = self._connect()
        if self.id is None:
            self.id = str(self._protocol.open_shell(codepage=_UTF8_CODEPAGE, idle_timeout=f"PT{self.idle_s}S"))
        arguments = [line.arguments] if line.arguments else ()
        return str(
            self._protocol.run_command(
                self.id, line.program, arguments, console_mode_stdin=console, skip_cmd_shell=True
            )
        )

    def _send(self, command: str, stdin: bytes | None) -> None:
        for at in range(0, len(stdin or b"") or 1, _SEND_BYTES):
            if stdin is not None:
                chunk = stdin[at : at + _SEND_BYTES]
                last = at + _SEND_BYTES >= len(stdin)
                self._protocol.send_command_input(self.id, command, chunk, end=last)

    def _receive(self, command: str, bounds: _Bounds) -> Completed:
        output: tuple[list[bytes], list[bytes]] = ([], [])
        size, done, code = 0, False, -1
        silence = Silence(bounds.patience)
        while not done:
            left = bounds.deadline - time.monotonic()
            if left <= 0:
                silence.give_up()
                raise DeadlineExceeded(
                    f"{bounds.program} did not end within {bounds.timeout:.0f} s and was ended",
                    where=self.host,
                    remedy="Look at what holds it up on the node, or raise the time limit",
                )
            try:
                with self._waiting(left), suppress(WinRMOperationTimeoutError):
                    *said, code, done = self._protocol.get_command_output_raw(self.id, command)
                    for collected, part in zip(output, said, strict=True):
                        collected.append(part)
                        size += len(part)
            except DROPPED as error:
                silence.bear(error)
                continue
            except InvalidCredentialsError as error:
                self._bear_refusal(silence, error)
                continue
            silence.over()
            if size > bounds.limit:
                raise OutputTooLarge(
                    f"{bounds.program} said more than {bounds.limit} bytes and was ended",
                    where=self.host,
                    remedy="Have it write to a file",
                )
        return Completed(code & 0xFFFFFFFF, b"".join(output[0]), b"".join(output[1]))

    def _bear_refusal(self, silence: Silence, error: Exception) -> None:
        """Who was let in before is refused on another connection: what checks passwords is away, or is starting."""
        refused = Unreachable(
            f"the node let us in, and now refuses user or password ({error})",
            where=self.host,
            remedy="Look whether it reaches its domain controller, and whether the password was changed",
        )
        silence.bear(refused, LOG_IN_AGAIN_S)

    @contextmanager
    def _waiting(self, seconds: float) -> Iterator[None]:
        """For one request: no longer than is left, and soon noticed if there is no answer at all."""
        protocol, transport = self._protocol, self._protocol.transport
        before = protocol.operation_timeout_sec, transport.read_timeout_sec
        protocol.operation_timeout_sec = max(1, min(before[0], _WAIT_S, int(seconds)))
        transport.read_timeout_sec = min(before[1], protocol.operation_timeout_sec + _NO_ANSWER_S)
        try:
            yield
        finally:
            protocol.operation_timeout_sec, transport.read_timeout_sec = before

    def _acknowledge(self, command: str) -> None:
        """MS-WSMV section 2.2.4.38: terminate also frees what the command had. Without it a quota fills up."""
        if self.id is not None:
            try:
                self._protocol.cleanup_command(self.id, command)
            except TROUBLE:
                # The answer is there already; the next command gets a shell of its own.
                self.id = None

    # Its end

    def _end_all(self, error: Unreachable | DeadlineExceeded | BadInput) -> None:
        """After a failure nothing must go on: the shell is deleted, and what it owns ends with it."""
        try:
            self._delete()
        except TROUBLE:
            error.remedy += f". Its shell could not be deleted: what runs in it ends within {self.idle_s} s"

    def _delete(self) -> None:
        shell, self.id = self.id, None
        if shell is not None and self._protocol is not None:
            with self._waiting(1):
                self._protocol.close_shell(shell, close_session=False)
