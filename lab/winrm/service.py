"""The operations on shells: what each request does, and which fault it gets if it can't be done.

MS-WSMV sections 3.1.4.3 (Create), 3.1.4.5 (Delete), 3.1.4.11 (Command), 3.1.4.12 (Signal), 3.1.4.13 (Send) and 3.1.4.14
(Receive).
"""

from __future__ import annotations

import base64
import errno
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from lab.winrm.envelope import NAMESPACES, Request, answer, boolean, duration, name
from lab.winrm.faults import Fault, WsmanFault
from lab.winrm.shells import Command, Shell, ShellEnded
from lab.winrm.windows import HOME, SYSTEM, Drive, arguments

SHELL_URI = NAMESPACES["rsp"]
RESOURCE = f"{SHELL_URI}/cmd"
CREATE, DELETE = f"{NAMESPACES['x']}/Create", f"{NAMESPACES['x']}/Delete"
COMMAND, SEND, RECEIVE, SIGNAL = (f"{SHELL_URI}/{each}" for each in ("Command", "Send", "Receive", "Signal"))
_STATE = f"{SHELL_URI}/CommandState/"
_SIGNALS = {"ctrl_c": signal.SIGINT, "ctrl_break": signal.SIGQUIT, "terminate": signal.SIGKILL}
_OPTIONS: Mapping[str, set[str]] = {
    CREATE: {"WINRS_NOPROFILE", "WINRS_CODEPAGE"},
    COMMAND: {"WINRS_CONSOLEMODE_STDIN", "WINRS_SKIP_CMD_SHELL"},
    RECEIVE: {"WSMAN_CMDSHELL_OPTION_KEEPALIVE"},
}
# The envelope around a Receive's streams, and base64's four characters for three bytes.
_AROUND_BYTES = 4096
_LOOK_FOR_IDLE_S = 0.25


@dataclass(frozen=True, slots=True)
class Limits:
    """What winrm/config/winrs limits; `shortest_idle_s` is 60 on Windows."""

    shells_per_user: int = 30
    commands_per_shell: int = 25
    # winrm/config/service's MaxConcurrentOperationsPerUser. Terminate doesn't give one back (Ansible's winrm says so).
    operations_per_shell: int = 1500
    shortest_idle_s: float = 60.0
    idle_s: float = 7200.0


class Service:
    """All shells of one node."""

    def __init__(self, drive: Drive, limits: Limits | None = None, *, ignores_skip: bool = False) -> None:
        self._drive = drive
        self._limits = limits or Limits()
        # pypsrp's documentation: since Server 2012 R2, Windows starts everything with cmd.exe, whatever is asked.
        self._ignores_skip = ignores_skip
        self._shells: dict[str, Shell] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        threading.Thread(target=self._end_idle, daemon=True).start()

    def handle(self, request: Request, user: str) -> bytes:
        """The answer to a request. Raises WsmanFault."""
        operations = {
            CREATE: self._create,
            DELETE: self._delete,
            COMMAND: self._command,
            SEND: self._send,
            RECEIVE: self._receive,
            SIGNAL: self._signal,
        }
        if request.resource != RESOURCE:
            raise WsmanFault(Fault.UNKNOWN_RESOURCE, f"It is {request.resource}.")
        if request.action not in operations:
            raise WsmanFault(Fault.ACTION_NOT_SUPPORTED, f"It is {request.action}.")
        known = _OPTIONS.get(request.action, set())
        for option, given in request.options.items():
            # DSP0226 section 6.4: what isn't known is ignored, unless the request says MustComply.
            if option not in known and given.must_comply:
                raise WsmanFault(Fault.INVALID_OPTIONS, f"{option} is not known, and it must be complied with.")
        content = operations[request.action](request, user)
        return answer(f"{request.action}Response", request.message_id, content)

    def shells(self) -> list[Shell]:
        """All that live."""
        with self._lock:
            return list(self._shells.values())

    def close(self) -> None:
        """End every shell, as when the service stops."""
        self._over.set()
        for shell in self.shells():
            self._drop(shell)

    def _drop(self, shell: Shell) -> None:
        with self._lock:
            self._shells.pop(shell.id, None)
        shell.end()

    def _end_idle(self) -> None:
        while not self._over.wait(_LOOK_FOR_IDLE_S):
            for shell in self.shells():
                if shell.is_idle():
                    self._drop(shell)

    def _create(self, request: Request, user: str) -> list[Element]:
        asked = request.only_child("rsp:Shell")
        if request.selectors:
            raise WsmanFault(Fault.UNKNOWN_SHELL)
        known = {"InputStreams", "OutputStreams", "Environment", "WorkingDirectory", "IdleTimeOut", "Lifetime", "Name"}
        _known_children(asked, known)
        if _words(asked, "rsp:InputStreams", "stdin") != ("stdin",):
            raise WsmanFault(Fault.INVALID_PARAMETER, "The one input stream is stdin.")
        output = _words(asked, "rsp:OutputStreams", "stdout stderr")
        if not output or not set(output) <= {"stdout", "stderr"}:
            raise WsmanFault(Fault.INVALID_PARAMETER, "Output streams are stdout and stderr.")
        shell = Shell(
            drive=self._drive,
            owner=user,
            folder=asked.findtext(name("rsp:WorkingDirectory")) or HOME,
            variables=_variables(asked),
            idle_timeout_s=self._idle_timeout(asked),
            output=output,
            codepage=_codepage(request),
        )
        with _found(f"The working directory is {shell.folder}."):
            is_folder = self._drive.path(shell.folder).is_dir()
        if not is_folder:
            raise WsmanFault(Fault.FILE_NOT_FOUND, f"The working directory is {shell.folder}.")
        with self._lock:
            if sum(each.owner == user for each in self._shells.values()) >= self._limits.shells_per_user:
                raise WsmanFault(Fault.QUOTA_LIMIT)
            self._shells[shell.id] = shell
        return _created(shell)

    def _idle_timeout(self, asked: Element) -> float:
        text = asked.findtext(name("rsp:IdleTimeOut"))
        if text is None:
            return self._limits.idle_s
        seconds = duration(text)
        if seconds < self._limits.shortest_idle_s:
            raise WsmanFault(Fault.INVALID_TIMEOUT, f"{self._limits.shortest_idle_s:.0f} s is the shortest.")
        return seconds

    def _delete(self, request: Request, user: str) -> list[Element]:
        with self._shell(request, user) as shell:
            request.empty_body()
            self._drop(shell)
        return []

    def _command(self, request: Request, user: str) -> list[Element]:
        with self._shell(request, user) as shell:
            asked = request.only_child("rsp:CommandLine")
            _known_children(asked, {"Command", "Arguments"})
            program = asked.findtext(name("rsp:Command")) or ""
            given = [each.text or "" for each in asked.findall(name("rsp:Arguments"))]
            if not program.strip():
                raise WsmanFault(Fault.INVALID_PARAMETER, "There is no command.")
            if len(shell.commands) >= self._limits.commands_per_shell:
                raise WsmanFault(Fault.QUOTA_LIMIT)
            if shell.started >= self._limits.operations_per_shell:
                raise WsmanFault(Fault.TOO_MANY_COMMANDS)
            skip = "WINRS_SKIP_CMD_SHELL" in request.options and boolean(request.options["WINRS_SKIP_CMD_SHELL"].value)
            line = " ".join([program, *given])
            command = self._start(shell, line, skip and not self._ignores_skip)
        response = Element(name("rsp:CommandResponse"))
        SubElement(response, name("rsp:CommandId")).text = command.id
        return [response]

    def _start(self, shell: Shell, line: str, directly: bool) -> Command:
        """CreateProcessW with a line and no application's name; or what cmd.exe makes of it."""
        if not directly:
            line = f'{SYSTEM}\\cmd.exe /C "{line}"'
        argv = arguments(line)
        with _found(f"It is {argv[0]}."):
            path = self._drive.program(argv[0], shell.folder)
        if path is None:
            raise WsmanFault(Fault.FILE_NOT_FOUND, f"It is {argv[0]}.")
        try:
            return shell.start(path, argv[1:], line)
        except ShellEnded:
            raise WsmanFault(Fault.UNKNOWN_SHELL, f"The shell is {shell.id}.") from None
        except (OSError, subprocess.SubprocessError) as error:
            raise WsmanFault(Fault.BAD_EXE_FORMAT, str(error)) from None

    def _send(self, request: Request, user: str) -> list[Element]:
        with self._shell(request, user) as shell:
            asked = request.only_child("rsp:Send")
            _known_children(asked, {"Stream"})
            for stream in asked:
                if stream.get("Name") != "stdin":
                    raise WsmanFault(Fault.INVALID_PARAMETER, "The one input stream is stdin.")
                command = _the_command(shell, stream.get("CommandId"))
                end = stream.get("End", "false").lower() in ("true", "1")
                try:
                    command.send(base64.b64decode(stream.text or "", validate=True), end, request.timeout_s)
                except ValueError:  # also for what is not ASCII, which is none of binascii's
                    raise WsmanFault(Fault.SCHEMA_VALIDATION, "A stream is base64.") from None
                except BrokenPipeError:
                    raise WsmanFault(Fault.INVALID_PARAMETER, "The command reads no more input.") from None
                except TimeoutError:
                    raise WsmanFault(Fault.TIMED_OUT) from None
        return [Element(name("rsp:SendResponse"))]

    def _receive(self, request: Request, user: str) -> list[Element]:
        with self._shell(request, user) as shell:
            asked = request.only_child("rsp:Receive")
            _known_children(asked, {"DesiredStream"})
            desired = asked.find(name("rsp:DesiredStream"))
            wanted = tuple((desired.text or "").split()) if desired is not None else ()
            if desired is None or not wanted or not set(wanted) <= set(shell.output):
                raise WsmanFault(Fault.INVALID_PARAMETER, "The desired streams are not those of the shell.")
            command = _the_command(shell, desired.get("CommandId"))
            limit = (request.max_envelope_bytes - _AROUND_BYTES) * 3 // 4
            received = command.receive(wanted, request.timeout_s, limit)
            if shell.ended:
                # What Windows answers a Receive that waits while its shell is deleted (winerror.h).
                raise WsmanFault(Fault.ABORTED)
        if received is None:
            raise WsmanFault(Fault.TIMED_OUT)
        response = Element(name("rsp:ReceiveResponse"))
        for stream, data in received.data.items():
            if data:
                element = SubElement(response, name("rsp:Stream"), {"Name": stream, "CommandId": command.id})
                element.text = base64.b64encode(data).decode()
        for stream in received.ended:
            SubElement(response, name("rsp:Stream"), {"Name": stream, "CommandId": command.id, "End": "true"})
        state = "Running" if received.exit_code is None else "Done"
        element = SubElement(response, name("rsp:CommandState"), {"CommandId": command.id, "State": f"{_STATE}{state}"})
        if received.exit_code is not None:
            SubElement(element, name("rsp:ExitCode")).text = str(received.exit_code)
        return [response]

    def _signal(self, request: Request, user: str) -> list[Element]:
        with self._shell(request, user) as shell:
            asked = request.only_child("rsp:Signal")
            _known_children(asked, {"Code"})
            code = (asked.findtext(name("rsp:Code")) or "").strip()
            kind = code.rpartition("/")[2].lower()
            if not code.lower().startswith(f"{SHELL_URI}/signal/") or kind not in _SIGNALS:
                raise WsmanFault(Fault.INVALID_PARAMETER, f"The signal {code} is not known.")
            command = _the_command(shell, asked.get("CommandId"))
            command.signal(_SIGNALS[kind])
            if kind == "terminate":
                # Section 2.2.4.38: it acknowledges the end of the output, and cleans up what the command has.
                command.forget()
                del shell.commands[command.id]
        return [Element(name("rsp:SignalResponse"))]

    @contextmanager
    def _shell(self, request: Request, user: str) -> Iterator[Shell]:
        """The shell that is meant. Others' shells are as good as not there."""
        if set(request.selectors) != {"SHELLID"}:
            raise WsmanFault(Fault.SELECTORS_REQUIRED, "It is ShellId.")
        with self._lock:
            shell = self._shells.get(request.selectors["SHELLID"].upper())
        if shell is None or shell.owner != user:
            raise WsmanFault(Fault.UNKNOWN_SHELL, f"The shell is {request.selectors['SHELLID'][:80]}.")
        shell.touch()
        shell.in_use += 1
        try:
            yield shell
        finally:
            shell.in_use -= 1
            shell.touch()


@contextmanager
def _found(what: str) -> Iterator[None]:
    """A path on another drive, or with a name that no file has here, is one that isn't there (winerror.h)."""
    try:
        yield
    except ValueError:
        raise WsmanFault(Fault.FILE_NOT_FOUND, what[:200]) from None
    except OSError as error:
        fault = Fault.NAME_TOO_LONG if error.errno == errno.ENAMETOOLONG else Fault.FILE_NOT_FOUND
        raise WsmanFault(fault, what[:200]) from None


def _the_command(shell: Shell, command_id: str | None) -> Command:
    command = shell.commands.get((command_id or "").upper())
    if command is None:
        raise WsmanFault(Fault.INVALID_PARAMETER, "The shell has no such command.")
    return command


def _known_children(element: Element, known: set[str]) -> None:
    for child in element:
        if child.tag not in {name(f"rsp:{each}") for each in known}:
            raise WsmanFault(Fault.SCHEMA_VALIDATION, f"{child.tag} is not known there.")


def _words(asked: Element, prefixed: str, default: str) -> tuple[str, ...]:
    text = asked.findtext(name(prefixed))
    return tuple((default if text is None else text).split())


def _variables(asked: Element) -> dict[str, str]:
    found = {}
    for item in asked.findall(f"{name('rsp:Environment')}/{name('rsp:Variable')}"):
        key, value = item.get("Name", ""), item.text or ""
        if not key or "=" in key or "\0" in key + value:
            raise WsmanFault(Fault.INVALID_PARAMETER, "A variable has a name without '='.")
        found[key] = value
    return found


def _codepage(request: Request) -> int:
    text = request.options["WINRS_CODEPAGE"].value if "WINRS_CODEPAGE" in request.options else "437"
    if not text.isdecimal() or len(text) > 5 or not 0 < int(text) <= 65535:
        raise WsmanFault(Fault.INVALID_OPTIONS, "WINRS_CODEPAGE is a number.")
    return int(text)


def _created(shell: Shell) -> list[Element]:
    """Section 3.1.4.3: an end-point reference, and what the shell is (2.2.4.37)."""
    created = Element(name("x:ResourceCreated"))
    SubElement(created, name("a:Address")).text = "https://localhost/wsman"
    reference = SubElement(created, name("a:ReferenceParameters"))
    SubElement(reference, name("w:ResourceURI")).text = RESOURCE
    selectors = SubElement(reference, name("w:SelectorSet"))
    SubElement(selectors, name("w:Selector"), {"Name": "ShellId"}).text = shell.id
    told = Element(name("rsp:Shell"))
    for key, value in {
        "ShellId": shell.id,
        "ResourceUri": RESOURCE,
        "Owner": shell.owner,
        "IdleTimeOut": f"PT{shell.idle_timeout_s:.3f}S",
        "InputStreams": "stdin",
        "OutputStreams": " ".join(shell.output),
    }.items():
        SubElement(told, name(f"rsp:{key}")).text = value
    return [created, told]
