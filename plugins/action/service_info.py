# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.service_info."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import (
    Held,
    Liveness,
    liveness,
    this_process,
    when,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.drift import drift_count, drift_table
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.places import (
    is_out,
    place_of,
    pool_values,
    pools_table,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.status_table import status_table
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.needs import pipeline

with pipeline():
    from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.placement import Placement
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.drift_look import Movers, find_all_drift
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.survey import Look
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.watch import (
        Answers,
        Watched,
        ask_load_balancers,
        ask_nodes,
        pools_seen,
        watch,
    )
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.scene import Scene

_SHOWN = ("id", "kind", "version", "revision", "state", "attempt", "opened_at", "opened_by", "closed_at")


class ActionModule(DomainAction):
    """Ask everybody, show everything, change nothing."""

    def act(self, call: Call) -> dict[str, Any]:
        watched = watch(call, str(call.args.get("service") or ""))
        movers = Movers(call)
        states = ask_load_balancers(call, watched.placements)
        found, moving = find_all_drift(call, watched.scenes.values(), states, movers)
        drift = {"drift": [each.values() for each in found], "not_judged": sorted(moving), "msg": drift_count(found)}
        told = _VIEWS[call.args["view"]](call, watched, states)
        silent = any(isinstance(state, DomainError) for state in states.values())
        return {"changed": False, **told, **drift, "table": [*told["table"], *drift_table(found, silent, moving)]}


def _pools_view(call: Call, watched: Watched, states: Answers) -> dict[str, Any]:  # noqa: ARG001
    pools = _pools(watched, states)
    problems = [f"{name}: {problem}" for name, problem in watched.problems.items()]
    return {"pools": pools, "table": [*pools_table(pools), *problems]}


def _status_view(call: Call, watched: Watched, states: Answers) -> dict[str, Any]:
    looks = ask_nodes(call, watched.placements)
    services = {name: _service(scene, states, looks) for name, scene in watched.scenes.items()}
    services |= {name: _unfit(problem) for name, problem in watched.problems.items()}
    services = dict(sorted(services.items()))
    locks = [_lock(held) for held in call.ledger.locks.held()]
    chain = call.ledger.ledger.verify(call.ledger.environment)
    table = [*status_table(services, locks), f"ledger: {chain}"]
    told = {"services": services, "locks": locks, "ledger": str(chain)}
    return {**told, "pools": _pools(watched, states), "table": table}


_VIEWS: dict[str, Callable[[Call, Watched, Answers], dict[str, Any]]] = {"status": _status_view, "pools": _pools_view}


def _pools(watched: Watched, states: Answers) -> list[dict[str, Any]]:
    return [
        values
        for scene in watched.scenes.values()
        for placement in scene.placements
        for pool in pools_seen(scene, placement)
        for values in pool_values(pool, _of_site(placement, states))
    ]


def _of_site(placement: Placement, states: Answers) -> Answers:
    return {host: states[host] for host in placement.load_balancers}


def _unfit(problem: str) -> dict[str, Any]:
    return {"nodes": {}, "silent_load_balancers": {}, "under_way": {}, "last_done": {}, "problem": problem}


def _service(scene: Scene, states: Answers, looks: Mapping[str, Look]) -> dict[str, Any]:
    nodes: dict[str, Any] = {}
    silent: dict[str, str] = {}
    for placement in scene.placements:
        here = _of_site(placement, states)
        silent |= {host: str(state) for host, state in here.items() if isinstance(state, DomainError)}
        nodes |= {node: _node(scene, placement, node, here, looks[node]) for node in placement.nodes}
    return {
        "nodes": nodes,
        "silent_load_balancers": silent,
        "under_way": _deployment(scene.under_way),
        "last_done": _deployment(scene.last_done),
    }


def _node(scene: Scene, placement: Placement, node: str, states: Answers, look: Look) -> dict[str, Any]:
    name = scene.service.name
    served = look.served[name]
    pools = pools_seen(scene, placement)
    absence, joined = scene.history.absent.get(node), scene.history.joined.get(node)
    places = {
        host: [place_of(state, pool.online, pool.maintenance, node, unchecked=pool.unchecked) for pool in pools]
        for host, state in states.items()
    }
    return {
        "version": served.version,
        "digest": served.digest,
        "revision": joined.revision if joined and joined.same_as(served) else "",
        "problem": look.unreachable or look.problems.get(name, ""),
        "pools": {host: " ".join(found) for host, found in places.items()},
        "taken_by": str(absence) if absence and is_out(places) else "",
        "frozen_by": str(look.freeze or ""),
        "beside": [each.name for each in placement.services[node] if each.name != name],
    }


def _deployment(deployment: Deployment | None) -> dict[str, Any]:
    return {key: str(getattr(deployment, key)) for key in _SHOWN} if deployment else {}


def _lock(held: Held) -> dict[str, Any]:
    gone = liveness(held.holder.process, this_process()) is Liveness.GONE
    return {
        "name": held.name,
        "holder": held.holder.who,
        "deployment": held.holder.deployment,
        "since": when(held.since_ms),
        "until": when(held.until_ms),
        "doing": held.doing,
        "gone": gone,
    }
