# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning a thaw: what deployments left frozen that will not thaw it any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.by_hand import THAW, is_thaw
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.events import Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.left_frozen import (
    Frozen,
    Whose,
    frozen_table,
    to_thaw,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.lock import this_user
from ansible_collections.tidegate.delivery.plugins.module_utils.opening import Opening
from ansible_collections.tidegate.delivery.plugins.module_utils.plan_answer import decisions_digest, require_confirmed
from ansible_collections.tidegate.delivery.plugins.plugin_utils.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.freeze_look import find_frozen
from ansible_collections.tidegate.delivery.plugins.plugin_utils.scene import Scene, open_by_hand


@dataclass(frozen=True, slots=True)
class _Decided:
    """All freezes on a service's nodes, and those that end."""

    found: tuple[Frozen, ...]
    thawed: tuple[Frozen, ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that are thawed."""
        return tuple(each.node for each in self.thawed)

    @property
    def left_alone(self) -> list[Frozen]:
        """The freezes that stay."""
        return [each for each in self.found if each not in self.thawed]


def plan_thaw(call: Call) -> dict[str, Any]:
    """Plan it; unless in check mode, take the locks and open it, or go on with one that was cut off."""
    scene = Scene(call, str(call.args["service"]))
    wanted = tuple(call.args["nodes"])
    for node in wanted:
        scene.placement_of(node)
    begun = open_by_hand(scene, is_thaw)
    opening = Opening(Kind.HAND, "", resumes=begun.id if begun else "")
    id_ = scene.deployment_id(opening)
    if call.check:
        return _answer(scene, _decide(scene, wanted), None)
    with scene.locked(id_):
        decided = _decide(scene, wanted)
        if not decided.thawed:
            _close(scene, begun)
            scene.unlock(id_)
            return _answer(scene, decided, None)
        return _answer(scene, decided, _open(scene, decided, opening, begun or _deployment(scene, id_)))


def _decide(scene: Scene, wanted: Sequence[str]) -> _Decided:
    found = find_frozen(scene.call, [scene])
    # Whoever names a node that can't be asked would take silence for a thaw.
    mute = next((each for each in found if each.whose is Whose.SILENT and each.node in wanted), None)
    if mute is not None:
        raise Unreachable(f"nobody can tell whether it is frozen: {mute.why}", where=mute.node)
    return _Decided(tuple(found), tuple(to_thaw(found, wanted)))


def _close(scene: Scene, begun: Deployment | None) -> None:
    """Nothing is left of a thaw that was cut off."""
    if begun is not None:
        closing = scene.event(Step.CLOSE, Outcome.OK, begun.id, {"msg": "nothing is left to thaw"})
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


def _open(scene: Scene, decided: _Decided, opening: Opening, deployment: Deployment) -> dict[str, Any]:
    require_confirmed(str(scene.call.args.get("confirmed") or ""), _plan(scene, decided))
    facts = {
        "deployment": deployment.id,
        "folder": scene.folder(deployment.id),
        "intent": THAW,
        "service": scene.service.name,
        "msg": _sentence(scene, decided, would=False),
        "version": "",
        "order": list(decided.nodes),
        "sizes": [len(decided.nodes)],
        "waves": [{"number": 1, "site": "", "nodes": list(decided.nodes), "load_balancers": [], "pools": []}],
        "nodes": {},
        # By node, the deployment whose freeze ends there: no other one does.
        "frozen": {each.node: each.deployment for each in decided.thawed},
    }
    opened = scene.open(opening, replace(deployment, nodes=decided.nodes), facts, frozen_table(decided.found))
    told = {**facts, "attempt": opened.attempt}
    scene.keep_plan(told)
    return told


def _answer(scene: Scene, decided: _Decided, facts: dict[str, Any] | None) -> dict[str, Any]:
    """The result; with `facts` it was opened."""
    msg = _sentence(scene, decided, would=facts is None)
    table = frozen_table(decided.found)
    if not advice.by_command():
        for line in [msg, *table]:
            scene.call.progress(line)
    plan = _plan(scene, decided)
    require_confirmed(str(scene.call.args.get("confirmed") or ""), plan)
    nothing = {"deployment": "", "order": [], "sizes": [], "waves": [], "intent": THAW}
    return {
        "changed": bool(decided.thawed),
        "msg": msg,
        "table": table,
        "plan": {**plan, "left_alone": [each.values() for each in decided.left_alone]},
        "folder": str(facts["folder"]) if facts else "",
        "ansible_facts": {"tidegate_plan": facts or nothing},
    }


def _plan(scene: Scene, decided: _Decided) -> dict[str, Any]:
    """What is decided, with its digest."""
    plan: dict[str, Any] = {
        "service": scene.service.name,
        "environment": scene.environment,
        "version": "",
        "kind": THAW,
        "nodes": [],
        "frozen": {each.node: each.deployment for each in decided.thawed},
        "waves": [],
        "nothing_to_do": not decided.thawed,
    }
    return {**plan, "decisions_sha256": decisions_digest(plan)}


def _sentence(scene: Scene, decided: _Decided, *, would: bool) -> str:
    where = f"{scene.service.name} in {scene.environment}"
    stay = f"; left alone: {', '.join(each.node for each in decided.left_alone)}" if decided.left_alone else ""
    if not decided.thawed:
        return f"{where}: nothing to thaw{stay}"
    verb = "would be thawed" if would else "is thawed" if len(decided.nodes) == 1 else "are thawed"
    return f"{where}: {', '.join(decided.nodes)} {verb}{stay}"
