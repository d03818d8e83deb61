# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning what puts a service in order and brings no release: a repair, or a thaw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.by_hand import purpose
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import this_user
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.opening import Opening
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.answer import decisions_digest, require_confirmed
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.plan_facts import for_plays
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.scene import Scene, open_by_hand


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What is to be done on which nodes. `facts` and `plan` are what a repair's or a thaw's have beyond every one's.

    `would` and `does` say it in a sentence, before and after it was opened; `left_alone`: what stays as it is.
    """

    nodes: tuple[str, ...]
    would: str
    does: str
    table: Sequence[str]
    left_alone: Sequence[Mapping[str, Any]]
    plan: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mending:
    """One way to put a service in order: the plan's intent, its deployments in the ledger, and the decision."""

    intent: str
    is_one: Callable[[Deployment], bool]
    decide: Callable[[Scene, Sequence[str]], Decided]


def plan_mending(call: Call, mending: Mending) -> dict[str, Any]:
    """Plan it; unless in check mode, take the locks and open it, or go on with one that was cut off."""
    scene = Scene(call, str(call.args["service"]))
    wanted = tuple(call.args["nodes"])
    for node in wanted:
        scene.placement_of(node)
    begun = open_by_hand(scene, mending.is_one)
    opening = Opening(Kind.HAND, "", resumes=begun.id if begun else "")
    id_ = scene.deployment_id(opening)
    if call.check:
        return _answer(scene, mending, mending.decide(scene, wanted), None)
    with scene.locked(id_):
        decided = mending.decide(scene, wanted)
        if not decided.nodes:
            _close(scene, mending, begun)
            scene.unlock(id_)
            return _answer(scene, mending, decided, None)
        deployment = replace(begun or _deployment(scene, id_), nodes=decided.nodes)
        return _answer(scene, mending, decided, _open(scene, mending, decided, opening, deployment))


def _close(scene: Scene, mending: Mending, begun: Deployment | None) -> None:
    """Nothing is left of one that was cut off."""
    if begun is not None:
        told = {"msg": f"nothing is left to {mending.intent}"} | purpose(begun)
        closing = scene.event(Step.CLOSE, Outcome.OK, begun.id, told)
        scene.record.ledger.update_state(begun.id, State.DONE, closing)


def _deployment(scene: Scene, id_: str) -> Deployment:
    return Deployment(
        id=id_,
        kind=Kind.HAND,
        service=scene.service.name,
        environment=scene.environment,
        services=(scene.service.name, *scene.service.moves_with),
        opened_by=this_user(),
    )


def _open(scene: Scene, mending: Mending, decided: Decided, opening: Opening, deployment: Deployment) -> dict[str, Any]:
    require_confirmed(_confirmed(scene), _plan(scene, mending, decided))
    facts = {
        **decided.facts,
        "deployment": deployment.id,
        "folder": scene.folder(deployment.id),
        "intent": mending.intent,
        "service": scene.service.name,
        "msg": decided.does,
        "version": "",
        "order": list(decided.nodes),
        "nodes": {},
    }
    opened = scene.open(opening, deployment, facts, decided.table)
    told = {**facts, "attempt": opened.attempt}
    scene.keep_plan(told)
    return told


def _answer(scene: Scene, mending: Mending, decided: Decided, facts: dict[str, Any] | None) -> dict[str, Any]:
    """The result; with `facts` it was opened."""
    msg = decided.would if facts is None else decided.does
    if not advice.by_command():
        for line in [msg, *decided.table]:
            scene.call.progress(line)
    plan = _plan(scene, mending, decided)
    require_confirmed(_confirmed(scene), plan)
    nothing = {"deployment": "", "order": [], "sizes": [], "waves": [], "intent": mending.intent}
    return {
        "changed": bool(decided.nodes),
        "msg": msg,
        "table": list(decided.table),
        "plan": {**plan, "left_alone": list(decided.left_alone)},
        "folder": str(facts["folder"]) if facts else "",
        "ansible_facts": {"tidegate_plan": for_plays(facts or nothing)},
    }


def _plan(scene: Scene, mending: Mending, decided: Decided) -> dict[str, Any]:
    """What is decided, with its digest."""
    plan: dict[str, Any] = {
        "service": scene.service.name,
        "environment": scene.environment,
        "version": "",
        "kind": mending.intent,
        "nodes": [],
        "waves": [],
        **decided.plan,
        "nothing_to_do": not decided.nodes,
    }
    return {**plan, "decisions_sha256": decisions_digest(plan)}


def _confirmed(scene: Scene) -> str:
    return str(scene.call.args.get("confirmed") or "")
