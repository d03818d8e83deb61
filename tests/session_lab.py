"""The lab of a test session: started on first use, of its own network and folder, ended with the session."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from lab import status
from lab.layout import NET_VARIABLE, PROJECT, STATE_VARIABLE, Layout

# Network and folder of each share's lab. A demo lab (127.20) and Molecule's own (127.22) may run beside them.
LABS = {1: ("127.21", PROJECT / "build" / "test-lab"), 2: ("127.23", PROJECT / "build" / "test-lab-2")}
# 90 s on an idle machine of two cores, several minutes on a busy one.
START_DEADLINE_S = 1200
STOP_DEADLINE_S = 300
_TAIL_LINES = 30


@dataclass
class SessionLab:
    """Starts and ends one lab by its command line, as a user would; what that prints is in `log`."""

    layout: Layout
    keep: bool = False
    running: bool = False
    _lock: IO[str] | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        """Beside the state folder: that one is purged before each start."""
        return self.layout.state.with_name(f"{self.layout.state.name}.log")

    def start(self) -> None:
        """From scratch, unless it shall be kept. Fails the test with the end of the log."""
        self._reserve()
        self.log.write_text("")
        if not self.keep:
            self._command("down", "--purge", deadline_s=STOP_DEADLINE_S)
        self.running = True
        self._command("up", deadline_s=START_DEADLINE_S)
        os.environ |= self.variables

    def stop(self) -> None:
        """End it; its files stay, so that a failure can be looked into."""
        for name in self.variables:
            os.environ.pop(name, None)
        try:
            if self.running and not self.keep:
                self._command("down", deadline_s=STOP_DEADLINE_S)
        finally:
            if self._lock is not None:
                self._lock.close()

    @property
    def variables(self) -> dict[str, str]:
        """What makes `inventories/lab` mean this lab."""
        return {NET_VARIABLE: self.layout.net, STATE_VARIABLE: str(self.layout.state)}

    def troubles(self) -> str:
        """What of the lab does not run, in words; empty if all does."""
        try:
            return "\n".join(status.report(self.layout).problems)
        except (DomainError, OSError) as error:
            return f"its state can't be read: {error}"

    def _reserve(self) -> None:
        """Two sessions in one lab would break each other's tests."""
        path = self.log.with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = path.open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            advice = "Wait for it, or give this one --lab-net and --lab-state of its own."
            pytest.fail(f"another test session uses the lab in {self.layout.state}. {advice}", pytrace=False)

    def _command(self, command: str, *options: str, deadline_s: float) -> None:
        where = ["--net", self.layout.net, "--state", str(self.layout.state)]
        argv = [sys.executable, "-m", "lab", command, *where, *options]
        with self.log.open("a") as log:
            try:
                code = subprocess.run(
                    argv, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=deadline_s, check=False
                ).returncode
            except subprocess.TimeoutExpired:
                code = None
        if code != 0:
            ending = f"did not end within {deadline_s:.0f}s" if code is None else f"ended with exit code {code}"
            said = "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
            pytest.fail(f"`python -m lab {command}` {ending}; the end of {self.log}:\n{said}", pytrace=False)
