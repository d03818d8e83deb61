# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning a repair: what is out by our doing and came back, or left only half, leaves again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.by_hand import REPAIR, is_repair
from ansible_collections.tidegate.delivery.plugins.module_utils.drift import Drift, drift_table, to_repair
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.events import Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.lock import this_user
from ansible_collections.tidegate.delivery.plugins.module_utils.opening import Opening
from ansible_collections.tidegate.delivery.plugins.module_utils.placement import Placement
from ansible_collections.tidegate.delivery.plugins.module_utils.plan import Plan, PlannedWave
from ansible_collections.tidegate.delivery.plugins.module_utils.plan_answer import (
    decisions_digest,
    planned_by_hand,
    require_confirmed,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.waves import blocking, fitting, floor_message
from ansible_collections.tidegate.delivery.plugins.plugin_utils.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.drift_look import drift_now
from ansible_collections.tidegate.delivery.plugins.plugin_utils.plan_facts import (
    first_error,
    for_plays,
    step_facts,
    wave_facts,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.scene import Scene, open_by_hand
from ansible_collections.tidegate.delivery.plugins.plugin_utils.survey import pool_views, require_fit
from ansible_collections.tidegate.delivery.plugins.plugin_utils.watch import Answers


@dataclass(frozen=True, slots=True)
class _Decided:
    """All drift of a service, and the nodes that leave again, a wave a site."""

    found: tuple[Drift, ...]
    waves: tuple[PlannedWave, ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes of all waves."""
        return tuple(node for wave in self.waves for node in wave.nodes)


def plan_repair(call: Call) -> dict[str, Any]:
    """Plan it; unless in check mode, take the locks and open it, or go on with one that was cut off."""
    scene = Scene(call, str(call.args["service"]))
    wanted = tuple(call.args["nodes"])
    for node in wanted:
        scene.placement_of(node)
    begun = open_by_hand(scene, is_repair)
    opening = Opening(Kind.HAND, "", resumes=begun.id if begun else "")
    id_ = scene.deployment_id(opening)
    if call.check:
        return _answer(scene, _decide(scene, wanted), None)
    with scene.locked(id_):
        decided = _decide(scene, wanted)
        if not decided.waves:
            _close(scene, begun)
            scene.unlock(id_)
            return _answer(scene, decided, None)
        return _answer(scene, decided, _open(scene, decided, opening, begun or _deployment(scene, id_, decided)))


def _decide(scene: Scene, wanted: Sequence[str]) -> _Decided:
    found, answers = drift_now(scene)
    nodes = [node for node in to_repair(found) if not wanted or node in wanted]
    waves: list[PlannedWave] = []
    for placement in scene.placements:
        here = [node for node in placement.nodes if node in nodes]
        concerned = here or not wanted or set(wanted) & set(placement.nodes)
        if concerned:
            _require_room(scene, placement, here, _answered(placement, answers))
        if here:
            waves.append(PlannedWave(placement.site.name, placement.load_balancers, tuple(here), len(here)))
    return _Decided(tuple(found), tuple(waves))


def _answered(placement: Placement, answers: Answers) -> Mapping[str, Any]:
    """What all load balancers of the site answered. Raises the first one's error: nothing moves without all of them."""
    error = first_error(answers, placement.load_balancers)
    if error is not None:
        raise error
    return {host: answers[host] for host in placement.load_balancers if not isinstance(answers[host], DomainError)}


def _require_room(scene: Scene, placement: Placement, nodes: Sequence[str], states: Mapping[str, Any]) -> None:
    if not nodes:
        return
    require_fit(placement, states)
    pools = pool_views(placement, states)
    full = blocking(pools, nodes)
    if full is None:
        return
    fewer = fitting(pools, nodes)
    way = f", or take out only what may leave: {advice.repair(scene.service.name, *fewer)}" if fewer else ""
    raise Refused(
        floor_message(full, nodes), where=f"{full.service}: min_online", remedy=f"Bring servers back first{way}"
    )


def _close(scene: Scene, begun: Deployment | None) -> None:
    """Nothing is left of a repair that was cut off."""
    if begun is not None:
        msg = {"msg": "nothing is left to repair"}
        closing = scene.event(Step.CLOSE, Outcome.OK, begun.id, msg)
        scene.record.ledger.update_state(begun.id, State.DONE, closing)


def _deployment(scene: Scene, id_: str, decided: _Decided) -> Deployment:
    return Deployment(
        id=id_,
        kind=Kind.HAND,
        service=scene.service.name,
        environment=scene.environment,
        nodes=decided.nodes,
        services=(scene.service.name, *scene.service.moves_with),
        opened_by=this_user(),
    )


def _open(scene: Scene, decided: _Decided, opening: Opening, deployment: Deployment) -> dict[str, Any]:
    require_confirmed(str(scene.call.args.get("confirmed") or ""), _plan(scene, decided))
    placements = {placement.site.name: placement for placement in scene.placements}
    facts = {
        **step_facts(scene.service),
        "deployment": deployment.id,
        "folder": scene.folder(deployment.id),
        "intent": REPAIR,
        "service": scene.service.name,
        "msg": _sentence(scene, decided, would=False),
        "version": "",
        "order": list(decided.nodes),
        "sizes": [len(wave.nodes) for wave in decided.waves],
        "waves": wave_facts(Plan((), decided.waves), placements),
        "nodes": {},
    }
    covering = replace(deployment, nodes=decided.nodes)
    opened = scene.open(opening, covering, facts, drift_table(decided.found, silent=False))
    told = {**facts, "attempt": opened.attempt}
    scene.keep_plan(told)
    return told


def _answer(scene: Scene, decided: _Decided, facts: dict[str, Any] | None) -> dict[str, Any]:
    """The result; with `facts` it was opened."""
    msg = _sentence(scene, decided, would=facts is None)
    table = drift_table(decided.found, silent=False)
    if not advice.by_command():
        for line in [msg, *table]:
            scene.call.progress(line)
    plan = _plan(scene, decided)
    require_confirmed(str(scene.call.args.get("confirmed") or ""), plan)
    nothing = {"deployment": "", "order": [], "sizes": [], "waves": [], "intent": REPAIR}
    left_alone = [each.values() for each in decided.found if each.node not in decided.nodes]
    return {
        "changed": bool(decided.waves),
        "msg": msg,
        "table": table,
        "plan": {**plan, "left_alone": left_alone},
        "folder": str(facts["folder"]) if facts else "",
        "ansible_facts": {"tidegate_plan": for_plays(facts or nothing)},
    }


def _plan(scene: Scene, decided: _Decided) -> dict[str, Any]:
    """What is decided, with its digest."""
    plan: dict[str, Any] = {
        "service": scene.service.name,
        "environment": scene.environment,
        "version": "",
        "kind": REPAIR,
        "nodes": [
            planned_by_hand(node, wave.site, number)
            for number, wave in enumerate(decided.waves, 1)
            for node in wave.nodes
        ],
        "waves": [
            {
                "number": number,
                "site": wave.site,
                "nodes": list(wave.nodes),
                "load_balancers": list(wave.load_balancers),
            }
            for number, wave in enumerate(decided.waves, 1)
        ],
        "nothing_to_do": not decided.waves,
    }
    return {**plan, "decisions_sha256": decisions_digest(plan)}


def _sentence(scene: Scene, decided: _Decided, *, would: bool) -> str:
    where = f"{scene.service.name} in {scene.environment}"
    if not decided.waves:
        others = sorted({drift.node for drift in decided.found})
        return f"{where}: nothing to repair" + (f"; left alone: {', '.join(others)}" if others else "")
    verb = "would leave again" if would else "leaves again" if len(decided.nodes) == 1 else "leave again"
    return f"{where}: {', '.join(decided.nodes)} {verb}; nothing joins"
