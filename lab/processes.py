"""The processes of one lab: found by its marker in their environment, their parents or their ssh control folder."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded
from lab.layout import MARKER_VARIABLE, Layout

_PROC = Path("/proc")
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Process:
    """One process; the pair of pid and start time (clock ticks since boot) means it alone, also after pids wrap."""

    pid: int
    started: int
    parent: int
    state: str
    name: str
    argv: tuple[str, ...]

    @property
    def title(self) -> str:
        """Its command line, on one line."""
        return " ".join(" ".join(self.argv).split())[:100] or self.name


def parse_stat(text: str) -> tuple[str, str, int, int]:
    """Name, state, parent and start time from /proc/PID/stat (proc(5)); the name may hold blanks and parentheses."""
    name = text[text.index("(") + 1 : text.rindex(")")]
    fields = text[text.rindex(")") + 2 :].split()
    return name, fields[0], int(fields[1]), int(fields[19])


def read(pid: int) -> Process | None:
    """The process, or None if it is gone."""
    folder = _PROC / str(pid)
    try:
        name, state, parent, started = parse_stat((folder / "stat").read_text(errors="replace"))
        words = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return None
    return Process(pid, started, parent, state, name, tuple(word.decode("utf-8", "replace") for word in words))


def snapshot() -> dict[int, Process]:
    """Every process of this machine that can be seen."""
    found = (read(int(entry.name)) for entry in _PROC.iterdir() if entry.name.isdecimal())
    return {process.pid: process for process in found if process is not None}


def of_lab(layout: Layout) -> list[Process]:
    """Every process of the lab, except ours and our ancestors."""
    table = snapshot()
    roots = {pid for pid, process in table.items() if _is_marked(pid, layout) or _is_ssh_master(process, layout)}
    found = with_descendants(table, roots) - _ancestry(table, os.getpid())
    return [table[pid] for pid in sorted(found)]


def environment(pid: int) -> list[bytes]:
    """The variables that it was started with, as `NAME=value`; none if it is gone or somebody else's."""
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _is_marked(pid: int, layout: Layout) -> bool:
    return f"{MARKER_VARIABLE}={layout.id}".encode() in environment(pid)


def _is_ssh_master(process: Process, layout: Layout) -> bool:
    """A shared connection that stays after Ansible (ControlPersist); ssh writes its socket's path into its title."""
    return process.name == "ssh" and process.argv[0].startswith(f"ssh: {layout.control_path_dir}/")


def with_descendants(table: Mapping[int, Process], roots: Iterable[int]) -> set[int]:
    """The pids with all that they started and that still has them as an ancestor."""
    found = set(roots)
    while more := {pid for pid, process in table.items() if process.parent in found} - found:
        found |= more
    return found


def _ancestry(table: Mapping[int, Process], pid: int) -> set[int]:
    found = set()
    while pid in table and pid not in found:
        found.add(pid)
        pid = table[pid].parent
    return found


def is_alive(process: Process) -> bool:
    """Does it still run (a zombie does not)?"""
    now = read(process.pid)
    return now is not None and now.started == process.started and now.state not in "ZX"


def send(process: Process, number: signal.Signals) -> None:
    """Signal exactly that process; nothing happens if it is gone."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        if is_alive(process):
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def await_end(find: Callable[[], list[Process]], deadline_s: float) -> list[Process]:
    """Wait until `find` returns no living process; what is left at the deadline is returned."""
    deadline = time.monotonic() + deadline_s
    while left := [process for process in find() if is_alive(process)]:
        if time.monotonic() > deadline:
            return left
        time.sleep(_POLL_S)
    return []


def end(process: Process, number: signal.Signals = signal.SIGKILL, deadline_s: float = 30.0) -> None:
    """Signal a process and return when it is gone. Raises DeadlineExceeded."""
    send(process, number)
    if await_end(lambda: [process], deadline_s):
        raise DeadlineExceeded(
            f"Process {process.pid} ({process.title}) did not end within {deadline_s:.0f}s after {number.name}",
            where="this machine",
            remedy="Run `python -m lab down`.",
        )
