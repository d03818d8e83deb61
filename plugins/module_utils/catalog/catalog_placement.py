# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a catalog's place in an inventory: groups, shared nodes, shared backends and keys."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import Survey
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.descriptor import Problem
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.placement import Groups, hosts_of
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Service, Site
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Home:
    """One site of a service, its groups as hosts; empty where the group is."""

    service: Service
    site: Site
    nodes: tuple[str, ...]
    load_balancers: tuple[str, ...]

    def key(self, part: str) -> str:
        """The place of `part` in the descriptor, as errors name it."""
        return f"sites.{self.service.sites.index(self.site)}.{part}"


@dataclass(frozen=True, slots=True)
class Placed:
    """A whole catalog in an inventory."""

    survey: Survey
    groups: Groups
    homes: tuple[Home, ...]

    def hosts(self, group: str) -> tuple[str, ...]:
        """The hosts of a group, or the host of that name; none when there is neither."""
        return _hosts(group, self.groups)

    def problem(self, service: Service, key: str, what: str, remedy: str) -> Problem:
        """A problem in the service's file."""
        return Problem(str(self.survey.files[service.name]), key, what, remedy)

    @property
    def neighbours(self) -> Iterator[tuple[Home, Home, tuple[str, ...]]]:
        """Two homes of two services and the nodes that they share, each pair in both directions."""
        here: dict[str, list[int]] = {}
        for number, home in enumerate(self.homes):
            for node in home.nodes:
                here.setdefault(node, []).append(number)
        shared: dict[tuple[int, int], list[str]] = {}
        for node, numbers in here.items():
            for pair in permutations(numbers, 2):
                shared.setdefault((pair[0], pair[1]), []).append(node)
        for (one, other), nodes in shared.items():
            if self.homes[one].service is not self.homes[other].service:
                yield self.homes[one], self.homes[other], tuple(nodes)


def place_catalog(survey: Survey, groups: Groups) -> Placed:
    """Every sound service's sites as hosts."""
    homes = [
        Home(service, site, _hosts(site.nodes, groups), _hosts(site.load_balancers, groups))
        for service in survey.services.values()
        for site in service.sites
    ]
    return Placed(survey, groups, tuple(homes))


def placement_problems(placed: Placed) -> list[Problem]:
    """Everything for which a plan of one of the services would be refused, or two services would harm each other."""
    return [problem for find in _FINDERS for problem in find(placed)]


def _hosts(group: str, groups: Groups) -> tuple[str, ...]:
    try:
        return hosts_of(group, groups, "")
    except BadInput:
        return ()


def _unknown_groups(placed: Placed) -> Iterator[Problem]:
    for home in placed.homes:
        for part, hosts in (("nodes", home.nodes), ("load_balancers", home.load_balancers)):
            if not hosts:
                yield _no_group(placed, home.service, home.key(part), getattr(home.site, part))
    for service in placed.survey.services.values():
        if not placed.hosts(service.deploy.puppet.servers):
            yield _no_group(placed, service, "deploy.puppet.servers", service.deploy.puppet.servers)
        if service.verify.nunit and not placed.hosts(service.verify.nunit.box):
            yield _no_group(placed, service, "verify.nunit.box", service.verify.nunit.box)
        if service.nagios and not placed.hosts(service.nagios.server):
            yield _no_group(placed, service, "nagios.server", service.nagios.server)


def _no_group(placed: Placed, service: Service, key: str, group: str) -> Problem:
    what = f"inventory group {group!r} is unknown or empty"
    return placed.problem(service, key, what, "Correct the descriptor, or add the group to the inventory")


def _nodes_in_two_sites(placed: Placed) -> Iterator[Problem]:
    for one, other in combinations(placed.homes, 2):
        both = sorted(set(one.nodes) & set(other.nodes)) if one.service is other.service else []
        if both:
            yield placed.problem(
                one.service,
                other.key("nodes"),
                f"{_named(both)} is in site {one.site.name} already",
                "A node stands behind one site's load balancers: correct the groups, or merge the sites",
            )


def _sites_without_room(placed: Placed) -> Iterator[Problem]:
    """A floor that lets no node leave even when all are well."""
    for home in placed.homes:
        total, floor = len(home.nodes), home.service.min_online
        if total and floor.at_least(total) > total - 1:
            yield placed.problem(
                home.service,
                "min_online",
                f"{floor} of {total} at site {home.site.name} is {floor.at_least(total)}: no node could ever leave",
                f"{100 * (total - 1) // total}% or less lets one leave",
            )


def _not_moving_along(placed: Placed) -> Iterator[Problem]:
    for one, other, nodes in placed.neighbours:
        if other.service.name not in one.service.moves_with:
            yield placed.problem(
                one.service,
                "moves_with",
                f"{_named(nodes)} also hosts {other.service.name}, which a Puppet run there would touch",
                f"Add {other.service.name} to moves_with, so that both leave and are tested together",
            )


def _apart_at_the_load_balancers(placed: Placed) -> Iterator[Problem]:
    for one, other, nodes in placed.neighbours:
        if one.load_balancers and other.load_balancers and one.load_balancers != other.load_balancers:
            yield placed.problem(
                one.service,
                one.key("load_balancers"),
                f"{other.service.name} shares {_named(nodes)} but not the load balancers",
                "Services that move together need the same load balancers at a site, in the same order",
            )


def _unknown_partners(placed: Placed) -> Iterator[Problem]:
    for service in placed.survey.services.values():
        for number, partner in enumerate(service.moves_with):
            if partner not in placed.survey.files:
                what = f"there is no service {partner!r}"
                yield placed.problem(service, f"moves_with.{number}", what, _meant(partner, list(placed.survey.files)))


def _meant(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]}?" if close else f"Take it out, or add {name}.yml to the folder of descriptors"


def _shared_backends(placed: Placed) -> Iterator[Problem]:
    """One backend of one load balancer that two services take for theirs."""
    claims = [
        (f"{backend} on {host}", home.service, f"pools.{number}.{part}", backend)
        for home in placed.homes
        for host in home.load_balancers
        for number, pool in enumerate(home.service.pools)
        for part, backend in (("online", pool.online), ("maintenance", pool.maintenance))
    ]
    remedy = "Give each service backends of its own"
    yield from _claimed_twice(placed, claims, lambda backend, other: f"{backend} is also a backend of {other}", remedy)


def _shared_keys(placed: Placed) -> Iterator[Problem]:
    """One Hiera key under which two services would pin their release."""
    claims = [
        (key, service, f"deploy.puppet.{part}", key)
        for service in placed.survey.services.values()
        for part, key in (("key", service.deploy.puppet.key), ("digest_key", service.deploy.puppet.digest_key))
        if key
    ]
    remedy = "Give each service Hiera keys of its own"
    yield from _claimed_twice(placed, claims, lambda key, other: f"{key} is also a Hiera key of {other}", remedy)


def _claimed_twice(
    placed: Placed, claims: Iterable[tuple[str, Service, str, str]], told: Callable[[str, str], str], remedy: str
) -> Iterator[Problem]:
    """A problem for each service that claims what another one does: once, however often they meet."""
    claimants: dict[str, list[tuple[Service, str, str]]] = {}
    for what, service, key, name in claims:
        claimants.setdefault(what, []).append((service, key, name))
    found: dict[Problem, None] = {}
    for each in claimants.values():
        for service, key, name in each:
            others = sorted({other.name for other, _key, _name in each if other.name != service.name})
            if others:
                found[placed.problem(service, key, told(name, ", ".join(others)), remedy)] = None
    yield from found


def _named(nodes: Sequence[str]) -> str:
    more = f" and {len(nodes) - _MOST_NAMED} more" if len(nodes) > _MOST_NAMED else ""
    return ", ".join(nodes[:_MOST_NAMED]) + more


_FINDERS: tuple[Callable[[Placed], Iterable[Problem]], ...] = (
    _unknown_groups,
    _nodes_in_two_sites,
    _sites_without_room,
    _not_moving_along,
    _apart_at_the_load_balancers,
    _unknown_partners,
    _shared_backends,
    _shared_keys,
)
