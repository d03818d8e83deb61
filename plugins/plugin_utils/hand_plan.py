# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning the move of one node by hand."""

from __future__ import annotations

from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.events import Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger import Deployment, Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.lock import this_user
from ansible_collections.tidegate.delivery.plugins.module_utils.opening import Opening
from ansible_collections.tidegate.delivery.plugins.module_utils.plan import (
    NodeView,
    Plan,
    PlannedWave,
    Served,
    Standing,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.waves import no_room
from ansible_collections.tidegate.delivery.plugins.plugin_utils.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.plan_facts import (
    Checks,
    Target,
    artifact_of,
    for_plays,
    step_facts,
    wave_facts,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.scene import Scene, Seen, hand_deployment


def plan_leave(call: Call) -> dict[str, Any]:
    """Take the node out by hand: the floor decides, the ledger remembers who did it."""
    scene, name = _scene(call)
    open_move = hand_deployment(scene, name)
    opening = _opening(open_move)
    id_ = scene.deployment_id(opening)
    if call.check:
        return _leave(scene, name, scene.look(), opening, open_move, id_)
    with scene.locked(id_):
        return _leave(scene, name, scene.look(), opening, open_move, id_)


def plan_join(call: Call) -> dict[str, Any]:
    """Bring back what a move by hand took out, on the release that it served then."""
    scene, name = _scene(call)
    open_move = hand_deployment(scene, name)
    if open_move is None:
        return _nothing_of_ours(scene, name)
    opening = Opening(Kind.HAND, open_move.version, resumes=open_move.id)
    if call.check:
        return _answer(scene, f"{name} would be verified and join {scene.service.name}'s online pool", True, None)
    with scene.locked(open_move.id):
        return _open(scene, name, scene.look(), opening, open_move)


def _scene(call: Call) -> tuple[Scene, str]:
    name = str(call.args.get("node") or "")
    if not name:
        raise BadInput("no node was named", where="node", remedy="Name it: -e node=n3")
    scene = Scene(call, call.args["service"])
    scene.placement_of(name)
    return scene, name


def _opening(open_move: Deployment | None) -> Opening:
    return Opening(Kind.HAND, "", resumes=open_move.id if open_move else "")


def _view(seen: Seen, name: str) -> NodeView:
    return next(node for site in seen.sites for node in site.nodes if node.name == name)


def _leave(
    scene: Scene, name: str, seen: Seen, opening: Opening, open_move: Deployment | None, id_: str
) -> dict[str, Any]:
    view = _view(seen, name)
    if open_move is not None and _has_left(scene, open_move):
        scene.unlock(id_)
        return _answer(scene, f"{name} is out already: {view.taken_by}", False, None)
    if view.standing is Standing.OUT and open_move is None:
        raise Refused(
            f"{name} is out already, taken by {view.taken_by or 'somebody else'}",
            where=name,
            remedy="Whoever took it out brings it back",
        )
    _require_room(seen, name)
    if scene.call.check:
        return _answer(scene, f"{name} would leave {scene.service.name}'s online pool", True, None)
    served = _release(seen, view)
    deployment = open_move or Deployment(
        id=id_,
        kind=Kind.HAND,
        service=scene.service.name,
        environment=scene.environment,
        version=served.version,
        digest=served.digest,
        nodes=(name,),
        services=(scene.service.name, *scene.service.moves_with),
        opened_by=this_user(),
    )
    return _open(scene, name, seen, opening, deployment)


def _has_left(scene: Scene, move: Deployment) -> bool:
    """Whether the move's last step was the one that records where the node is."""
    entries = scene.record.ledger.entries(scene.environment, deployment=move.id)
    last = [entry.event for entry in entries][-1]
    return last.step is Step.POOL and last.outcome.good


def _release(seen: Seen, view: NodeView) -> Served:
    """What the node shall serve when it comes back: what it tells, else what it joined with, else what most serve."""
    if view.served.version:
        return view.served
    return view.joined or Served(seen.common_version())


def _require_room(seen: Seen, name: str) -> None:
    for site in seen.sites:
        blocking = next((pool for pool in site.pools if not pool.allows([name])), None)
        if blocking is not None:
            raise no_room(blocking, name)


def _nothing_of_ours(scene: Scene, name: str) -> dict[str, Any]:
    view = _view(scene.look(), name)
    if view.standing is Standing.ONLINE:
        return _answer(scene, f"{name} is online already", False, None)
    if view.standing is Standing.UNUSABLE:
        raise Refused(
            f"{name} is in the online pool, but a load balancer can't use it",
            where=name,
            remedy="Look at the service there; it comes back by itself when its checks pass",
        )
    if view.ours:
        remedy = f"A deployment took it out. Go on with {advice.resume(scene.service.name)}"
    else:
        remedy = "Whoever took it out brings it back"
    raise Refused(
        f"{name} was not taken out by hand through Tidegate, but by {view.taken_by or 'somebody else'}",
        where=name,
        remedy=remedy,
    )


def _open(scene: Scene, name: str, seen: Seen, opening: Opening, deployment: Deployment) -> dict[str, Any]:
    intent = scene.call.args["intent"]
    way = "leaves for the maintenance pool" if intent == "leave" else "is verified and joins the online pool"
    msg = f"{scene.service.name} in {scene.environment}: {name} {way}"
    facts = {
        **step_facts(scene.service),
        **_moving(scene, name),
        "intent": intent,
        "service": scene.service.name,
        "msg": msg,
        "deployment": deployment.id,
        "folder": scene.folder(deployment.id),
        "version": deployment.version,
        "digest": deployment.digest,
        "nodes": {name: {"checks": _checks(scene, name, seen, deployment)}} if intent == "join" else {},
    }
    opened = scene.open(opening, deployment, facts, [msg])
    scene.keep_plan({**facts, "attempt": opened.attempt})
    return _answer(scene, msg, True, {**facts, "attempt": opened.attempt})


def _moving(scene: Scene, name: str) -> dict[str, Any]:
    placement = scene.placement_of(name)
    wave = PlannedWave(placement.site.name, placement.load_balancers, (name,), 1)
    return {"order": [name], "sizes": [1], "waves": wave_facts(Plan((), (wave,)), {placement.site.name: placement})}


def _checks(scene: Scene, name: str, seen: Seen, deployment: Deployment) -> dict[str, Any]:
    artifact = artifact_of(scene.call, scene.service, deployment.version)
    target = Target(deployment.version, deployment.digest, artifact)
    return Checks(scene.call, scene.service, target, seen.looks).of(name, scene.placement_of(name))


def _answer(scene: Scene, msg: str, changed: bool, facts: dict[str, Any] | None) -> dict[str, Any]:
    scene.call.progress(msg)
    nothing = {
        "deployment": "",
        "order": [],
        "sizes": [],
        "waves": [],
        "nodes": {},
        "intent": scene.call.args["intent"],
    }
    told = facts or nothing
    folder = str(told.get("folder", ""))
    return {
        "changed": changed,
        "msg": msg,
        "table": [msg],
        "folder": folder,
        "ansible_facts": {"tidegate_plan": for_plays(told)},
    }
