"""Disturbing a running lab, for tests: each function returns when its effect can be seen, or raises DomainError."""

from __future__ import annotations

import fcntl
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DeadlineExceeded, DomainError
from lab import haproxy, haproxy_socket, processes, sshd, supervise, windows_like
from lab.files import write_file
from lab.layout import Host, Layout
from lab.processes import Process
from lab.supervise import Run

# A busy machine takes ten times as long as an idle one, and more.
_DEADLINE_S = 120.0
_POLL_S = 0.02


# -- sshd: nodes that can't be reached --------------------------------------------------------------------------------
def stop_sshd(layout: Layout, host: str) -> None:
    """Nobody gets in any more and existing sessions end; what runs detached on the host goes on."""
    _end_sshd(layout, host, signal.SIGTERM)


def kill_sshd(layout: Layout, host: str) -> None:
    """The same with KILL, as if the host had lost its power; it stays away until `start_sshd`."""
    _end_sshd(layout, host, signal.SIGKILL)


def _end_sshd(layout: Layout, host: str, number: signal.Signals) -> None:
    name = sshd.unit_name(host)
    family = [process for process in _family(layout, name) if process.name.startswith("sshd")]
    supervise.stop(layout, [name])
    for process in family:
        processes.end(process, number)
    _await(lambda: _is(layout, name, Run.DOWN), f"{name} is down")


def start_sshd(layout: Layout, host: str) -> None:
    """Back again; does nothing if it runs."""
    _start(layout, sshd.unit_name(host))


def start_access(layout: Layout, host: str) -> None:
    """The host's sshd, or its WinRM, is back again; does nothing if it runs."""
    _start(layout, windows_like.unit_name(host) if layout.host(host).windows_like else sshd.unit_name(host))


def stop_winrm(layout: Layout, host: str) -> None:
    """The service of a Windows-like node ends, and with it every shell and what runs in it."""
    name = windows_like.unit_name(host)
    supervise.stop(layout, [name])
    _await(lambda: _is(layout, name, Run.DOWN), f"{name} is down")


def freeze_sshd(layout: Layout, host: str) -> None:
    """The host takes connections and never answers, existing sessions included."""
    _signal_all(_family(layout, sshd.unit_name(host)), signal.SIGSTOP, "T")


def thaw_sshd(layout: Layout, host: str) -> None:
    """Ends `freeze_sshd`."""
    _signal_all(_family(layout, sshd.unit_name(host)), signal.SIGCONT, "RSD")


# -- HAProxy ----------------------------------------------------------------------------------------------------------
def kill_haproxy(layout: Layout, host: str) -> None:
    """Master and workers die at once, nothing is dumped; it stays away until `start_haproxy`."""
    name = haproxy.unit_name(host)
    supervise.leave_down_after_exit(layout, name)
    _kill_family(layout, name)
    _await(lambda: _is(layout, name, Run.DOWN), f"{name} is down")


def crash_haproxy(layout: Layout, host: str) -> None:
    """Master and workers die at once and runit brings them back: the last dumped state files rule."""
    name = haproxy.unit_name(host)
    _kill_family(layout, name)
    _start(layout, name)


def stop_haproxy(layout: Layout, host: str) -> None:
    """An orderly stop, without a dump, like that of Debian's unit; it stays away until `start_haproxy`."""
    name = haproxy.unit_name(host)
    supervise.stop(layout, [name])
    _await(lambda: _is(layout, name, Run.DOWN), f"{name} is down")


def start_haproxy(layout: Layout, host: str) -> None:
    """Back again; does nothing if it runs."""
    _start(layout, haproxy.unit_name(host))


def freeze_haproxy(layout: Layout, host: str) -> None:
    """Master and workers stand still: customers and both sockets are accepted by the kernel and never answered."""
    _signal_all(_family(layout, haproxy.unit_name(host)), signal.SIGSTOP, "T")


def hang_admin_socket(layout: Layout, host: str) -> None:
    """The workers stand still: the admin socket and customers get no answer, the master's socket does."""
    _master, *workers = _family(layout, haproxy.unit_name(host))
    _signal_all(workers, signal.SIGSTOP, "T")


def thaw_haproxy(layout: Layout, host: str) -> None:
    """Ends `freeze_haproxy` and `hang_admin_socket`."""
    _signal_all(_family(layout, haproxy.unit_name(host)), signal.SIGCONT, "RSD")
    _await(lambda: haproxy_socket.answers(layout.host(host).haproxy_socket), f"{host}'s admin socket answers")


def dump_state(layout: Layout, host: str) -> None:
    """Write one state file per backend from what HAProxy says now, whole or not at all, under the host's lock."""
    balancer = layout.host(host)
    with locked(balancer):
        for backend in haproxy.backends(layout):
            state = haproxy_socket.ask(balancer.haproxy_socket, f"show servers state {backend}")
            write_file(balancer.haproxy_state_dir / backend, state)


def reload_haproxy(layout: Layout, host: str, *, dump: bool = True) -> None:
    """Dump the state and let the master start a new worker, as an ExecReload with a dump does; without, as Debian's.

    Returns when the new worker answers on the admin socket; an old one may still finish its requests. Raises
    BadInput if HAProxy refuses its configuration (the old worker stays).
    """
    balancer = layout.host(host)
    if dump:
        dump_state(layout, host)
    before = worker_pid(balancer)
    haproxy_socket.ask(balancer.haproxy_master_socket, "reload")
    _await(lambda: _reloaded(balancer, before), f"{host}'s new worker answers")


def _reloaded(balancer: Host, before: int) -> bool:
    try:
        if _failed_reloads(haproxy_socket.ask(balancer.haproxy_master_socket, "show proc")):
            raise BadInput(
                f"{balancer.name} refused to reload; its old worker goes on",
                where=str(balancer.haproxy_config),
                remedy=f"See {balancer.log / 'haproxy-process.log'}.",
            )
        return worker_pid(balancer) != before
    except OSError:
        return False


def _failed_reloads(show_proc: str) -> bool:
    return "[failed: " in show_proc and "[failed: 0]" not in show_proc


def worker_pid(balancer: Host) -> int:
    """The pid of the worker that has the admin socket. Raises OSError."""
    info = haproxy_socket.ask(balancer.haproxy_socket, "show info")
    return int(next(line for line in info.splitlines() if line.startswith("Pid: ")).removeprefix("Pid: "))


@contextmanager
def locked(balancer: Host) -> Iterator[None]:
    """Hold the lock under which servers are changed and their state is dumped."""
    with balancer.haproxy_lock.open("ab") as lock:
        _await(lambda: _try_lock(lock.fileno()), f"the lock {balancer.haproxy_lock} is free")
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# -- shared -----------------------------------------------------------------------------------------------------------
def _family(layout: Layout, name: str) -> list[Process]:
    """The unit's process, then all that it started. Raises DomainError if the unit does not run."""
    pid = supervise.statuses(layout, [name])[name].pid
    table = processes.snapshot()
    if pid is None or pid not in table:
        raise DomainError(f"{name} does not run", where=str(layout.state), remedy="Run `python -m lab up`.")
    return [table[each] for each in (pid, *sorted(processes.with_descendants(table, [pid]) - {pid}))]


def _kill_family(layout: Layout, name: str) -> None:
    """KILL all of the unit's processes, the first one first, since it would notice the others' end."""
    for process in _family(layout, name):
        processes.end(process, signal.SIGKILL)


def _start(layout: Layout, name: str) -> None:
    units = {unit.name: unit for unit in (*sshd.units(layout), *windows_like.units(layout), *haproxy.units(layout))}
    supervise.start(layout, [name])
    _await(lambda: _is(layout, name, Run.RUNNING) and units[name].ready(), f"{name} is ready")


def _is(layout: Layout, name: str, wanted: Run) -> bool:
    return supervise.statuses(layout, [name])[name].run is wanted


def _signal_all(family: list[Process], number: signal.Signals, states: str) -> None:
    for process in family:
        processes.send(process, number)
    _await(lambda: all(_state(process) in states for process in family), f"{number.name} has taken effect")


def _state(process: Process) -> str:
    """A process that is gone counts as whatever is wished: there is nothing left to stop."""
    now = processes.read(process.pid)
    return now.state if now is not None and now.started == process.started and now.state not in "ZX" else ""


def _await(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise DeadlineExceeded(
                f"Not so after {_DEADLINE_S:.0f}s: {what}", where="lab", remedy="See the lab's log folder."
            )
        time.sleep(_POLL_S)
