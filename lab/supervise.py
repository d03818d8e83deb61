"""The lab's own processes as units of a runit tree.

A component is a module with `prepare(layout) -> None` (writes files, may run again at any time), `units(layout) ->
list[Unit]`; `lab.up` puts them into their order.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded
from lab import processes
from lab.files import tail, write_file
from lab.layout import PROJECT, Layout
from lab.programs import HOST_PATH, program

_KEEPER = PROJECT / "lab" / "keeper.py"
_ADOPTION_DEADLINE_S = 60.0
_POLL_S = 0.1
# What a unit may see of the caller's environment: nothing secret, nothing that changes how a server behaves.
_INHERITED = ("HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Unit:
    """One server process of the lab, run in the foreground and restarted by runit when it dies.

    `argv` starts with an absolute path; its output (both streams) is appended to `log`, or its standard output alone
    when `errors` names another file. `ready` must answer within about a second and is asked until `deadline_s`.
    `listens` are the endpoints that must be free before it starts. `hang_up` stops it with HUP instead of TERM
    (a runsvdir ends what it supervises only then).
    """

    name: str
    host: str
    argv: Sequence[str]
    ready: Callable[[], bool]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    deadline_s: float = 120.0
    errors: Path | None = None
    listens: Sequence[tuple[str, int]] = ()
    hang_up: bool = False

    @property
    def error_log(self) -> Path:
        """Where to look when it does not start."""
        return self.errors or self.log


class Run(StrEnum):
    """What runit says of a unit."""

    RUNNING = "running"
    DOWN = "down"
    UNSUPERVISED = "not started"


@dataclass(frozen=True, slots=True)
class UnitStatus:
    """A unit's state, and its process if it runs."""

    run: Run
    pid: int | None = None


def run_script(unit: Unit) -> str:
    """The `run` script of a unit, byte for byte.

    Its first line in the log is more than a mark: HAProxy takes O_APPEND off its standard output, and would write over
    the file's beginning if nothing had moved the offset to the end before.
    """
    exports = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in sorted(unit.env.items()))
    errors = "2>&1" if unit.errors is None else f"2>>{shlex.quote(str(unit.errors))}"
    return (
        f"#!/bin/sh\n{exports}"
        f"exec </dev/null >>{shlex.quote(str(unit.log))} {errors}\n"
        f"echo 'runit starts {unit.name}'\n"
        f"exec {shlex.join(unit.argv)}\n"
    )


def parse_status(line: str) -> UnitStatus:
    """Read one line of `sv status` (runit 2.1.2: `run: PATH: (pid 12) 3s`, `down: PATH: 3s`, `fail: PATH: …`)."""
    if line.startswith("run: ") and "(pid " in line:
        return UnitStatus(Run.RUNNING, int(line.split("(pid ")[1].split(")")[0]))
    return UnitStatus(Run.DOWN if line.startswith(("down: ", "finish: ")) else Run.UNSUPERVISED)


def install(layout: Layout, units: Sequence[Unit]) -> None:
    """Write the units' definitions and link them into the tree; what already runs is left running."""
    for unit in units:
        folder = layout.unit_definitions / unit.name
        write_file(folder / "run", run_script(unit), 0o755)
        # Without `down`, a new runsvdir would start everything at once instead of in the order of `up`.
        write_file(folder / "down", "")
        if unit.hang_up:
            write_file(folder / "control" / "t", '#!/bin/sh\nexec kill -HUP "$(cat supervise/pid)"\n', 0o755)
        for log in (unit.log, unit.error_log):
            log.parent.mkdir(parents=True, exist_ok=True)
        _link(layout, unit.name)


def _link(layout: Layout, name: str) -> None:
    layout.unit_tree.mkdir(parents=True, exist_ok=True)
    link = layout.unit_tree / name
    if not link.is_symlink():
        link.symlink_to(layout.unit_definitions / name)


def tree_is_running(layout: Layout) -> bool:
    """Is there a living runsvdir for the lab's tree?"""
    return any(_is_tree(process, layout) for process in processes.of_lab(layout))


def _is_tree(process: processes.Process, layout: Layout) -> bool:
    return process.state != "Z" and process.argv[1:] == ("-P", str(layout.unit_tree))


def start_tree(layout: Layout) -> None:
    """Start the lab's runsvdir below its keeper; both outlive us."""
    layout.log.mkdir(parents=True, exist_ok=True)
    inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    with (layout.log / "runsvdir.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-I", str(_KEEPER), program("runsvdir"), "-P", str(layout.unit_tree)],
            env={**inherited, "PATH": HOST_PATH, **layout.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )


def statuses(layout: Layout, names: Sequence[str]) -> dict[str, UnitStatus]:
    """What runit says of each unit."""
    lines = _sv(layout, "status", *names).splitlines()
    found = {name: next((line for line in lines if f"/{name}: " in line), "") for name in names}
    return {name: parse_status(line) for name, line in found.items()}


def await_supervision(layout: Layout, names: Sequence[str]) -> None:
    """Return when a runsv answers for each unit. Raises DeadlineExceeded."""
    _await_none(layout, names, Run.UNSUPERVISED, "take on")


def _await_none(layout: Layout, names: Sequence[str], run: Run, what: str) -> None:
    """Return when none of the units is in that state any more. Raises DeadlineExceeded: runit did not `what` them."""
    deadline = time.monotonic() + _ADOPTION_DEADLINE_S
    while left := [name for name, found in statuses(layout, names).items() if found.run is run]:
        if time.monotonic() > deadline:
            raise DeadlineExceeded(
                f"runit did not {what} {', '.join(left)} within {_ADOPTION_DEADLINE_S:.0f}s",
                where=str(layout.log / "runsvdir.log"),
                remedy="Run `python -m lab down`, then `python -m lab up`.",
            )
        time.sleep(_POLL_S)


def start(layout: Layout, names: Sequence[str]) -> None:
    """Tell runit to start the units and to keep them running."""
    _sv(layout, "up", *names)


def stop(layout: Layout, names: Sequence[str]) -> None:
    """Tell runit to end the units (TERM, then CONT) and to keep them down."""
    _sv(layout, "down", *names)


def await_down(layout: Layout, names: Sequence[str]) -> None:
    """Return when runit has ended the units. Raises DeadlineExceeded.

    Whoever tells it to start them before that may not be heard: `sv` doesn't send what runsv still says that it wants.
    """
    _await_none(layout, names, Run.RUNNING, "end")


def leave_down_after_exit(layout: Layout, name: str) -> None:
    """Tell runit not to start the unit again once its process ends."""
    _sv(layout, "once", name)


def _sv(layout: Layout, verb: str, *names: str) -> str:
    """The output of `sv`; its exit code only counts the services that were not as wished."""
    paths = [str(layout.unit_tree / name) for name in names]
    done = subprocess.run(
        [program("sv"), verb, *paths], capture_output=True, text=True, errors="replace", timeout=120, check=False
    )
    return done.stdout


def await_ready(layout: Layout, units: Sequence[Unit], say: Say) -> None:
    """Return when every unit is ready, telling every two seconds what is still awaited. Raises DeadlineExceeded."""
    began, told = time.monotonic(), time.monotonic()
    waiting = list(units)
    while waiting := [unit for unit in waiting if not unit.ready()]:
        elapsed = time.monotonic() - began
        for unit in waiting:
            if elapsed > unit.deadline_s:
                raise _not_ready(layout, unit)
        if time.monotonic() - told >= 2:
            told = time.monotonic()
            say(f"waiting for {_names(waiting)} ({elapsed:.0f}s of at most {max(u.deadline_s for u in waiting):.0f}s)")
        time.sleep(_POLL_S)


def _names(units: Sequence[Unit]) -> str:
    shown = ", ".join(unit.name for unit in units[:4])
    return shown if len(units) <= 4 else f"{shown} and {len(units) - 4} more"


def _not_ready(layout: Layout, unit: Unit) -> DeadlineExceeded:
    state = statuses(layout, [unit.name])[unit.name].run
    last = tail(unit.error_log) or "its log is empty"
    return DeadlineExceeded(
        f"{unit.name} on {unit.host} is not ready after {unit.deadline_s:.0f}s (its process: {state})",
        where=str(unit.error_log),
        remedy=f"The last lines of that log: {last}",
    )


def hang_up_tree(layout: Layout) -> None:
    """Tell the lab's runsvdir to end every unit and itself; does nothing if there is none."""
    for process in processes.of_lab(layout):
        if _is_tree(process, layout):
            processes.send(process, signal.SIGHUP)
