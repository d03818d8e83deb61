# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service's pools on a site's load balancers: where each node is, with how many sessions, and who took it out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.columns import columns
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState, ServerRow
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.capacity import usable
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share, counted

States = Mapping[str, LoadBalancerState | DomainError]
ONLINE = "online"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSeen:
    """One pool of a service at one site, all that is to be told of it."""

    service: str
    site: str
    online: str
    maintenance: str
    min_online: Share
    unchecked: bool = False
    nodes: tuple[str, ...]
    # By node that is out by our doing, who took it.
    taken_by: Mapping[str, str]


def place_of(
    state: LoadBalancerState | DomainError, online: str, maintenance: str, node: str, *, unchecked: bool = False
) -> str:
    """Where a load balancer has a node: `online`, `maintenance`, `out`, or what keeps it from being one of them.

    It says whom the node serves, `classify` what a move makes of it: in cells BOTH and ODD, which are drift, a node may
    well be `online`.
    """
    if isinstance(state, DomainError):
        return "unknown"
    here, there = state.servers.get((online, node)), state.servers.get((maintenance, node))
    if here is None or there is None:
        return "missing"
    if usable(here, unchecked=unchecked):
        return ONLINE
    if not here.admin.effective:
        return f"online, but {here.status}"
    if there.admin.effective:
        return f"out ({here.status})"
    return "maintenance" if here.status == "MAINT" else f"maintenance ({here.status})"


def is_out(places: Mapping[str, Iterable[str]]) -> bool:
    """Whether a node that has these places, one a pool by load balancer, is not online in one of them."""
    return any(place != ONLINE for found in places.values() for place in found)


def pool_values(pool: PoolSeen, states: States) -> list[dict[str, Any]]:
    """The pool as plain values, one a load balancer."""
    return [_values(pool, host, state) for host, state in states.items()]


def pools_table(pools: Sequence[Mapping[str, Any]]) -> list[str]:
    """By pool, a line that names it and a line a node, with a column a load balancer."""
    lines: list[str] = []
    for told in _by_pool(pools):
        rows = [("node", *(_heading(each) for each in told), ""), *_node_rows(told)]
        lines += [_title(told[0]), *columns(rows, "  ")]
        lines += [f"  {each['load_balancer']} did not answer: {each['problem']}" for each in told if each["problem"]]
    return lines


def _values(pool: PoolSeen, host: str, state: LoadBalancerState | DomainError) -> dict[str, Any]:
    rows = [] if isinstance(state, DomainError) else state.rows(pool.online)
    silent = isinstance(state, DomainError)
    return {
        "service": pool.service,
        "site": pool.site,
        "load_balancer": host,
        "online": pool.online,
        "maintenance": pool.maintenance,
        "min_online": str(pool.min_online),
        "floor": None if silent else pool.min_online.at_least(len(rows)),
        "configured": None if silent else len(rows),
        "usable": None if silent else len([row for row in rows if usable(row, unchecked=pool.unchecked)]),
        "problem": str(state) if silent else "",
        "nodes": [_node(pool, state, node) for node in pool.nodes],
    }


def _node(pool: PoolSeen, state: LoadBalancerState | DomainError, node: str) -> dict[str, Any]:
    place = place_of(state, pool.online, pool.maintenance, node, unchecked=pool.unchecked)
    taken_by = "" if place == ONLINE else pool.taken_by.get(node, "")
    told = {"name": node, "place": place, "taken_by": taken_by}
    if isinstance(state, DomainError):
        return {**told, "online": None, "maintenance": None}
    servers = {part: state.servers.get((backend, node)) for part, backend in _parts(pool)}
    return {**told, **{part: _server(state, row) if row else None for part, row in servers.items()}}


def _parts(pool: PoolSeen) -> Iterator[tuple[str, str]]:
    yield "online", pool.online
    yield "maintenance", pool.maintenance


def _server(state: LoadBalancerState, row: ServerRow) -> dict[str, Any]:
    sessions = state.sessions(row.key)
    return {"status": row.status, "admin": row.admin.names, "weight": row.weight, "sessions": sessions}


def _by_pool(pools: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    found: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for each in pools:
        found.setdefault((each["service"], each["site"], each["online"]), []).append(each)
    yield from found.values()


def _title(pool: Mapping[str, Any]) -> str:
    title = f"{pool['service']} at {pool['site']}: {pool['online']} and {pool['maintenance']}"
    return f"{title}, min_online {pool['min_online']}"


def _heading(pool: Mapping[str, Any]) -> str:
    if pool["problem"]:
        return f"{pool['load_balancer']}: no answer"
    return f"{pool['load_balancer']}: {pool['usable']} of {pool['configured']} usable, floor {pool['floor']}"


def _node_rows(pools: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    for each in zip(*(pool["nodes"] for pool in pools), strict=True):
        yield each[0]["name"], *(_cell(node) for node in each), _taken(each)


def _cell(node: Mapping[str, Any]) -> str:
    sessions = sum(node[part]["sessions"] for part in ("online", "maintenance") if node[part])
    return f"{node['place']}, {counted(sessions, 'session')}" if sessions else str(node["place"])


def _taken(nodes: Sequence[Mapping[str, Any]]) -> str:
    return next((f"taken out by {node['taken_by']}" for node in nodes if node["taken_by"]), "")
