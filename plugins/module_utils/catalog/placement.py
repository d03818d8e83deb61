# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who hosts what: services, their sites' hosts in the inventory, and what shares a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import Catalog
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Pool, Service, Site
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share

Groups = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class PoolMove:
    """A pair of backends and the nodes that move between them."""

    service: str
    pool: Pool
    min_online: Share
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """One site of a service: its hosts by name, and for each node every service that a Puppet run there concerns."""

    service: Service
    site: Site
    nodes: tuple[str, ...]
    load_balancers: tuple[str, ...]
    services: Mapping[str, tuple[Service, ...]]

    def moves(self, nodes: Sequence[str]) -> list[PoolMove]:
        """What moves when `nodes` do: the service's own pools first, then those of the services beside it."""
        everyone = {service.name: service for name in nodes for service in self.services[name]}
        return [
            PoolMove(service.name, pool, service.min_online, tuple(n for n in nodes if service in self.services[n]))
            for service in everyone.values()
            for pool in service.pools
        ]


def place(service: Service, catalog: Catalog, groups: Groups) -> list[Placement]:
    """The service's sites as hosts. Raises BadInput for an unknown or empty group and for a node in two sites,
    Refused for a service on one of its nodes that doesn't move with it.
    """
    placements = [_place(service, site, catalog, groups) for site in service.sites]
    _require_disjoint(service, placements)
    return placements


def _require_disjoint(service: Service, placements: Sequence[Placement]) -> None:
    homes: dict[str, str] = {}
    for placement in placements:
        for node in placement.nodes:
            if node in homes:
                raise BadInput(
                    f"{node} is in two sites of {service.name}, {homes[node]} and {placement.site.name}",
                    where=f"{service.name}: sites.{placement.site.name}.nodes",
                    remedy="A node stands behind one site's load balancers: correct the groups, or merge the sites",
                )
            homes[node] = placement.site.name


def hosts_of(group: str, groups: Groups, key: str) -> tuple[str, ...]:
    """The hosts of an inventory group, or the host of that name."""
    hosts = tuple(str(host) for host in groups.get(group, ()))
    if not hosts and group in groups.get("all", ()):
        return (group,)
    if not hosts:
        raise BadInput(
            f"inventory group {group!r} is unknown or empty",
            where=key,
            remedy="Correct the descriptor, or add the group to the inventory",
        )
    return hosts


def _place(service: Service, site: Site, catalog: Catalog, groups: Groups) -> Placement:
    key = f"{service.name}: sites.{site.name}"
    nodes = hosts_of(site.nodes, groups, f"{key}.nodes")
    load_balancers = hosts_of(site.load_balancers, groups, f"{key}.load_balancers")
    services = {node: (service, *_beside(service, node, catalog, groups, load_balancers)) for node in nodes}
    return Placement(service, site, nodes, load_balancers, services)


def _beside(
    service: Service, node: str, catalog: Catalog, groups: Groups, load_balancers: tuple[str, ...]
) -> list[Service]:
    others = [(other, site) for other in catalog.values() for site in other.sites if other.name != service.name]
    here = [(other, site) for other, site in others if node in groups.get(site.nodes, ())]
    for other, site in here:
        _require_moving_together(service, other, node)
        if tuple(groups.get(site.load_balancers, ())) != load_balancers:
            raise Refused(
                f"{other.name} and {service.name} share {node} but not their load balancers",
                where=f"{other.name}: sites.{site.name}.load_balancers",
                remedy="Services that move together need the same load balancers at a site",
            )
    return [other for other, _site in here]


def _require_moving_together(service: Service, other: Service, node: str) -> None:
    if other.name not in service.moves_with:
        raise Refused(
            f"{node} also hosts {other.name}, which a Puppet run there would touch",
            where=f"{service.name}: moves_with",
            remedy=f"Add `moves_with: [{other.name}]` to {service.name}, so that both leave and are tested together",
        )
