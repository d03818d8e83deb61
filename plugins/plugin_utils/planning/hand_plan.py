# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning the move of one node by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.by_hand import ADOPT, is_adoption
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import this_user
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.opening import Opening
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.answer import (
    decisions_digest,
    planned_by_hand,
    require_confirmed,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import (
    NodeView,
    Plan,
    PlannedWave,
    Served,
    Standing,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.waves import blocking, no_room
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.drift import to_repair
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.leaving_out import left_out_lines
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.drift_look import drift_now
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.nagios_facts import nagios_facts
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.plan_facts import (
    Checks,
    Target,
    artifact_of,
    for_plays,
    left_out_facts,
    step_facts,
    wave_facts,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.scene import Scene, Seen, hand_deployment


def plan_leave(call: Call) -> dict[str, Any]:
    """Take the node out by hand: the floor decides, the ledger remembers who did it."""
    return _taken_out(call, _leave)


def plan_adopt(call: Call) -> dict[str, Any]:
    """Take over, on a person's word, a node that somebody else took out; nothing joins."""
    return _taken_out(call, _adopt)


def _taken_out(
    call: Call, decide: Callable[[Scene, str, Seen, Opening, Deployment | None, str], dict[str, Any]]
) -> dict[str, Any]:
    """Decide under the locks that a move needs; a dry run takes none."""
    scene, name = _scene(call)
    open_move = hand_deployment(scene, name)
    opening = _opening(open_move)
    id_ = scene.deployment_id(opening)
    if call.check:
        return decide(scene, name, scene.look(), opening, open_move, id_)
    with scene.locked(id_):
        return decide(scene, name, scene.look(), opening, open_move, id_)


def plan_join(call: Call) -> dict[str, Any]:
    """Bring back what a move by hand took out, on the release that it served then."""
    scene, name = _scene(call)
    open_move = hand_deployment(scene, name)
    taken = scene.history.absent.get(name)
    # A deployment may have taken over what a person adopted.
    if open_move is None or (taken is not None and taken.deployment != open_move.id):
        return _nothing_of_ours(scene, name)
    opening = Opening(Kind.HAND, open_move.version, resumes=open_move.id)
    if call.check:
        return _answer(scene, f"{scene.service.name} in {scene.environment}: {name} {_way(scene)}", True, None)
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
    if open_move is not None and _has_left(scene, open_move) and not _came_back(scene, name):
        scene.unlock(id_)
        return _answer(scene, f"{name} is out already: {view.taken_by}", False, None)
    if view.standing is Standing.OUT and open_move is None:
        adopt = advice.adopt(scene.service.name, name)
        raise Refused(
            f"{name} is out already, taken by {view.taken_by or 'somebody else'}",
            where=name,
            remedy="Whoever took it out brings it back" + ("" if view.taken_by else f"; or take it over: {adopt}"),
        )
    return _take(scene, name, seen, opening, open_move, id_)


def _adopt(
    scene: Scene, name: str, seen: Seen, opening: Opening, open_move: Deployment | None, id_: str
) -> dict[str, Any]:
    view = _view(seen, name)
    if view.taken_by and (open_move is None or _has_left(scene, open_move)):
        if not scene.call.check:
            scene.unlock(id_)
        return _answer(scene, f"{name} is ours already: taken out by {view.taken_by}", False, None)
    if view.standing is not Standing.OUT:
        raise Refused(
            f"nobody took {name} out: there is nothing to take over",
            where=name,
            remedy=f"Take it out by hand: {advice.leave(scene.service.name, name)}",
        )
    return _take(scene, name, seen, opening, open_move, id_)


def _take(
    scene: Scene, name: str, seen: Seen, opening: Opening, open_move: Deployment | None, id_: str
) -> dict[str, Any]:
    _require_room(seen, name)
    if scene.call.check:
        return _answer(scene, f"{scene.service.name} in {scene.environment}: {name} {_way(scene)}", True, None)
    require_confirmed(str(scene.call.args.get("confirmed") or ""), _decision(scene, True))
    served = _release(seen, _view(seen, name))
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


def _came_back(scene: Scene, name: str) -> bool:
    return name in to_repair(drift_now(scene)[0])


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
        full = blocking(site.pools, [name])
        if full is not None:
            raise no_room(full, name)


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
    elif view.taken_by:
        remedy = "Whoever took it out brings it back"
    else:
        remedy = f"Whoever took it out brings it back; or take it over: {advice.adopt(scene.service.name, name)}"
    raise Refused(
        f"{name} was not taken out by hand through Tidegate, but by {view.taken_by or 'somebody else'}",
        where=name,
        remedy=remedy,
    )


def _open(scene: Scene, name: str, seen: Seen, opening: Opening, deployment: Deployment) -> dict[str, Any]:
    intent = scene.call.args["intent"]
    msg = f"{scene.service.name} in {scene.environment}: {name} {_way(scene)}"
    facts = {
        **step_facts(scene.service),
        **_moving(scene, name, seen),
        "intent": intent,
        "adopted": intent == ADOPT or is_adoption(deployment),
        "service": scene.service.name,
        "msg": msg,
        "deployment": deployment.id,
        "folder": scene.folder(deployment.id),
        "version": deployment.version,
        "digest": deployment.digest,
        "nagios": nagios_facts(scene.call, scene.service, {name: scene.placement_of(name).services[name]}),
        "nodes": {name: {"checks": _checks(scene, name, seen, deployment)}} if intent == "join" else {},
    }
    opened = scene.open(opening, deployment, facts, [msg, *left_out_lines(seen.left_out)])
    scene.keep_plan({**facts, "attempt": opened.attempt})
    return _answer(scene, msg, True, {**facts, "attempt": opened.attempt})


def _moving(scene: Scene, name: str, seen: Seen) -> dict[str, Any]:
    placement = scene.placement_of(name)
    wave = PlannedWave(placement.site.name, placement.load_balancers, (name,), 1)
    waves = wave_facts(Plan((), (wave,)), {placement.site.name: placement}, seen.left_out)
    return {"order": [name], "sizes": [1], "waves": waves, **left_out_facts(seen.left_out)}


def _checks(scene: Scene, name: str, seen: Seen, deployment: Deployment) -> dict[str, Any]:
    artifact = artifact_of(scene.call, scene.service, deployment.version)
    target = Target(deployment.version, deployment.digest, artifact)
    return Checks(scene.call, scene.service, target, seen.looks, seen.left_out).of(name, scene.placement_of(name))


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
        **({"plan": _decision(scene, changed)} if scene.call.args["intent"] == ADOPT else {}),
        "folder": folder,
        "ansible_facts": {"tidegate_plan": for_plays(told)},
    }


def _decision(scene: Scene, changed: bool) -> dict[str, Any]:
    """What somebody is asked to say yes to."""
    name = str(scene.call.args["node"])
    plan: dict[str, Any] = {
        "service": scene.service.name,
        "environment": scene.environment,
        "version": "",
        "kind": scene.call.args["intent"],
        "nodes": [planned_by_hand(name, scene.placement_of(name).site.name, 1)],
        "waves": [{"number": 1, "nodes": [name]}],
        "nothing_to_do": not changed,
    }
    return {**plan, "decisions_sha256": decisions_digest(plan)}


def _way(scene: Scene) -> str:
    ways = {
        "leave": ("would leave the online pool", "leaves for the maintenance pool"),
        "join": ("would be verified and join the online pool", "is verified and joins the online pool"),
        ADOPT: (
            "would be taken over from whoever took it out, and be put into the maintenance pool; nothing joins",
            "is taken over from whoever took it out, and is put into the maintenance pool; nothing joins",
        ),
    }
    would, does = ways[scene.call.args["intent"]]
    return would if scene.call.check else does
