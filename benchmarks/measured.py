"""One command's wall and processor time, from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import processes

# A hundred times what the slowest run takes on one slow processor.
LIMIT_S = 1800.0
_SHOWN = 3000


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of one run: from start to exit by the clock, and of all its processes' processor time."""

    wall_s: float
    cpu_s: float


class Failed(Exception):
    """The measured command did not end with exit code 0; the text is the end of its output."""


def measure(argv: Sequence[str], cwd: Path, environment: Mapping[str, str], log: Path) -> Run:
    """Run it to its end. Processor time is the system's own account of the process and all that it waited for.

    When we are interrupted, it ends with all that it started. Raises Failed with the end of its output.
    """
    with log.open("wb") as output:
        began = time.monotonic()
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        status, cpu_s = _reaped(process, began + LIMIT_S)
        wall_s = time.monotonic() - began
    if status != 0:
        raise Failed(f"{' '.join(argv)} ended with {status}:\n{log.read_text(errors='replace')[-_SHOWN:]}")
    return Run(wall_s, cpu_s)


def _reaped(process: subprocess.Popen[bytes], deadline: float) -> tuple[int, float]:
    # wait4 tells what this one child used; getrusage would tell of all children together.
    try:
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                return process.returncode, used.ru_utime + used.ru_stime
            if time.monotonic() > deadline:
                raise Failed(f"{' '.join(process.args)} took longer than {LIMIT_S:.0f} seconds")  # type: ignore[arg-type]
            time.sleep(0.01)
    finally:
        if process.returncode is None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    # ansible-playbook's workers are sessions of their own: a signal to its group does not reach them.
    table = processes.snapshot()
    started = processes.with_descendants(table, [process.pid]) - {process.pid}
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pid in started:
        processes.send(table[pid], signal.SIGKILL)
