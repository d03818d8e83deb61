# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.haproxy_check."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import REMARKS
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.around import (
    around_problems,
    as_problem,
    look_around,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Pool, allows_unchecked
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.checks import other_ways, problems
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Refuse
from ansible_collections.tidegate.delivery.plugins.module_utils.values import counted
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.needs import pipeline
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.proof import load_balancer_reader
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.load_balancers import accesses

with pipeline():
    from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import find_service, load_catalog
    from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.placement import hosts_of
    from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Service, Site

States = Mapping[str, LoadBalancerState | DomainError]


class ActionModule(DomainAction):
    """Ask every load balancer of the catalog, change nothing, tell all that would keep its nodes from moving."""

    def act(self, call: Call) -> dict[str, Any]:
        catalog, services = _services(call)
        known = {name for service in catalog for pool in service.pools for name in (pool.online, pool.maintenance)}
        groups = call.vars["groups"]
        sites = [(service, site) for service in services for site in service.sites]
        balancers = {site.load_balancers: _hosts(groups, service, site, "load_balancers") for service, site in sites}
        backends: dict[str, dict[str, None]] = {}
        for service, site in sites:
            for host in balancers[site.load_balancers]:
                named = (name for pool in service.pools for name in (pool.online, pool.maintenance))
                backends.setdefault(host, {}).update(dict.fromkeys(named))
        call.nodes(backends)
        found: dict[Refuse, None] = {}
        states: States = call.in_parallel(load_balancer_reader(call, []), list(backends))
        for service, site in sites:
            nodes = _hosts(groups, service, site, "nodes")
            here = {host: states[host] for host in balancers[site.load_balancers]}
            found |= dict.fromkeys(_pool_problems(service, nodes, here, known))
        found |= dict.fromkeys(_around(call, {host: _known(states[host], names) for host, names in backends.items()}))
        counts = f"{counted(len(services), 'service')} on {counted(len(backends), 'load balancer')}"
        return {"changed": False, **told_of(list(found), counts)}


def told_of(found: Sequence[Refuse], counts: str) -> dict[str, Any]:
    """What was found as plain values: problems, and remarks on what can stay; `counts` is what was looked at."""
    problems = [_told(each) for each in found if each.kind not in REMARKS]
    remarks = [_told(each) for each in found if each.kind in REMARKS]
    msg = f"{counts}: {counted(len(problems), 'problem') if problems else 'fit for moves'}"
    if remarks:
        msg += f", {counted(len(remarks), 'remark')}"
    return {"msg": msg, "problems": problems, "remarks": remarks, "table": [*_table(problems), *_table(remarks), msg]}


def _told(found: Refuse) -> dict[str, str]:
    kind = found.kind.name.lower() if found.kind else ""
    return {"problem": found.reason, "remedy": found.remedy, "kind": kind}


def _services(call: Call) -> tuple[Sequence[Service], Sequence[Service]]:
    """All services, and those that are looked at."""
    folder = str(call.hostvar(call.host, "tidegate_services"))
    catalog = load_catalog(folder, str(call.hostvar(call.host, "tidegate_environment")))
    name = str(call.args.get("service") or "")
    everyone = list(catalog.values())
    return everyone, [find_service(catalog, name, folder)] if name else everyone


def _hosts(groups: Any, service: Service, site: Site, part: str) -> tuple[str, ...]:  # noqa: ANN401
    return hosts_of(getattr(site, part), groups, f"{service.name}: sites.{site.name}.{part}")


def _pool_problems(service: Service, nodes: tuple[str, ...], states: States, known: Collection[str]) -> list[Refuse]:
    pools = [
        Pool(pool.online, pool.maintenance, service.min_online, nodes, allows_unchecked(pool.unchecked))
        for pool in service.pools
    ]
    answered = {host: state for host, state in states.items() if isinstance(state, LoadBalancerState)}
    silent = [as_problem(state) for state in states.values() if isinstance(state, DomainError)]
    ways = [way for pool in pools for way in other_ways(answered, pool, known)]
    return [*silent, *problems(answered, pools), *ways]


def _known(state: LoadBalancerState | DomainError, backends: Iterable[str]) -> list[str]:
    """Those that are there: of the others is told that they are missing."""
    return [name for name in backends if isinstance(state, LoadBalancerState) and state.names(name)]


def _around(call: Call, backends: Mapping[str, Sequence[str]]) -> list[Refuse]:
    def look(host: str) -> list[Refuse]:
        access = accesses(call, [host])[host]
        return around_problems(access, look_around(call.nodes([host])[host], access, backends[host]))

    answers = call.in_parallel(look, list(backends))
    return [
        each
        for answer in answers.values()
        for each in ([as_problem(answer)] if isinstance(answer, DomainError) else answer)
    ]


def _table(told: Sequence[Mapping[str, str]]) -> list[str]:
    """A line a problem, and after each run of those with one remedy a line with it."""
    lines: list[str] = []
    for remedy, each in groupby(told, lambda problem: problem["remedy"]):
        lines += [*(problem["problem"] for problem in each), f"  {remedy}"]
    return lines
