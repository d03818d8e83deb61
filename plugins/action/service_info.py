# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.service_info."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.capacity import usable
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy_state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger import Deployment
from ansible_collections.tidegate.delivery.plugins.module_utils.lock import Held, Liveness, liveness, this_process, when
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.needs import pipeline

with pipeline():
    from ansible_collections.tidegate.delivery.plugins.module_utils.catalog import load_catalog
    from ansible_collections.tidegate.delivery.plugins.module_utils.placement import Placement
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.scene import Scene
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.survey import Look, read_load_balancers, read_nodes

_SHOWN = ("id", "kind", "version", "state", "attempt", "opened_at", "opened_by", "closed_at")


class ActionModule(DomainAction):
    """Ask everybody, show everything, change nothing."""

    def act(self, call: Call) -> dict[str, Any]:
        names = [call.args["service"]] if call.args.get("service") else _all(call)
        services = {name: _told(call, name) for name in names}
        locks = [_lock(held) for held in call.ledger.locks.held()]
        chain = call.ledger.ledger.verify(str(call.hostvar(call.host, "tidegate_environment")))
        table = [*_table(services, locks), f"ledger: {chain}"]
        return {"changed": False, "services": services, "locks": locks, "ledger": str(chain), "table": table}


def _all(call: Call) -> list[str]:
    folder = str(call.hostvar(call.host, "tidegate_services"))
    return sorted(load_catalog(folder, str(call.hostvar(call.host, "tidegate_environment"))))


def _told(call: Call, name: str) -> dict[str, Any]:
    """The page that every message sends people to must not hide all services for a slip in one."""
    try:
        return _service(call, name)
    except DomainError as error:
        if call.args.get("service"):
            raise
        return {"nodes": {}, "silent_load_balancers": {}, "under_way": {}, "last_done": {}, "problem": str(error)}


def _service(call: Call, name: str) -> dict[str, Any]:
    scene = Scene(call, name)
    nodes: dict[str, Any] = {}
    silent: dict[str, str] = {}
    for placement in scene.placements:
        states = read_load_balancers(call, placement)
        looks = read_nodes(call, placement)
        silent |= {host: str(state) for host, state in states.items() if isinstance(state, DomainError)}
        nodes |= {node: _node(scene, placement, node, states, looks[node]) for node in placement.nodes}
    return {
        "nodes": nodes,
        "silent_load_balancers": silent,
        "under_way": _deployment(scene.under_way),
        "last_done": _deployment(scene.last_done),
    }


def _node(
    scene: Scene, placement: Placement, node: str, states: Mapping[str, LoadBalancerState | DomainError], look: Look
) -> dict[str, Any]:
    name = scene.service.name
    served = look.served[name]
    pools = [(pool.online, pool.maintenance) for pool in scene.service.pools]
    absence = scene.history.absent.get(node)
    place = {host: " ".join(_place(state, pool, node) for pool in pools) for host, state in states.items()}
    out = any(text != "online" for text in place.values())
    return {
        "version": served.version,
        "digest": served.digest,
        "problem": look.unreachable or look.problems.get(name, ""),
        "pools": place,
        "taken_by": str(absence) if absence and out else "",
        "frozen_by": str(look.freeze or ""),
        "beside": [each.name for each in placement.services[node] if each.name != name],
    }


def _place(state: LoadBalancerState | DomainError, pool: tuple[str, str], node: str) -> str:
    if isinstance(state, DomainError):
        return "unknown"
    online, maintenance = (state.servers.get((backend, node)) for backend in pool)
    if online is None or maintenance is None:
        return "missing"
    if usable(online):
        return "online"
    if not online.admin.effective:
        return f"online, but {online.status}"
    if maintenance.admin.effective:
        return f"out ({online.status})"
    return "maintenance" if online.status == "MAINT" else f"maintenance ({online.status})"


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


def _table(services: Mapping[str, Any], locks: list[dict[str, Any]]) -> list[str]:
    lines: list[str] = []
    for name, service in services.items():
        lines.append(f"{name}: {service.get('problem') or _headline(service)}")
        lines += [_line(node, seen) for node, seen in service["nodes"].items()]
        lines += [f"  {host} did not answer: {why}" for host, why in service["silent_load_balancers"].items()]
    for lock in locks:
        lines.append(
            f"locked: {lock['name']} by {lock['holder']} since {lock['since']}, doing {lock['doing']}{_gone(lock)}"
        )
    return lines


def _gone(lock: Mapping[str, Any]) -> str:
    return "; that process is gone: the next run takes the lock over" if lock["gone"] else ""


def _headline(service: Mapping[str, Any]) -> str:
    under_way, last = service["under_way"], service["last_done"]
    if under_way:
        return f"{under_way['kind']} to {under_way['version']} is {under_way['state']} ({under_way['id']})"
    return f"{last['kind']} to {last['version']} was done at {last['closed_at']}" if last else "no deployment on record"


def _line(node: str, seen: Mapping[str, Any]) -> str:
    places = sorted(set(seen["pools"].values()))
    where = places[0] if len(places) == 1 else ", ".join(f"{host}: {place}" for host, place in seen["pools"].items())
    notes = [
        f"taken out by {seen['taken_by']}" if seen["taken_by"] else "",
        f"Puppet disabled: {seen['frozen_by']}" if seen["frozen_by"] else "",
        f"with {', '.join(seen['beside'])}" if seen["beside"] else "",
        seen["problem"],
    ]
    return f"  {node:<12} {where:<24} {seen['version'] or '?':<10} {'; '.join(filter(None, notes))}".rstrip()
