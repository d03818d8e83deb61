# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a site's pools unfit for moves: read from all load balancers before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy_state import LoadBalancerState, ServerRow
from ansible_collections.tidegate.delivery.plugins.module_utils.pools import Pool, Refuse


def problems(states: Mapping[str, LoadBalancerState], pools: Sequence[Pool]) -> list[Refuse]:
    """Every reason not to move these pools' nodes; empty: they can be moved.

    `states` must hold all backends of each load balancer: a server may be tracked from anywhere.
    """
    found = [problem for pool in pools for problem in _pool(states, pool)]
    return found + [problem for state in states.values() for problem in _workers(state)]


def _pool(states: Mapping[str, LoadBalancerState], pool: Pool) -> Iterator[Refuse]:
    for state in states.values():
        for backend in pool.backends:
            yield from _backend(state, backend, pool.nodes)
    yield from _same_names(states, pool)


def _backend(state: LoadBalancerState, backend: str, nodes: Iterable[str]) -> Iterator[Refuse]:
    here = f"load balancer {state.host}"
    if not state.names(backend):
        yield Refuse(
            f"{here} has no backend {backend}", "Correct the pools in the descriptor, or HAProxy's configuration"
        )
        return
    followers = {row.tracks: "/".join(row.key) for row in state.servers.values() if row.tracks}
    for node in nodes:
        row = state.servers.get((backend, node))
        if row is None:
            yield Refuse(f"{here}: {node} is missing in {backend}", f"Add `server {node} …` to backend {backend}")
        else:
            yield from _server(state, row, followers.get(f"{row.backend}/{row.name}", ""))


def _server(state: LoadBalancerState, row: ServerRow, follower: str) -> Iterator[Refuse]:
    name = f"load balancer {state.host}: {row.backend}/{row.name}"
    if row.agent:
        yield Refuse(f"{name} has an agent-check, which undoes drain and maint", "Remove agent-check from this server")
    if row.tracks:
        yield Refuse(f"{name} tracks {row.tracks}, which moves it too", "Give each pool checks of its own")
    elif not row.checked:
        yield Refuse(
            f"{name} has no health check that runs: nobody could tell whether it is healthy",
            "Add `check` to the server, or enable it",
        )
    if follower:
        yield Refuse(f"{name} is tracked by {follower}, which moves with it", "Give each pool checks of its own")


def _same_names(states: Mapping[str, LoadBalancerState], pool: Pool) -> Iterator[Refuse]:
    if len(states) < 2:
        return
    first, *others = states.values()
    for backend in pool.backends:
        for other in others:
            different = sorted(set(first.names(backend)) ^ set(other.names(backend)))
            if different and first.names(backend) and other.names(backend):
                yield Refuse(
                    f"{backend} lists other servers on {other.host} than on {first.host}: {', '.join(different)}",
                    "Give the load balancers of a site the same servers under the same names",
                )


def _workers(state: LoadBalancerState) -> Iterator[Refuse]:
    if state.silent_workers:
        pids = ", ".join(map(str, state.silent_workers))
        yield Refuse(
            f"load balancer {state.host}: old worker {pids} still lives and can't be asked for its sessions",
            "Wait until it is gone, or end it if it hangs",
        )
