# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a load balancer's configuration is made of: backends, customers' and testers' front ends, from the catalog.

Only pools whose descriptor has a `haproxy` part are in it; the others were written by a person and stay so. The text
itself is the template of the role `haproxy`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog_placement import Home, Placed
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.descriptor import Problem
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.descriptor_types import fill
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Pool, Service, Written
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service_nunit import NUnitAim
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput

# Beside the backends of the pools: where requests end that no service is meant by.
NOWHERE = "tidegate_nowhere"
SHARED = "shared"
_ADDRESS = re.compile(r"\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9:][A-Za-z0-9.:_-]{0,254}")
# However the address that is all addresses is written: `*`, `::`, `[::]`, `0.0.0.0`, `0`.
_OPEN_TO_ALL = re.compile(r"\*|[0xX.:\[\]]*")
_SCHEME_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Server:
    """A node as a server: its inventory name, and where it listens."""

    name: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Backends:
    """A pool's two backends, which list the same servers."""

    service: str
    online: str
    maintenance: str
    check: str
    aim: str
    served_by: str
    servers: tuple[Server, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """Which requests go to a backend. An empty host or path means any."""

    backend: str
    host: str
    path: str


@dataclass(frozen=True, slots=True)
class Customers:
    """A front end for customers: its binds, and what goes where, the most exact first."""

    name: str
    binds: tuple[str, ...]
    routes: tuple[Route, ...]
    default: str


@dataclass(frozen=True, slots=True)
class NodePort:
    """A port of the maintenance front end that reaches one node."""

    port: int
    node: str


@dataclass(frozen=True, slots=True)
class NodeHost:
    """A Host header that reaches one node through the maintenance front end."""

    host: str
    node: str


@dataclass(frozen=True, slots=True)
class Testers:
    """A maintenance front end.

    On `port` (0: there is none) it is aimed by a header or by one of `node_hosts`, on `node_ports` by the port.
    """

    name: str
    backend: str
    address: str
    aim: str
    port: int
    node_ports: tuple[NodePort, ...]
    node_hosts: tuple[NodeHost, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """Everything that is written on one load balancer; `by_hand` are the backends of pools without a `haproxy` part."""

    aims: tuple[str, ...]
    customers: tuple[Customers, ...]
    testers: tuple[Testers, ...]
    pools: tuple[Backends, ...]
    by_hand: tuple[str, ...]

    @property
    def servers(self) -> list[str]:
        """Backend, server and port of each server, a line each."""
        return [
            f"{backend} {each.name} {each.port}"
            for pool in self.pools
            for backend in (pool.online, pool.maintenance)
            for each in pool.servers
        ]


@dataclass(frozen=True, slots=True)
class _Place:
    """One pool of a service at one of its sites."""

    home: Home
    number: int

    @property
    def service(self) -> Service:
        return self.home.service

    @property
    def pool(self) -> Pool:
        return self.service.pools[self.number]

    @property
    def written(self) -> Written:
        return self.pool.haproxy or Written()

    @property
    def aim(self) -> NUnitAim:
        return self.service.verify.nunit.aim if self.service.verify.nunit else NUnitAim()

    @property
    def routed(self) -> bool:
        """Whether customers reach it through a front end of ours."""
        return bool(self.written.host or self.written.path or self.written.bind)

    @property
    def check(self) -> str:
        """The path of its health checks: that of the health URL unless it says otherwise."""
        return self.written.check or urlsplit(self.service.verify.health.url).path or "/"

    @property
    def server_port(self) -> int:
        """Where its nodes listen: the health URL's port unless it says otherwise."""
        return self.written.server_port or _port(self.service.verify.health.url)

    @property
    def maintenance_port(self) -> int:
        """Where testers aim by header: for a service's first pool the port of the tests' URL; 0: nowhere."""
        nunit = self.service.verify.nunit
        if self.written.maintenance_port or self.number or not nunit or nunit.aim.by == "port":
            return self.written.maintenance_port or 0
        return _port(nunit.url)

    @property
    def node_ports(self) -> tuple[NodePort, ...]:
        """A port a node, counted up in the order of the inventory's group."""
        first = self.written.node_ports
        return tuple(NodePort(first + n, node) for n, node in enumerate(self.home.nodes)) if first else ()

    @property
    def node_hosts(self) -> tuple[NodeHost, ...]:
        """A Host header a node, where tests aim by it."""
        pattern = self.aim.host
        if not pattern:
            return ()
        name = self.service.name
        return tuple(NodeHost(fill(pattern, node=node, service=name).lower(), node) for node in self.home.nodes)

    @property
    def maintenance_ports(self) -> dict[int, str]:
        """Every port of its maintenance front end, with the key that makes it one."""
        by_header = {self.maintenance_port: "maintenance_port"} if self.maintenance_port else {}
        return {**dict.fromkeys((each.port for each in self.node_ports), "node_ports"), **by_header}

    def key(self, part: str) -> str:
        """The place of `part` in the descriptor."""
        return f"pools.{self.number}.haproxy.{part}"


def model(placed: Placed, load_balancer: str, address_of: Callable[[str], str], shared: Sequence[str]) -> Model:
    """What is written on `load_balancer`; `shared` are the binds of the front end that services share.

    `address_of` gives a host's address. Raises BadInput for one that HAProxy could not take, or, of the load balancer,
    that would open the maintenance front end to all.
    """
    everything = list(_places(placed, load_balancer))
    places = [place for place in everything if place.pool.haproxy]
    aims = dict.fromkeys(place.aim.header for place in places)
    ours = _internal(load_balancer, address_of(load_balancer)) if places else ""
    by_hand = (
        name for each in everything if not each.pool.haproxy for name in (each.pool.online, each.pool.maintenance)
    )
    return Model(
        aims=tuple(aims),
        customers=tuple(_customers(places, shared)),
        testers=tuple(_testers(place, ours) for place in places if place.maintenance_ports),
        pools=tuple(_backends(place, address_of) for place in places),
        by_hand=tuple(by_hand),
    )


def front_end_problems(placed: Placed) -> list[Problem]:
    """What two pools of one load balancer take for theirs, and ports that don't exist."""
    found: dict[Problem, None] = {}
    for load_balancer in dict.fromkeys(host for home in placed.homes for host in home.load_balancers):
        places = [place for place in _places(placed, load_balancer) if place.pool.haproxy]
        found |= dict.fromkeys(_double_routes(placed, places))
        found |= dict.fromkeys(_double_ports(placed, places))
    return list(found)


def _places(placed: Placed, load_balancer: str) -> Iterator[_Place]:
    for home in placed.homes:
        if load_balancer in home.load_balancers:
            yield from (_Place(home, number) for number in range(len(home.service.pools)))


def _customers(places: Sequence[_Place], shared: Sequence[str]) -> Iterator[Customers]:
    by_bind: dict[str, list[_Place]] = {}
    for place in places:
        if place.routed:
            by_bind.setdefault(place.written.bind or "", []).append(place)
    for bind, here in sorted(by_bind.items()):
        routes = sorted((_route(each) for each in here if each.written.host or each.written.path), key=_exactness)
        default = next((each.pool.online for each in here if not each.written.host and not each.written.path), NOWHERE)
        name = f"customers_{_listening(bind)}" if bind else f"customers_{SHARED}"
        yield Customers(name, (bind,) if bind else tuple(shared), tuple(routes), default)


def _route(place: _Place) -> Route:
    return Route(place.pool.online, place.written.host or "", place.written.path or "")


def _exactness(route: Route) -> tuple[bool, int, str, str]:
    """HAProxy takes the first rule that fits: a host before any host, a longer path before a shorter one."""
    return (not route.host, -len(route.path), route.host, route.path)


def _testers(place: _Place, address: str) -> Testers:
    name = f"{place.pool.maintenance}_testers"
    return Testers(
        name,
        place.pool.maintenance,
        address,
        place.aim.header,
        place.maintenance_port,
        place.node_ports,
        place.node_hosts,
    )


def _backends(place: _Place, address_of: Callable[[str], str]) -> Backends:
    servers = (Server(node, _usable(node, address_of(node)), place.server_port) for node in place.home.nodes)
    pool, aim = place.pool, place.aim
    return Backends(
        place.service.name, pool.online, pool.maintenance, place.check, aim.header, aim.served_by, tuple(servers)
    )


def _usable(host: str, address: str) -> str:
    if not _ADDRESS.fullmatch(address):
        raise BadInput(
            f"{address[:120]!r} is no address that HAProxy takes",
            where=f"{host}: tidegate_address",
            remedy="Set it to an IP address or a host name, without a port",
        )
    return address


def _internal(host: str, address: str) -> str:
    if _OPEN_TO_ALL.fullmatch(address):
        raise BadInput(
            f"the maintenance front ends would listen on {address!r}, which customers may reach",
            where=f"{host}: tidegate_address",
            remedy="Set it to the load balancer's internal address",
        )
    return _usable(host, address)


def _port(url: str) -> int:
    parts = urlsplit(url)
    try:
        return parts.port or _SCHEME_PORTS[parts.scheme]
    except ValueError as error:
        raise BadInput(str(error), where=url, remedy="Correct the URL in the descriptor") from error


def _listening(bind: str) -> str:
    """A bind's address and port as a part of a front end's name."""
    return re.sub(r"[^A-Za-z0-9.:_-]", "any" if bind.startswith("*") else "_", bind.partition(" ")[0])


def _double_routes(placed: Placed, places: Sequence[_Place]) -> Iterator[Problem]:
    claims: dict[tuple[str, str, str], list[_Place]] = {}
    for place in places:
        if place.routed:
            written = place.written
            claims.setdefault((written.bind or "", written.host or "", written.path or ""), []).append(place)
    for (_bind, host, path), claimants in claims.items():
        for place in claimants if len(claimants) > 1 else ():
            meant = f"{host}{path}" or "every request that comes there"
            what = f"{meant} goes to {_others(place, claimants)} already"
            part = "host" if host else "path" if path else "bind"
            yield _problem(placed, place, part, what, "Give each pool a host, a path or a bind of its own")
    by_address: dict[str, list[_Place]] = {}
    for place in places:
        if place.written.bind:
            by_address.setdefault(place.written.bind.partition(" ")[0], []).append(place)
    for sharing in by_address.values():
        if len({place.written.bind for place in sharing}) > 1:
            for place in sharing:
                what = f"{_others(place, sharing)} has other options for the same address"
                yield _problem(placed, place, "bind", what, "Write the same bind, so that they share a front end")


def _double_ports(placed: Placed, places: Sequence[_Place]) -> Iterator[Problem]:
    claims: dict[int, list[_Place]] = {}
    for place in places:
        for port in place.maintenance_ports:
            claims.setdefault(port, []).append(place)
        if place.maintenance_port in {each.port for each in place.node_ports}:
            what = f"{place.maintenance_port} is the port for the header too"
            yield _problem(placed, place, "node_ports", what, "Begin elsewhere: each node takes one port, counted up")
        if max(place.maintenance_ports, default=0) > 65535:
            what = f"{len(place.home.nodes)} nodes need ports up to {max(place.maintenance_ports)}"
            yield _problem(placed, place, "node_ports", what, "Begin lower: each node takes one port, counted up")
    for port, claimants in claims.items():
        for place in claimants if len(claimants) > 1 else ():
            what = f"port {port} is also one of {_others(place, claimants)}"
            yield _problem(
                placed, place, place.maintenance_ports[port], what, "Give each maintenance front end its own"
            )


def _others(place: _Place, claimants: Sequence[_Place]) -> str:
    return ", ".join(sorted({each.pool.online for each in claimants if each != place}))


def _problem(placed: Placed, place: _Place, part: str, what: str, remedy: str) -> Problem:
    return placed.problem(place.service, place.key(part), what, remedy)
