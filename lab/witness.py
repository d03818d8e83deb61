"""Measurements that run in a process of their own, so that what they watch can't starve them, nor they it.

The two sides of one pipe: the parent starts the process, waits for its `ready`, later writes `stop` and reads the
result from a JSON file. The process ends by itself when its parent is gone (the pipe's end) and after its time.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from lab.layout import PROJECT

_READY = b"ready\n"
_STOP = b"stop\n"
START_S = 60.0
# A request may wait its 10 s patience after the stop; then the result is written.
STOP_S = 60.0
_RESULT_LIMIT = 16 * 1024 * 1024
Result = TypeVar("Result")


def write_json(path: Path, value: object) -> None:
    """Write it whole or not at all: temporary name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value, indent=2) + "\n")
    temporary.replace(path)


@dataclass(slots=True)
class Witness:
    """The parent's side: one measuring process, `python -m MODULE --settings FILE`."""

    module: str
    name: str
    settings: dict[str, Any]
    folder: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def result_file(self) -> Path:
        return self.folder / f"{self.name}.json"

    @property
    def log_file(self) -> Path:
        return self.folder / f"{self.name}.log"

    def start(self) -> Self:
        """Start it and wait until it measures. Raises DomainError if it doesn't within a minute."""
        assert self._process is None, f"{self.name} has been started before"
        settings_file = self.folder / f"{self.name}.settings.json"
        write_json(settings_file, {**self.settings, "result": str(self.result_file)})
        self.result_file.unlink(missing_ok=True)
        argv = [sys.executable, "-m", self.module, "--settings", str(settings_file)]
        with self.log_file.open("wb") as log:
            # A session of its own: Ctrl-C at the terminal is for the parent, who then stops it in order.
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True, cwd=PROJECT
            )
        if not self._says_ready(self._process):
            self.kill()
            raise self._problem("did not start measuring")
        return self

    def _says_ready(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], START_S)
        return bool(readable) and process.stdout.readline() == _READY

    def stop(self) -> dict[str, Any]:
        """End it in order and give its result. Raises DomainError if there is none."""
        assert self._process is not None and self._process.stdin is not None, f"{self.name} was not started"
        try:
            self._process.stdin.write(_STOP)
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # It ended by itself, after its time; the result says so.
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self._problem(f"did not end within {STOP_S:g} s") from None
        self._close()
        return self._result()

    def _result(self) -> dict[str, Any]:
        try:
            if self.result_file.stat().st_size > _RESULT_LIMIT:
                raise self._problem(f"wrote more than {_RESULT_LIMIT} bytes")
            raw = json.loads(self.result_file.read_bytes())
        except (OSError, ValueError):
            raise self._problem("ended without a result") from None
        assert isinstance(raw, dict)
        return raw

    def _problem(self, what: str) -> DomainError:
        said = self.log_file.read_text(errors="replace").strip().splitlines()
        last = f": {said[-1][:300]}" if said else ""
        remedy = f"Its full output is in {self.log_file}."
        return DomainError(f"the measuring process {self.name} {what}{last}", where=self.module, remedy=remedy)

    def running(self) -> bool:
        """Whether it still measures."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it without a result."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        assert self._process is not None
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue


def scratch_folder() -> Path:
    """A new temporary folder for a measurement's files."""
    return Path(mkdtemp(prefix="tidegate-measured-"))


class Measurement(ABC, Generic[Result]):
    """Something that is measured from `start` to `stop` in a process of its own; usable with `with`.

    Both raise DomainError if the process doesn't do its part. After the `with` block, `result` is there; when the block
    ends with an exception, the process is ended without one.
    """

    result: Result | None = None
    _witness: Witness | None = None

    @abstractmethod
    def _prepare(self) -> Witness:
        """The process to start."""

    @abstractmethod
    def _read(self, raw: dict[str, Any]) -> Result:
        """The result from the process's JSON."""

    def start(self) -> Self:
        """Start; returns once it measures."""
        self._witness = self._prepare().start()
        return self

    def stop(self) -> Result:
        """End in order and give the result."""
        assert self._witness is not None, "not started"
        self.result = self._read(self._witness.stop())
        return self.result

    def kill(self) -> None:
        """End without a result."""
        if self._witness is not None:
            self._witness.kill()

    def running(self) -> bool:
        """Whether it still measures."""
        return self._witness is not None and self._witness.running()

    @property
    def pid(self) -> int:
        assert self._witness is not None, "not started"
        return self._witness.pid

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self.result is None:
            self.stop()
        else:
            self.kill()


async def until_told(max_seconds: float) -> str:
    """The process's side: say `ready`, then wait; why to end (`stop` or `time`).

    Ends the process at once if the parent is gone: nobody would read a result.
    """
    loop = asyncio.get_running_loop()
    told: asyncio.Future[str] = loop.create_future()
    end = loop.call_later(max_seconds, _tell, told, "time")
    # If the loop itself hangs, the kernel ends us.
    signal.alarm(int(max_seconds + STOP_S) + 1)
    loop.add_reader(sys.stdin.fileno(), _hear, told)
    os.write(sys.stdout.fileno(), _READY)
    try:
        return await told
    finally:
        end.cancel()


def _tell(told: asyncio.Future[str], why: str) -> None:
    if not told.done():
        told.set_result(why)


def _hear(told: asyncio.Future[str]) -> None:
    heard = os.read(sys.stdin.fileno(), 64)
    if not heard:
        os._exit(3)
    if heard.startswith(_STOP.rstrip()):
        _tell(told, "stop")


def wait_until(condition: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    """Whether the condition came true within the time, after which it is looked at once more: a look may have hung."""
    deadline = time.monotonic() + seconds
    over = False
    while not condition():
        if over:
            return False
        time.sleep(every)
        over = time.monotonic() > deadline
    return True
