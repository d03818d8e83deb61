# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at many services at once: every load balancer and every node is asked one time, whatever it serves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import (
    Survey,
    find_service,
    survey_catalog,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.placement import Placement
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Service
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import allows_unchecked
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.places import PoolSeen
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.proof import load_balancer_reader
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.survey import Look, look_at
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.scene import Scene

# Whoever watches hears something between them.
_AT_ONCE = 64
Answers = dict[str, LoadBalancerState | DomainError]


@dataclass(frozen=True, slots=True)
class Watched:
    """The services that can be looked at, and why the others can't."""

    scenes: Mapping[str, Scene]
    problems: Mapping[str, str]

    @property
    def placements(self) -> list[Placement]:
        """All sites of all of them."""
        return [placement for scene in self.scenes.values() for placement in scene.placements]


def watch(call: Call, name: str) -> Watched:
    """One service, or all of the catalog when no name is given: then a slip in one hides no other."""
    folder = str(call.hostvar(call.host, "tidegate_services"))
    survey = survey_catalog(folder, str(call.hostvar(call.host, "tidegate_environment")))
    if name:
        return Watched({name: _named(call, survey, name, folder)}, {})
    scenes: dict[str, Scene] = {}
    problems: dict[str, str] = {}
    for each in survey.files:
        try:
            scenes[each] = _named(call, survey, each, folder)
        except DomainError as error:
            problems[each] = str(error)
    return Watched(scenes, problems)


def _named(call: Call, survey: Survey, name: str, folder: str) -> Scene:
    if name in survey.files and name not in survey.services:
        found = [problem for problem in survey.problems if problem.file == str(survey.files[name])]
        raise found[0].error(more=len(found) - 1)
    find_service(survey.services, name, folder)
    return Scene(call, name, survey.services)


def ask_load_balancers(call: Call, placements: Iterable[Placement]) -> Answers:
    """Every load balancer of these sites, all at once; one that doesn't answer is an error in its place."""
    names = list(dict.fromkeys(host for placement in placements for host in placement.load_balancers))
    call.progress(f"asking {len(names)} load balancers")
    call.nodes(names)
    answers: Answers = call.in_parallel(load_balancer_reader(call, []), names)
    return answers


def ask_nodes(call: Call, placements: Iterable[Placement]) -> dict[str, Look]:
    """Every node of these sites once, for all services on it."""
    services: dict[str, dict[str, Service]] = {}
    for placement in placements:
        for node, here in placement.services.items():
            services.setdefault(node, {}).update({service.name: service for service in here})
    looks: dict[str, Look] = {}
    for first in range(0, len(services), _AT_ONCE):
        some = list(services)[first : first + _AT_ONCE]
        call.progress(f"asking {len(some)} of {len(services)} nodes, from {some[0]} on")
        looks |= look_at(call, {node: tuple(services[node].values()) for node in some})
    return looks


def pools_seen(scene: Scene, placement: Placement) -> Sequence[PoolSeen]:
    """The service's own pools at a site."""
    taken = {node: str(absence) for node, absence in scene.history.absent.items()}
    return [
        PoolSeen(
            service=scene.service.name,
            site=placement.site.name,
            online=pool.online,
            maintenance=pool.maintenance,
            min_online=scene.service.min_online,
            unchecked=allows_unchecked(pool.unchecked),
            nodes=placement.nodes,
            taken_by=taken,
        )
        for pool in scene.service.pools
    ]
