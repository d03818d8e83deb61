# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a site's pools unfit for moves: read from all load balancers before anything is touched."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import (
    Admin,
    LoadBalancerState,
    ServerRow,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Pool
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Refuse


def problems(states: Mapping[str, LoadBalancerState], pools: Sequence[Pool]) -> list[Refuse]:
    """Every reason not to move these pools' nodes; empty: they can be moved.

    `states` must hold all backends of each load balancer: a server may be tracked from anywhere.
    """
    found = [problem for pool in pools for problem in _pool(states, pool)]
    return found + [problem for state in states.values() for problem in _haproxy(state)]


def _pool(states: Mapping[str, LoadBalancerState], pool: Pool) -> Iterator[Refuse]:
    for state in states.values():
        for backend in pool.backends:
            yield from _backend(state, backend, pool)
    yield from _same_names(states, pool)
    yield from _own_addresses(states, pool)


def _backend(state: LoadBalancerState, backend: str, pool: Pool) -> Iterator[Refuse]:
    if not state.names(backend):
        yield Refuse.of(RefusalKind.NO_BACKEND, host=state.host, backend=backend)
        return
    followers = {row.tracks: "/".join(row.key) for row in state.servers.values() if row.tracks}
    for node in pool.nodes:
        row = state.servers.get((backend, node))
        if row is None:
            yield Refuse.of(RefusalKind.NO_SERVER, host=state.host, node=node, backend=backend)
            continue
        follower = followers.get("/".join(row.key), "")
        for kind in _server(row, pool, follower):
            names = {"server": "/".join(row.key), "tracked": row.tracks, "follower": follower}
            yield Refuse.of(kind, host=state.host, **names)


def _server(row: ServerRow, pool: Pool, follower: str) -> Iterator[RefusalKind]:
    if row.agent:
        yield RefusalKind.AGENT_CHECK
    if row.tracks:
        yield RefusalKind.TRACKS
    elif row.check_off:
        yield RefusalKind.CHECK_OFF
    elif not row.checked and not pool.unchecked:
        yield RefusalKind.UNCHECKED
    if follower:
        yield RefusalKind.TRACKED
    if row.admin & Admin.RESOLUTION_MAINT:
        yield RefusalKind.UNRESOLVED
    if row.backend == pool.online and row.backup:
        yield RefusalKind.BACKUP
    if row.backend == pool.online and not row.weight:
        yield RefusalKind.NO_WEIGHT


def _same_names(states: Mapping[str, LoadBalancerState], pool: Pool) -> Iterator[Refuse]:
    if len(states) < 2:
        return
    first, *others = states.values()
    for backend in pool.backends:
        for other in others:
            different = sorted(set(first.names(backend)) ^ set(other.names(backend)))
            if different and first.names(backend) and other.names(backend):
                names = {"host": first.host, "other": other.host, "names": ", ".join(different)}
                yield Refuse.of(RefusalKind.OTHER_SERVERS, backend=backend, **names)


def _own_addresses(states: Mapping[str, LoadBalancerState], pool: Pool) -> Iterator[Refuse]:
    """A node's address under another name too, in either pool and on any load balancer: names that were crossed."""
    known: dict[str, dict[str, tuple[str, ServerRow]]] = {}
    for state in states.values():
        for row in (row for backend in pool.backends for row in state.rows(backend)):
            if _is_machine(row.address):
                known.setdefault(row.address, {}).setdefault(row.name, (state.host, row))
    for node in pool.nodes:
        shared = ((address, owners) for address, owners in known.items() if node in owners and len(owners) > 1)
        for address, owners in shared:
            host, row = owners[node]
            elsewhere, other = next(place for name, place in owners.items() if name != node)
            names = {"server": "/".join(row.key), "other": "/".join(other.key), "elsewhere": elsewhere}
            yield Refuse.of(RefusalKind.ONE_ADDRESS, host=host, address=address, **names)


def other_ways(states: Mapping[str, LoadBalancerState], pool: Pool, known: Collection[str]) -> list[Refuse]:
    """Backends, other than the `known` ones of descriptors, by which customers may reach several of the pool's nodes.

    One node alone is what a backend for testers looks like, with a port or a name for each.
    """
    found: list[Refuse] = []
    for state in states.values():
        machines = {row.address: row.name for row in state.rows(pool.online) if _is_machine(row.address)}
        ways: dict[str, dict[str, None]] = {}
        for row in state.servers.values():
            if row.backend not in known and row.address in machines and machines[row.address] in pool.nodes:
                ways.setdefault(row.backend, {})[machines[row.address]] = None
        for backend, nodes in ways.items():
            if len(nodes) > 1:
                names = {"backend": backend, "nodes": ", ".join(nodes), "pool": pool.online}
                found.append(Refuse.of(RefusalKind.ELSEWHERE, host=state.host, **names))
    return found


def _is_machine(address: str) -> bool:
    # Not resolved, a unix socket, or where the customer wanted to go (transparent).
    return ":" in address and not address.startswith(("0.0.0.0:", "[::]:"))


def _haproxy(state: LoadBalancerState) -> Iterator[Refuse]:
    if state.level != "admin":
        yield Refuse.of(RefusalKind.LEVEL, host=state.host, level=state.level)
    if state.failed_reloads:
        # Its worker can be moved, but what its files would bring at the next restart is not what was looked at.
        yield Refuse.of(RefusalKind.FAILED_RELOAD, host=state.host)
    if state.silent_workers:
        pids = ", ".join(map(str, state.silent_workers))
        yield Refuse.of(RefusalKind.OLD_WORKER, host=state.host, pids=pids)
