# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's winrm, and beside it a way to start executables without a shell and without PowerShell."""

from __future__ import annotations

DOCUMENTATION = """
name: winrm
short_description: Run node operations and Ansible's tasks on Windows over WinRM
version_added: 0.1.0
author:
  - The Tidegate contributors (@tidegate)
description:
  - Everything that P(ansible.builtin.winrm#connection) does, with its options and variables, unchanged. So the modules
    for Windows that Ansible has go on working.
  - Tidegate's node operations go another way over the same connection. They start executables directly, use cmd.exe for
    batch files only, and need no PowerShell.
  - Certificates are verified, unless C(ansible_winrm_server_cert_validation=ignore) says otherwise.
requirements:
  - pywinrm
extends_documentation_fragment:
  - connection_pipelining
  - tidegate.delivery.winrm_options
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import ParseError

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.connection.winrm import HAS_WINRM, HAS_XMLTODICT
from ansible.plugins.connection.winrm import Connection as AnsiblesWinrm

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DeadlineExceeded, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.node import Completed
from ansible_collections.tidegate.delivery.plugins.module_utils.silence import Silence
from ansible_collections.tidegate.delivery.plugins.module_utils.windows_command_line import CommandLine
from ansible_collections.tidegate.delivery.plugins.module_utils.windows_node import (
    SHELL_IDLE_S,
    OutputTooLarge,
    ShellLost,
)

try:
    from requests.exceptions import RequestException
    from winrm.exceptions import (
        InvalidCredentialsError,
        WinRMError,
        WinRMOperationTimeoutError,
        WinRMTransportError,
        WSManFaultError,
    )
except ImportError:
    # Connecting says what is missing; until then these catch nothing.
    class WinRMError(Exception):  # type: ignore[no-redef]
        """Not there."""

    class WSManFaultError(WinRMError):  # type: ignore[no-redef]
        """Not there."""

    InvalidCredentialsError = WinRMOperationTimeoutError = WinRMTransportError = RequestException = WinRMError  # type: ignore[misc,assignment]

# One Receive waits as long, then asks again: far below the idle time-out and pywinrm's read time-out.
_WAIT_S = 15
# Beyond the operation's own time-out, as pywinrm and Ansible have it.
_NO_ANSWER_S = 10
# Base64 in one envelope of 150 KiB, which is what the oldest Windows takes.
_SEND_BYTES = 96 * 1024
_UTF8_CODEPAGE = 65001
# wsmerror.h: ERROR_WSMAN_UNEXPECTED_SELECTORS is what a shell that isn't there gets, and winerror.h of files.
_NO_SUCH_SHELL = 0x8033805B
# ERROR_WSMAN_QUOTA_MAX_OPERATIONS.
_TOO_MANY_COMMANDS = 0x803381A6
# wsmerror.h: ERROR_WSMAN_QUOTA_MAX_SHELLS, and the older ERROR_WSMAN_QUOTA_LIMIT.
_NO_SHELL_FREE = (0x803381A5, 0x8033803F)
# ERROR_OPERATION_ABORTED: the shell was deleted while we waited for an answer.
_ABORTED = 995
_NO_SUCH_PROGRAM = (2, 3)
# Content Too Large: what HTTP.sys answers beyond MaxEnvelopeSizekb.
_TOO_LARGE = 413
# What pywinrm raises when an answer is something else than it expects: it has no error of its own for that.
_MALFORMED = (ParseError, StopIteration, AssertionError, ValueError, LookupError, AttributeError)
# What a connection that drops, or doesn't come about, ends a request with: the shell on the node goes on.
_DROPPED = (WinRMTransportError, RequestException)
# Whatever may go wrong with a request.
_TROUBLE = (WinRMError, WinRMOperationTimeoutError, *_DROPPED, *_MALFORMED)
_READ_BACK = "Whether it ran is unknown: the next run reads the state back"


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Of one command: seconds and bytes."""

    program: str
    deadline: float
    timeout: float
    limit: int
    patience: float


class Connection(AnsiblesWinrm):  # type: ignore[misc]
    """One connection; `start_directly` has a shell of its own, beside Ansible's."""

    transport = "tidegate.delivery.winrm"

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        # pywinrm's protocol and shell of the node operations, whatever Ansible's own tasks do on this connection.
        self._direct: Any = None
        self._shell_id: str | None = None

    def start_directly(
        self, line: CommandLine, stdin: bytes | None, timeout: float, limit: int, *, patience: float = 0
    ) -> Completed:
        """A `WindowsExecute`: start an executable without cmd.exe, and wait until it ends."""
        bounds = _Bounds(line.program.strip('"'), time.monotonic() + timeout, timeout, limit, patience)
        command = None
        try:
            with self._told(bounds.program):
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
        """Delete the shell, and with it whatever still runs in it; then Ansible's."""
        with suppress(*_TROUBLE):
            self._delete_shell()
        super().close()

    def reset(self) -> None:
        with suppress(*_TROUBLE):
            self._delete_shell()
        super().reset()

    # One command

    def _started(self, line: CommandLine, console: bool, bounds: _Bounds) -> str:
        """Start it; again, with patience, if the answer is lost: the shell in which it may have started is deleted."""
        silence = Silence(bounds.patience)
        while True:
            try:
                if silence.begun:
                    self._end_shell()
                return self._start(line, console=console)
            except (*_DROPPED, Unreachable) as error:
                silence.bear(error)

    def _end_shell(self) -> None:
        """Know that our shell is gone, and what ran in it. Raises what `close_shell` does otherwise."""
        if self._shell_id is not None:
            try:
                self._direct.close_shell(self._shell_id, close_session=False)
            except WSManFaultError as fault:
                if fault.wsman_fault_code != _NO_SUCH_SHELL:
                    raise
            self._shell_id = None

    def _start(self, line: CommandLine, *, console: bool) -> str:
        try:
            return self._run(line, console)
        except WSManFaultError as fault:
            # The shell was idle for too long, or WinRM started anew; or it had as many commands as one may have, which
            # WinRM never counts down. Nothing ran: another shell does as well.
            if fault.wsman_fault_code == _TOO_MANY_COMMANDS:
                self._delete_shell()
            elif fault.wsman_fault_code != _NO_SUCH_SHELL:
                raise
            self._shell_id = None
            return self._run(line, console)

    def _run(self, line: CommandLine, console: bool) -> str:
        if self._direct is None:
            self._direct = self._connected_protocol()
        if self._shell_id is None:
            self._shell_id = self._direct.open_shell(codepage=_UTF8_CODEPAGE, idle_timeout=f"PT{SHELL_IDLE_S}S")
        arguments = [line.arguments] if line.arguments else ()
        return str(
            self._direct.run_command(
                self._shell_id, line.program, arguments, console_mode_stdin=console, skip_cmd_shell=True
            )
        )

    def _connected_protocol(self) -> Any:  # noqa: ANN401 (pywinrm's Protocol, if it is installed)
        """Connect as Ansible does it. The shell that it opens to try a transport has a long idle time-out: it goes."""
        kept: str | None = self.shell_id
        self.shell_id: str | None = None
        self._connecting()
        try:
            protocol, opened = self._winrm_connect(), self.shell_id
        except AnsibleConnectionFailure as error:
            raise self._not_connected(" ".join(str(error).split())[:500]) from None
        except AnsibleError as error:
            raise self._not_usable(error) from None
        finally:
            self.shell_id = kept
        if opened:
            protocol.close_shell(opened, close_session=False)
        return protocol

    def _connecting(self) -> None:
        if not (HAS_WINRM and HAS_XMLTODICT):
            raise self._not_usable("pywinrm is not installed")
        try:
            self._build_winrm_kwargs()
        except AnsibleError as error:
            raise self._not_usable(error) from None

    def _send(self, command: str, stdin: bytes | None) -> None:
        for at in range(0, len(stdin or b"") or 1, _SEND_BYTES):
            if stdin is not None:
                chunk = stdin[at : at + _SEND_BYTES]
                last = at + _SEND_BYTES >= len(stdin)
                self._direct.send_command_input(self._shell_id, command, chunk, end=last)

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
                    where=self._host_name,
                    remedy="Look at what holds it up on the node, or raise the time limit",
                )
            try:
                with self._waiting(left), suppress(WinRMOperationTimeoutError):
                    *said, code, done = self._direct.get_command_output_raw(self._shell_id, command)
                    for collected, part in zip(output, said, strict=True):
                        collected.append(part)
                        size += len(part)
            except _DROPPED as error:
                silence.bear(error)
                continue
            silence.over()
            if size > bounds.limit:
                raise OutputTooLarge(
                    f"{bounds.program} said more than {bounds.limit} bytes and was ended",
                    where=self._host_name,
                    remedy="Have it write to a file",
                )
        return Completed(code & 0xFFFFFFFF, b"".join(output[0]), b"".join(output[1]))

    @contextmanager
    def _waiting(self, seconds: float) -> Iterator[None]:
        """For one request: no longer than is left, and soon noticed if there is no answer at all."""
        protocol, transport = self._direct, self._direct.transport
        before = protocol.operation_timeout_sec, transport.read_timeout_sec
        protocol.operation_timeout_sec = max(1, min(before[0], _WAIT_S, int(seconds)))
        transport.read_timeout_sec = min(before[1], protocol.operation_timeout_sec + _NO_ANSWER_S)
        try:
            yield
        finally:
            protocol.operation_timeout_sec, transport.read_timeout_sec = before

    def _acknowledge(self, command: str) -> None:
        """MS-WSMV section 2.2.4.38: terminate also frees what the command had. Without it a quota fills up."""
        if self._shell_id is not None:
            try:
                self._direct.cleanup_command(self._shell_id, command)
            except _TROUBLE:
                # The answer is there already; the next command gets a shell of its own.
                self._shell_id = None

    # Ends and errors

    def _end_all(self, error: Unreachable | DeadlineExceeded | BadInput) -> None:
        """After a failure nothing must go on: the shell is deleted, and what it owns ends with it."""
        try:
            self._delete_shell()
        except _TROUBLE:
            self._shell_id = None
            error.remedy += f". Its shell could not be deleted: what runs in it ends within {SHELL_IDLE_S} s"

    def _delete_shell(self) -> None:
        shell, self._shell_id = self._shell_id, None
        if shell is not None and self._direct is not None:
            with self._waiting(1):
                self._direct.close_shell(shell, close_session=False)

    @property
    def _host_name(self) -> str:
        return str(self.get_option("remote_addr"))

    def _not_usable(self, reason: object) -> BadInput:
        return BadInput(
            " ".join(str(reason).split())[:500],
            where=self._host_name,
            remedy="Check the connection variables; what may be missing comes with: pip install 'tidegate[winrm]'",
        )

    def _not_connected(self, reason: str) -> BadInput | Unreachable:
        if "credentials were rejected" in reason or "requires a" in reason:
            return BadInput(
                reason, where=self._host_name, remedy="Check ansible_user, ansible_password and ansible_winrm_transport"
            )
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            return BadInput(
                "the node's certificate is not trusted",
                where=self._host_name,
                remedy="Set ansible_winrm_ca_trust_path to the certificate of who signed it",
            )
        # Ansible makes a shell to try the transport, and of a fault only pywinrm's text is left.
        if any(f"'wsmanfault_code': {code}" in reason for code in _NO_SHELL_FREE):
            return self._no_shell(reason.partition(" (extended")[0])
        return Unreachable(
            reason, where=self._host_name, remedy="Check that the host is up and that WinRM listens on ansible_port"
        )

    def _no_shell(self, reason: str) -> Unreachable:
        return Unreachable(
            f"WinRM gives no shell: {reason}",
            where=self._host_name,
            remedy="Nothing ran. End shells that others left there, or raise MaxShellsPerUser",
        )

    @contextmanager
    def _told(self, program: str) -> Iterator[None]:
        """pywinrm's and requests' errors as outcomes."""
        try:
            yield
        except InvalidCredentialsError as error:
            raise self._not_connected(str(error)) from None
        except WSManFaultError as fault:
            raise self._of_fault(fault, program) from None
        except WinRMOperationTimeoutError:
            raise Unreachable(
                f"{program} took no more of its input, or the node is busy", where=self._host_name, remedy=_READ_BACK
            ) from None
        except _DROPPED as error:
            if getattr(error, "code", None) == _TOO_LARGE:
                raise BadInput(
                    f"a request for {program} is larger than the node's WinRM takes",
                    where=self._host_name,
                    remedy="Raise MaxEnvelopeSizekb there (winrm get winrm/config)",
                ) from None
            detail = " ".join(str(error).split())[:300]
            raise Unreachable(
                f"the answer to {program} broke off: {detail}", where=self._host_name, remedy=_READ_BACK
            ) from None
        except WinRMError as error:
            raise Unreachable(str(error)[:300], where=self._host_name, remedy=_READ_BACK) from None
        except _MALFORMED as error:
            raise Unreachable(
                f"the answer to {program} is not WS-Management's: {type(error).__name__}",
                where=self._host_name,
                remedy=f"See that ansible_host and ansible_port are WinRM's, and no proxy's. {_READ_BACK}",
            ) from None

    def _of_fault(self, fault: WSManFaultError, program: str) -> BadInput | Unreachable:
        if fault.wsman_fault_code in (_NO_SUCH_SHELL, _ABORTED):
            return ShellLost(
                f"the shell that {program} ran in is gone, and {program} with it",
                where=self._host_name,
                remedy="How far it came is unknown: the next run reads the state back and runs it again",
            )
        if fault.wsman_fault_code in _NO_SUCH_PROGRAM:
            return BadInput(
                f"there is no {program}", where=self._host_name, remedy="Install it on the node, or correct the path"
            )
        if fault.wsman_fault_code in _NO_SHELL_FREE:
            return self._no_shell(fault.reason)
        return Unreachable(f"WinRM refused: {fault.reason}", where=self._host_name, remedy=_READ_BACK)
