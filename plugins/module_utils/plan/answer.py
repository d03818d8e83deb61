# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as programs read it, and the digest of what it decides."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.opening import Opening
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import (
    Fate,
    NodePlan,
    Plan,
    PlannedWave,
    SiteView,
    Standing,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.waves import PoolView

# What was observed and may change from one look to the next without another decision.
_OBSERVED = ("standing", "usable", "why", "limited_by", "asked", "no_revision")


@dataclass(frozen=True, slots=True)
class Decided:
    """A request, what it comes to and what was seen: all that the answer tells."""

    opening: Opening
    deployment: Deployment
    plan: Plan
    sites: Sequence[SiteView]
    # By node, the other services there that move with it.
    beside: Mapping[str, Sequence[str]]
    # The load balancers without which it goes on.
    without: Sequence[str] = ()
    # Why the release has no configuration revision.
    no_revision: str = ""


def plan_answer(decided: Decided) -> dict[str, Any]:
    """The plan as plain values, with `decisions_sha256` over those of them that are decisions."""
    deployment, plan = decided.deployment, decided.plan
    answer: dict[str, Any] = {
        "service": deployment.service,
        "environment": deployment.environment,
        "version": deployment.version,
        "digest": deployment.digest,
        "revision": deployment.revision,
        "no_revision": decided.no_revision,
        "kind": str(decided.opening.kind),
        "previous_version": deployment.previous_version,
        "previous_revision": deployment.previous_revision,
        "resumes": decided.opening.resumes,
        "supersedes": decided.opening.supersedes,
        "nodes": _nodes(decided),
        "waves": [_wave(number, wave) for number, wave in enumerate(plan.waves, 1)],
        "capacity": [_capacity(pool) for pool in plan.capacity],
        "co_hosted": _co_hosted(decided.beside),
        "nothing_to_do": nothing_to_do(decided.opening, plan),
        "without": list(decided.without),
        "skipped": {node.name: node.why for node in plan.nodes if node.fate is Fate.SKIP},
    }
    return {**answer, "decisions_sha256": decisions_digest(answer)}


def nothing_to_do(opening: Opening, plan: Plan) -> bool:
    """Whether no node moves and no open deployment is to be settled or closed."""
    return not (plan.waves or opening.resumes or opening.supersedes)


def decisions_digest(answer: Mapping[str, Any]) -> str:
    """Hex SHA-256 of what the answer decides; how many servers are usable right now isn't part of it."""
    decisions = {key: value for key, value in answer.items() if key != "skipped"}
    text = json.dumps(_decisions(decisions), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def require_confirmed(confirmed: str, answer: Mapping[str, Any]) -> None:
    """Refused when the plan decides something else than what was confirmed; an empty digest confirms anything."""
    if confirmed and confirmed != answer["decisions_sha256"]:
        raise Refused(
            "the plan changed since it was confirmed",
            where=f"{answer['service']} {answer['version']} in {answer['environment']}",
            remedy="Nothing was touched. Look at the plan as it is now, and confirm that one",
        )


def planned_by_hand(node: str, site: str, wave: int) -> dict[str, Any]:
    """A node that is put into the maintenance pool by hand, as the plan tells of nodes."""
    told = {"name": node, "site": site, "standing": str(Standing.OUT), "from": "", "to": "maintenance"}
    return {**told, "fate": str(Fate.MOVE), "why": "", "wave": wave, "beside": []}


def _decisions(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Mapping):
        return {key: _decisions(item) for key, item in value.items() if key not in _OBSERVED}
    return [_decisions(item) for item in value] if isinstance(value, list) else value


def _nodes(decided: Decided) -> list[dict[str, Any]]:
    standing = {node.name: str(node.standing) for site in decided.sites for node in site.nodes}
    waves = {name: number for number, wave in enumerate(decided.plan.waves, 1) for name in wave.nodes}
    return [
        _node(node, standing[node.name], waves.get(node.name), decided.beside.get(node.name, ()))
        for node in decided.plan.nodes
    ]


def _node(node: NodePlan, standing: str, wave: int | None, beside: Sequence[str]) -> dict[str, Any]:
    return {
        "name": node.name,
        "site": node.site,
        "standing": standing,
        "from": node.version_from,
        "to": node.version_to,
        "fate": str(node.fate),
        "why": node.why,
        "wave": wave,
        "beside": list(beside),
    }


def _wave(number: int, wave: PlannedWave) -> dict[str, Any]:
    return {
        "number": number,
        "site": wave.site,
        "nodes": list(wave.nodes),
        "asked": wave.asked,
        "size": len(wave.nodes),
        "limited_by": wave.limited_by,
        "load_balancers": list(wave.load_balancers),
    }


def _capacity(pool: PoolView) -> dict[str, Any]:
    return {
        "load_balancer": pool.load_balancer,
        "pool": pool.pool,
        "service": pool.service,
        "usable": len(pool.usable),
        "configured": pool.configured,
        "floor": pool.floor,
        "min_online": str(pool.min_online),
    }


def _co_hosted(beside: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    nodes: dict[str, list[str]] = {}
    for node, services in beside.items():
        for service in services:
            nodes.setdefault(service, []).append(node)
    return nodes
