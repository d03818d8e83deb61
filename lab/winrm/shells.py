"""Shells, the commands in them, and who owns which process.

MS-WSMV sections 2.2.4.37 (Shell), 2.2.4.11 (CommandState) and 3.1.4.5 (Delete). On Windows the processes of a shell are
in a job object: when the shell goes, by Delete, by its idle time-out or with the service, all of them end, descendants
too. Here each carries the shell's id in its environment.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lab.processes import Process, await_end, read, send, snapshot
from lab.winrm.windows import EXIT_CODE_VARIABLE, HOME, Drive, environment

SHELL_VARIABLE = "LAB_SHELL"
# What a command may say before somebody receives it: then it waits, as on a full pipe.
BUFFER_BYTES = 1024 * 1024
_CHUNK = 64 * 1024
# As many Send operations are taken before somebody reads the first one.
_UNREAD_SENDS = 4
_TREE_DEADLINE_S = 10.0
# A descendant that keeps a stream open doesn't keep the command from being done.
_DRAIN_S = 0.5


class Stream:
    """Output of a command that was not received yet."""

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._data = bytearray()
        self.ended = False

    def read_from(self, pipe: IO[bytes]) -> None:
        while data := os.read(pipe.fileno(), _CHUNK):
            with self._changed:
                self._changed.wait_for(lambda: len(self._data) < BUFFER_BYTES or self.ended)
                if not self.ended:
                    self._data += data
                self._changed.notify_all()
        self.end()

    def end(self) -> None:
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def take(self, limit: int) -> bytes:
        taken = bytes(self._data[:limit])
        del self._data[:limit]
        self._changed.notify_all()
        return taken

    def __len__(self) -> int:
        return len(self._data)


@dataclass(frozen=True, slots=True)
class Received:
    """What one Receive answers: data by stream, streams that ended, and the exit code once all is said."""

    data: Mapping[str, bytes]
    ended: tuple[str, ...]
    exit_code: int | None


class Command:
    """One program that runs, or ran, in a shell."""

    def __init__(self, argv: list[str], env: Mapping[str, str], folder: Path, wanted: tuple[str, ...]) -> None:
        self.id = str(uuid.uuid4()).upper()
        self._changed = threading.Condition()
        self._streams = {name: Stream(self._changed) for name in wanted}
        self._code_file = Path(env[EXIT_CODE_VARIABLE])
        self._code: int | None = None
        self._process = subprocess.Popen(
            argv,
            env=dict(env),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=self._streams.get(name, Stream(self._changed)).read_from, args=(pipe,), daemon=True)
            for name, pipe in (("stdout", self._process.stdout), ("stderr", self._process.stderr))
            if pipe is not None
        ]
        for reader in self._readers:
            reader.start()
        self._input: queue.Queue[tuple[bytes, bool]] = queue.Queue(_UNREAD_SENDS)
        self._input_over = False
        threading.Thread(target=self._write, daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()

    def _write(self) -> None:
        pipe = self._process.stdin
        end = False
        while pipe is not None and not end:
            data, end = self._input.get()
            try:
                pipe.write(data)
                pipe.flush()
            except (BrokenPipeError, ValueError):
                break
        self._input_over = True
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _watch(self) -> None:
        code = self._process.wait()
        deadline = time.monotonic() + _DRAIN_S
        for reader in self._readers:
            while reader.is_alive() and time.monotonic() < deadline:
                reader.join(_DRAIN_S)
                if any(len(stream) for stream in self._streams.values()):
                    # Somebody still has to receive that; the reader may be waiting for them.
                    deadline = time.monotonic() + _DRAIN_S
        with self._changed:
            for stream in self._streams.values():
                stream.ended = True
            self._code = self._exit_code(code)
            self._changed.notify_all()

    def _exit_code(self, code: int) -> int:
        told = self._code_file.read_text() if self._code_file.exists() else ""
        # Windows ends a process with a code of its own; TerminateProcess by WinRM uses 1.
        return int(told) if told else 1 if code < 0 else code

    def receive(self, names: tuple[str, ...], timeout_s: float, limit: int) -> Received | None:
        """What there is to say, waited for; None if there was nothing within the time (MS-WSMV section 3.1.4.14)."""
        with self._changed:
            streams = {name: self._streams[name] for name in names if name in self._streams}
            self._changed.wait_for(lambda: any(map(len, streams.values())) or self._code is not None, timeout_s)
            if not any(map(len, streams.values())) and self._code is None:
                return None
            data = {}
            for name, stream in streams.items():
                data[name] = stream.take(limit)
                limit -= len(data[name])
            over = self._code is not None and not any(map(len, self._streams.values()))
            return Received(data, tuple(streams) if over else (), self._code if over else None)

    def send(self, data: bytes, end: bool, timeout_s: float) -> None:
        """Standard input. Raises BrokenPipeError after its end, and TimeoutError while nobody reads it."""
        if self._input_over or self._code is not None:
            raise BrokenPipeError
        try:
            self._input.put((data, end), timeout=timeout_s)
        except queue.Full:
            raise TimeoutError from None

    def signal(self, number: signal.Signals) -> None:
        """To the program that was started; what that started has no part in it."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def forget(self) -> None:
        self._input_over = True
        with contextlib.suppress(queue.Full):
            self._input.put_nowait((b"", True))
        for stream in self._streams.values():
            stream.end()


class ShellEnded(Exception):
    """The shell was deleted before the command began: nothing ran."""


@dataclass
class Shell:
    """A place to run commands in. `idle_timeout_s` without a request ends it."""

    drive: Drive
    owner: str
    folder: str = HOME
    variables: Mapping[str, str] = field(default_factory=dict)
    idle_timeout_s: float = 7200.0
    output: tuple[str, ...] = ("stdout", "stderr")
    codepage: int = 437
    id: str = field(default_factory=lambda: str(uuid.uuid4()).upper())
    commands: dict[str, Command] = field(default_factory=dict)
    in_use: int = 0
    ended: bool = False
    started: int = 0
    # A command begins before the end, which then knows of it, or not at all.
    _beginning: threading.Lock = field(default_factory=threading.Lock)
    _used: float = field(default_factory=time.monotonic)
    _codes: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="lab-shell-")))

    def start(self, program: Path, argv: list[str], line: str) -> Command:
        """Raises ShellEnded, and OSError for what is no program."""
        env = environment(self.drive, self.variables, line, self._codes / str(uuid.uuid4()))
        env |= {SHELL_VARIABLE: self.id, "LAB_CODEPAGE": str(self.codepage)}
        with self._beginning:
            if self.ended:
                raise ShellEnded
            command = Command([str(program), *argv], env, self.drive.path(self.folder), self.output)
            self.commands[command.id] = command
            self.started += 1
        return command

    def touch(self) -> None:
        self._used = time.monotonic()

    def is_idle(self) -> bool:
        return not self.in_use and time.monotonic() - self._used > self.idle_timeout_s

    def processes(self) -> list[Process]:
        """Everything that was started in it and by that, and lives."""
        mark = f"{SHELL_VARIABLE}={self.id}".encode()
        return [process for pid in snapshot() if mark in _environment(pid) and (process := read(pid))]

    def end(self) -> None:
        with self._beginning:
            self.ended = True
            commands = list(self.commands.values())
        for command in commands:
            command.forget()
        deadline = time.monotonic() + _TREE_DEADLINE_S
        while left := self.processes():
            for process in left:
                send(process, signal.SIGKILL)
            await_end(lambda ended=left: ended, 1.0)  # type: ignore[misc]
            if all(process.state in "ZX" for process in self.processes()) or time.monotonic() > deadline:
                break
        shutil.rmtree(self._codes, ignore_errors=True)


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
