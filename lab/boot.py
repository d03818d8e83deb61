"""What a reboot changes at a node's edge: the hosts share one kernel, and each has a boot id and a `shutdown`.

A Windows-like host has a time of its last boot, and a shutdown.exe (lab/winrm/machine.py).

Run as a module: NAME of the host, which is rebooted: everything on it ends, then it is another boot's, and comes back.
"""

from __future__ import annotations

import shutil
import signal
import sys
import uuid
from pathlib import Path

from lab import control, processes, supervise
from lab.files import write_file
from lab.layout import PROJECT, Host, Kind, Layout
from lab.processes import Process
from lab.winrm.machine import Machine
from lab.winrm.windows import Drive

_TERM_S = 5.0


def prepare(layout: Layout) -> None:
    """Give every host a boot id (kept if there) and a `shutdown`."""
    for host in layout.ssh_hosts:
        if not boot_id(host).exists():
            _begin_boot(host)
        write_file(host.root / "sbin" / "shutdown", _shutdown(layout, host), 0o755)


def boot_id(host: Host) -> Path:
    """The file that tells which boot of the host it is."""
    return host.root / "proc" / "sys" / "kernel" / "random" / "boot_id"


def reboot_required(host: Host) -> Path:
    """The file with which packages ask for a reboot."""
    return host.root / "run" / "reboot-required"


def reboot(layout: Layout, name: str) -> None:
    """End all that runs on the host, as a shutdown does; return when it has come back in another boot."""
    host = layout.host(name)
    services = [f"{name}-services"] if host.kind is Kind.NODE else []
    if host.windows_like:
        # Its shells, and all in them, end with it.
        control.stop_winrm(layout, name)
    else:
        control.stop_sshd(layout, name)
        _end_sessions(host)
    supervise.stop(layout, services)
    supervise.await_down(layout, services)
    _begin_boot(host)
    supervise.start(layout, services)
    control.start_access(layout, name)


def _begin_boot(host: Host) -> None:
    if host.windows_like:
        Machine(Drive(host.drive)).begin_boot()
        return
    reboot_required(host).unlink(missing_ok=True)
    shutil.rmtree(host.root / "run" / "systemd", ignore_errors=True)
    write_file(boot_id(host), f"{uuid.uuid4()}\n")


def _end_sessions(host: Host) -> None:
    """What ssh sessions began, jobs that outlived them too: they have the host's root folder as their home."""
    for number, seconds in ((signal.SIGTERM, _TERM_S), (signal.SIGKILL, _TERM_S)):
        for process in _of_sessions(host):
            processes.send(process, number)
        if not processes.await_end(lambda: _of_sessions(host), seconds):
            return


def _of_sessions(host: Host) -> list[Process]:
    home = f"HOME={host.root}".encode()
    return [each for each in processes.snapshot().values() if home in processes.environment(each.pid)]


def _shutdown(layout: Layout, host: Host) -> str:
    # The one who asks is told at once, and not taken for one of the host's own processes.
    command = f"HOME=/ setsid {sys.executable} -m lab.boot {host.name}"
    return f"#!/bin/sh\ncd {PROJECT} && {command} >>{layout.log}/{host.name}-boot.log 2>&1 </dev/null &\n"


if __name__ == "__main__":
    reboot(Layout.of(), sys.argv[1])
