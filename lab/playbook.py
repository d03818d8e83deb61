"""Run one of the playbooks as a user would, its output in a file and its progress on the console."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from lab.layout import NET_VARIABLE, PROJECT, STATE_VARIABLE, Layout

DEADLINE_S = 420.0
STOP_S = 10.0
_SILENCE_S = 2.0
_TASK = re.compile(r"(?:TASK|PLAY) \[(?:tidegate\.delivery\.)?([^\]]+)\]")


def command(name: str, **extra: str) -> list[str]:
    """The argv of one of the playbooks against the lab's inventory."""
    values = [word for key, value in extra.items() for word in ("-e", f"{key}={value}")]
    return ["ansible-playbook", "-i", "inventories/lab", f"playbooks/{name}.yml", *values]


def step_of(line: str) -> str:
    """The step that a line of ansible-playbook's output announces; empty if it announces none."""
    match = _TASK.match(line)
    return match[1].strip() if match else ""


def run(
    layout: Layout,
    argv: Sequence[str],
    log: Path,
    say: Callable[[str], None],
    now: Callable[[], str],
    deadline_s: float = DEADLINE_S,
) -> int:
    """Its exit code, or 124 if it was ended after `deadline_s`; whatever happens, it does not run on.

    Each step is said when it begins, and after two seconds of silence what `now` tells.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        process = _start(layout, argv)
        try:
            ended = _follow(process, file, say, now, time.monotonic() + deadline_s)
        finally:
            _end(process)
    return process.returncode if ended else 124


def _start(layout: Layout, argv: Sequence[str]) -> subprocess.Popen[str]:
    beside = Path(sys.executable).parent / argv[0]
    program = str(beside) if beside.exists() else argv[0]
    environment = {**os.environ, NET_VARIABLE: layout.net, STATE_VARIABLE: str(layout.state)}
    environment |= {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", "PYTHONUNBUFFERED": "1"}
    try:
        # A session of its own, so that Ctrl-C reaches it through us and its children can be ended with it.
        return subprocess.Popen(
            [program, *argv[1:]],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except FileNotFoundError:
        remedy = "Install the project into this environment: make setup, or pip install -e '.[dev]'."
        raise BadInput(f"{argv[0]} is not installed", where=sys.prefix, remedy=remedy) from None


def _follow(
    process: subprocess.Popen[str], file: IO[str], say: Callable[[str], None], now: Callable[[], str], deadline: float
) -> bool:
    assert process.stdout is not None
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True).start()
    step, began = "starting", time.monotonic()
    while time.monotonic() < deadline:
        try:
            line = lines.get(timeout=_SILENCE_S - 0.2)
        except queue.Empty:
            say(f"  {step} ({time.monotonic() - began:.0f}s) · {now()}")
            continue
        if line is None:
            return _has_ended(process)
        file.write(line)
        file.flush()
        if announced := step_of(line):
            step, began = announced, time.monotonic()
            say(f"  {step}")
    return False


def _pump(stream: IO[str], lines: queue.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _has_ended(process: subprocess.Popen[str]) -> bool:
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: subprocess.Popen[str]) -> None:
    """As Ctrl-C would, then for good."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            continue
