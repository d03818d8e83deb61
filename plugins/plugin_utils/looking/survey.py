# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking before planning: every load balancer, every node, as they are right now."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.descriptor_types import fill
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.placement import Placement, PoolMove
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Service
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import (
    LoadBalancerState,
    ServerRow,
    carrying,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.check import NotRead, read_release
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import bare_digest
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.history import History
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import NodeView, Served, SiteView, Standing
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.waves import PoolView
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.capacity import served, usable
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Pool, allows_unchecked
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.checks import problems
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.saved import unsaved
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent import look
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.freeze import Freeze, freeze_of
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.load_balancers import admin_of
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.puppet_options import confdir, settings_cache


@dataclass(frozen=True, slots=True)
class Look:
    """What one node told: the releases of all services on it, and what keeps us from working there.

    `ours`: its freeze is of a deployment in this ledger. Another ledger's is as foreign as a person's.
    """

    served: Mapping[str, Served]
    problems: Mapping[str, str]
    unreachable: str = ""
    freeze: Freeze | None = None
    ours: bool = False


def read_load_balancers(
    call: Call, placement: Placement, without: Collection[str] = ()
) -> dict[str, LoadBalancerState | DomainError]:
    """Every load balancer of the site, all at once; one that doesn't answer is an error in its place.

    Of one in `without` that is down it is what it would start with.
    """
    backends = [backend for move in _moves(placement) for backend in (move.pool.online, move.pool.maintenance)]

    def read(name: str) -> LoadBalancerState:
        return admin_of(call, name, backends, without=without).read()

    call.nodes(placement.load_balancers)
    return call.in_parallel(read, placement.load_balancers)


def require_fit(placement: Placement, states: Mapping[str, LoadBalancerState]) -> None:
    """Refused, naming the first problem, when a load balancer isn't fit for moving the site's nodes."""
    pools = [_pool(move) for move in _moves(placement)]
    found = [*problems(carrying(states), pools), *unsaved(states, pools)]
    if found:
        more = f" (and {len(found) - 1} more like it)" if len(found) > 1 else ""
        raise Refused(f"{found[0].reason}{more}", where=f"site {placement.site.name}", remedy=found[0].remedy)


def _pool(move: PoolMove) -> Pool:
    pool = move.pool
    return Pool(pool.online, pool.maintenance, move.min_online, move.nodes, allows_unchecked(pool.unchecked))


def _moves(placement: Placement) -> list[PoolMove]:
    return placement.moves(placement.nodes)


def read_nodes(call: Call, placement: Placement) -> dict[str, Look]:
    """Every node of the site, all at once."""
    return look_at(call, placement.services)


def look_at(call: Call, services: Mapping[str, Sequence[Service]]) -> dict[str, Look]:
    """These hosts, all at once, each asked for the releases of its services."""

    def read(host: str) -> Look:
        return _look(call, services[host], host)

    call.nodes(services)
    looks = call.in_parallel(read, list(services))
    return {name: _with_owner(call, _required(look)) for name, look in looks.items()}


def _with_owner(call: Call, look: Look) -> Look:
    freeze = look.freeze
    known = freeze is not None and freeze.ours and call.ledger.ledger.deployment(freeze.deployment) is not None
    return replace(look, ours=known)


def _required(look: Look | DomainError) -> Look:
    if isinstance(look, DomainError):
        raise look
    return look


def _look(call: Call, services: Sequence[Service], host: str) -> Look:
    served: dict[str, Served] = {}
    problems: dict[str, str] = {}
    for service in services:
        served[service.name], problem = read_served(call, service, host)
        if problem:
            problems[service.name] = problem
    try:
        freeze = read_freeze(call, host)
    except DomainError as error:
        return Look(served, problems, unreachable=error.message)
    return Look(served, problems, freeze=freeze)


def read_freeze(call: Call, host: str) -> Freeze | None:
    """The freeze of a node's agent, if it has one."""
    node, cache = call.nodes([host])[host], settings_cache(call, host)
    return freeze_of(look(node, confdir(call, host), settings_cache=cache, keep=False))


def read_served(call: Call, service: Service, host: str) -> tuple[Served, str]:
    """The release of a service that a node tells, or an empty one and why it told none."""
    release = read_release(*release_question(call, service, host))
    if isinstance(release, NotRead):
        return Served(), str(release)
    return Served(str(release.version), bare_digest(release.digest or "")), ""


def release_question(call: Call, service: Service, host: str) -> tuple[str, str, str | None]:
    """Where a node tells the service's release: URL, path of the version, path of the digest."""
    release = service.verify.release
    return node_url(call, service, release.url, host), release.version, release.digest


def address_of(call: Call, host: str) -> str:
    """A host's address in URLs."""
    return str(call.hostvar(host, "tidegate_address", call.hostvar(host, "ansible_host", host)))


def node_url(call: Call, service: Service, url: str, host: str) -> str:
    """A descriptor's URL for one node."""
    environment = str(call.hostvar(host, "tidegate_environment"))
    return fill(url, node=address_of(call, host), service=service.name, environment=environment)


def site_view(
    placement: Placement, states: Mapping[str, LoadBalancerState], looks: Mapping[str, Look], history: History
) -> SiteView:
    """The site for the plan; `require_fit` has seen that every load balancer has all of its pools and nodes.

    One that is down carries no traffic: where nodes are and how many are usable is what the others show.
    """
    states = carrying(states)
    moves = _moves(placement)
    standings = {name: _standing(_rows(name, moves, states)) for name in placement.nodes}
    nodes = tuple(_node_view(name, placement, standings[name], looks[name], history) for name in placement.nodes)
    return SiteView(placement.site.name, placement.load_balancers, nodes, pool_views(placement, states))


def pool_views(placement: Placement, states: Mapping[str, LoadBalancerState]) -> tuple[PoolView, ...]:
    """What each pool that the site's nodes move in can spare, on each load balancer."""
    return tuple(_pool_view(move, host, state) for move in _moves(placement) for host, state in states.items())


def _rows(name: str, moves: list[PoolMove], states: Mapping[str, LoadBalancerState]) -> list[tuple[ServerRow, bool]]:
    """The node's entry in every online pool that moves with it, on every load balancer; whether it needs no checks."""
    pools = [_pool(move) for move in moves if name in move.nodes]
    return [(state.servers[pool.online, name], pool.unchecked) for pool in pools for state in states.values()]


def _pool_view(move: PoolMove, host: str, state: LoadBalancerState) -> PoolView:
    rows, unchecked = state.rows(move.pool.online), allows_unchecked(move.pool.unchecked)
    available = frozenset(row.name for row in rows if usable(row, unchecked=unchecked))
    listed = frozenset(row.name for row in rows)
    doubtful = frozenset(row.name for row in rows if served(row, unchecked=unchecked)) - available
    return PoolView(move.service, move.pool.online, host, move.min_online, listed, available, doubtful)


def _node_view(name: str, placement: Placement, standing: Standing, seen: Look, history: History) -> NodeView:
    absence = history.absent.get(name)
    service = placement.service.name
    by_hand = absence is not None and absence.kind is Kind.HAND and not absence.adopted
    ours = absence is not None and absence.service == service and not by_hand
    return NodeView(
        name=name,
        standing=standing,
        served=seen.served[service],
        unreachable=seen.unreachable,
        foreign_freeze=str(seen.freeze) if seen.freeze and not seen.ours else "",
        our_freeze=seen.freeze.deployment if seen.freeze and seen.ours else "",
        ours=ours,
        taken_by="" if absence is None else str(absence),
        joined=history.joined.get(name),
    )


def _standing(rows: list[tuple[ServerRow, bool]]) -> Standing:
    """The worst over all pools and load balancers: taken out anywhere is out."""
    if any(row.admin.effective for row, _ in rows):
        return Standing.OUT
    everywhere = all(served(row, unchecked=unchecked) for row, unchecked in rows)
    return Standing.ONLINE if everywhere else Standing.UNUSABLE
