"""Starting a lab: components in their order, each waited for; what already runs is left alone."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded
from lab import (
    artifacts,
    boot,
    haproxy,
    haproxy_socket,
    lock,
    net,
    processes,
    programs,
    puppet,
    record,
    sshd,
    supervise,
    windows_like,
)
from lab.down import end_everything
from lab.layout import Host, Layout
from lab.progress import Progress
from lab.supervise import Run, Unit

_POOLS_DEADLINE_S = 120.0


def up(layout: Layout, say: Progress) -> None:
    """Start what does not run yet, and return when all of it is ready. Raises DomainError."""
    programs.require_all()
    record.require_ours_or_empty(layout)
    with lock.held(layout, say):
        record.claim(layout)
        with say.during("building artifacts, writing configurations and keys"):
            for component in (artifacts, boot, sshd, windows_like, puppet, haproxy):
                component.prepare(layout)
        supervise_all(layout, all_units(layout), say)
        start(layout, first_units(layout), say)
        with say.during("Puppet certificates"):
            puppet.enrol(layout, say)
        with say.during("first Puppet runs and services"):
            puppet.first_run(layout, say)
        start(layout, haproxy.units(layout), say)
        await_pools(layout, say)


def first_units(layout: Layout) -> list[Unit]:
    """What must run before the nodes can be set up."""
    return [
        *artifacts.units(layout),
        *sshd.units(layout),
        *windows_like.units(layout),
        *puppet.units(layout),
    ]


def all_units(layout: Layout) -> list[Unit]:
    """Every unit of the lab, in the order in which it starts."""
    return [*first_units(layout), *haproxy.units(layout)]


def supervise_all(layout: Layout, units: Sequence[Unit], say: Progress) -> None:
    """Put the units under runit, without starting them. Raises BadInput if a port of theirs is taken."""
    if not supervise.tree_is_running(layout):
        left = processes.of_lab(layout)
        if left:
            say(f"ending {len(left)} processes that an earlier lab left behind")
            end_everything(layout, say)
    # A server on a taken port would start again and again, while the other one's answers make it look ready.
    net.require_free(endpoint for unit in _idle(layout, units) for endpoint in unit.listens)
    supervise.install(layout, units)
    if not supervise.tree_is_running(layout):
        supervise.start_tree(layout)
    supervise.await_supervision(layout, [unit.name for unit in units])


def start(layout: Layout, units: Sequence[Unit], say: Progress) -> None:
    """Start those that do not run, and return when all are ready. Raises DeadlineExceeded."""
    idle = _idle(layout, units)
    if len(idle) < len(units):
        say(f"already running: {_summary([unit for unit in units if unit not in idle])}")
    if idle:
        say(f"starting {_summary(idle)}")
        supervise.start(layout, [unit.name for unit in idle])
    supervise.await_ready(layout, units, say)
    say(f"ready: {_summary(units)}")


def _idle(layout: Layout, units: Sequence[Unit]) -> list[Unit]:
    found = supervise.statuses(layout, [unit.name for unit in units])
    return [unit for unit in units if found[unit.name].run is not Run.RUNNING]


def _summary(units: Sequence[Unit]) -> str:
    """`puppetserver, sshd x11`: units named alike on several hosts are counted."""
    kinds: dict[str, int] = {}
    for unit in units:
        kind = unit.name.removeprefix(f"{unit.host}-")
        kinds[kind] = kinds.get(kind, 0) + 1
    return ", ".join(kind if count == 1 else f"{kind} x{count}" for kind, count in kinds.items())


def await_pools(layout: Layout, say: Progress) -> None:
    """Return when every server that nobody took out is UP in the online pools of both load balancers.

    Those that are out stay as the state files have them, and are named. Raises DeadlineExceeded.
    """
    deadline, told = time.monotonic() + _POOLS_DEADLINE_S, time.monotonic()
    while missing := [name for host in layout.load_balancers for name in not_up(layout, host)]:
        if time.monotonic() > deadline:
            raise DeadlineExceeded(
                f"Not UP after {_POOLS_DEADLINE_S:.0f}s: {', '.join(missing)}",
                where=", ".join(str(host.haproxy_config) for host in layout.load_balancers),
                remedy="Look at the service's log on that node: hosts/<node>/var/log/ in the state folder.",
            )
        if time.monotonic() - told >= 2:
            told = time.monotonic()
            say(f"waiting for {', '.join(missing[:4])} to be UP")
        time.sleep(0.1)
    for host in layout.load_balancers:
        _tell_pools(layout, host, say)


def online_servers(layout: Layout, host: Host) -> list[haproxy_socket.Server]:
    """The servers of the online pools, as that load balancer sees them. Raises OSError."""
    online = {service.online for service in layout.services}
    return [server for server in haproxy_socket.servers(host.haproxy_socket) if server.backend in online]


def not_up(layout: Layout, host: Host) -> list[str]:
    """What should be UP on that load balancer and is not, in words."""
    try:
        servers = online_servers(layout, host)
    except OSError as error:
        return [f"{host.name} ({error})"]
    return [
        f"{host.name} {each.backend}/{each.name} ({each.status})"
        for each in servers
        if not each.is_out and not each.is_up
    ]


def _tell_pools(layout: Layout, host: Host, say: Progress) -> None:
    servers = online_servers(layout, host)
    out = [f"{server.backend}/{server.name}" for server in servers if server.is_out]
    note = f"; out of the pool, left as they were: {', '.join(out)}" if out else ""
    say(f"{host.name}: {len(servers) - len(out)} servers UP in the online pools{note}")
