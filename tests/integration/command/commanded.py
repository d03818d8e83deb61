"""The `tidegate` command on the lab: started like a person or Jenkins does, and everything that it started."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from lab.layout import PROJECT, Layout
from lab.witness import wait_until
from tests.integration.flow.lab_site import others
from tests.waiting import DEPLOYMENT_S, GONE_S, until

TIDEGATE = Path(sys.executable).parent / "tidegate"
# Every process that a run starts inherits it, as Jenkins marks its jobs' processes with BUILD_ID.
_MARK = "TIDEGATE_TEST_RUN"
# A whole deployment of some nodes.
_CALL_S = 2 * DEPLOYMENT_S


@dataclass(frozen=True, slots=True)
class Answered:
    """A command that ended: exit code and both outputs."""

    rc: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """What `--json` answered."""
        return dict(json.loads(self.stdout))


@dataclass
class Running:
    """A command that runs."""

    process: subprocess.Popen[str]
    mark: str

    def end(self, limit_s: float = DEPLOYMENT_S) -> Answered:
        """Wait for it; whatever happens, nothing of it runs on."""
        try:
            stdout, stderr = self.process.communicate(timeout=limit_s)
        finally:
            self.signal_all(signal.SIGKILL) if self.process.poll() is None else None
        return Answered(self.process.returncode, stdout or "", stderr or "")

    def playbook(self) -> psutil.Process:
        """Its ansible-playbook."""
        return min(psutil.Process(self.process.pid).children(), key=lambda child: child.create_time())

    def processes(self) -> list[psutil.Process]:
        """Every process of this run, wherever it has gone."""
        return [process for process in psutil.process_iter() if _marked(process, self.mark)]

    def signal_all(self, number: signal.Signals) -> None:
        """The same signal to all of them at once, as Jenkins aborts."""
        for process in self.processes():
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue

    def survivors(self) -> list[str]:
        """What is left of it, which a good command ends a moment after itself at the latest."""
        wait_until(lambda: not self.processes(), GONE_S, every=0.1)
        return [title for process in self.processes() if (title := _title(process))]


@dataclass
class Commands:
    """Starts commands on one lab."""

    layout: Layout
    services: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *words: str, terminal: int | None = None) -> Running:
        """Begin one, in a session of its own; with `terminal` (a pty's file descriptor) on that one."""
        mark = uuid.uuid4().hex
        environment = {
            **os.environ,
            **self.layout.environment,
            "TIDEGATE_LAB_NET": self.layout.net,
            "TIDEGATE_LAB_STATE": str(self.layout.state),
            _MARK: mark,
            **self.environment,
        }
        argv = [str(TIDEGATE), *words, "-i", "inventories/lab", "-e", f"tidegate_services={self.services}"]
        where: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        if terminal is not None:
            where = {"stdin": terminal, "stdout": terminal, "stderr": terminal, "preexec_fn": _own_terminal}
        process = subprocess.Popen(argv, cwd=PROJECT, env=environment, text=True, start_new_session=True, **where)
        return Running(process, mark)

    def call(self, *words: str) -> Answered:
        """Run one to its end."""
        return self.start(*words).end(_CALL_S)


@dataclass
class Terminal:
    """A terminal window: what it shows, and closing it."""

    ours: int
    theirs: int
    shown: str = ""

    @classmethod
    def open(cls) -> Terminal:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, 140))
        os.set_blocking(ours, False)
        return cls(ours, theirs)

    def read(self) -> str:
        """All that was shown so far."""
        while True:
            try:
                data = os.read(self.ours, 65536)
            except (BlockingIOError, OSError):
                return self.shown
            if not data:
                return self.shown
            self.shown += data.decode(errors="replace")

    def await_text(self, text: str) -> None:
        """Wait until that is shown."""
        until(lambda: text in self.read(), lambda: f"{text!r} is shown:\n{self.shown[-3000:]}", DEPLOYMENT_S, 0.1)

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def close(self) -> None:
        os.close(self.theirs)
        os.close(self.ours)


def only(*nodes: str) -> list[str]:
    """The options that leave all other nodes of tradeapi out."""
    return [word for node in others(nodes) for word in ("--exclude", node)]


def begun(step: Step) -> Callable[[Event], bool]:
    """Whether an event is the beginning of a step."""
    return lambda event: event.step is step and event.outcome is Outcome.STARTED


def _own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _title(process: psutil.Process) -> str:
    """Nothing when it has ended meanwhile."""
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return ""


def _marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(_MARK) == mark
    except (psutil.Error, OSError):
        return False
