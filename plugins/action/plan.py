# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ansible import context

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger import Deployment, Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.lock import this_user
from ansible_collections.tidegate.delivery.plugins.module_utils.opening import (
    Opening,
    decide_deploy,
    decide_rollback,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.plan import Fate, Plan, Served, make_plan
from ansible_collections.tidegate.delivery.plugins.module_utils.plan_table import plan_table, summary
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.needs import pipeline

with pipeline():
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.hand_plan import plan_join, plan_leave
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.plan_facts import (
        Checks,
        Target,
        artifact_of,
        puppet_facts,
        step_facts,
        wave_facts,
    )
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.scene import Scene, Seen


class ActionModule(DomainAction):
    """Request → an open deployment with its waves, or a refusal that touched nothing."""

    def act(self, call: Call) -> dict[str, Any]:
        try:
            return _INTENTS[call.args["intent"]](call)
        except DomainError as error:
            if not call.check:
                _record_refusal(call, error)
            raise


def _record_refusal(call: Call, error: DomainError) -> None:
    call.ledger.ledger.append(
        Event(
            service=str(call.args["service"])[:200],
            environment=str(call.hostvar(call.host, "tidegate_environment")),
            deployment="",
            attempt=0,
            step=Step.REFUSE,
            outcome=Outcome.REFUSED,
            by=this_user(),
            details={"msg": str(error), "reason": error.reason, "intent": call.args["intent"]},
        )
    )


def _plan_deploy(call: Call) -> dict[str, Any]:
    version = str(call.args.get("version") or "")
    if not version:
        raise BadInput("no version was named", where="version", remedy="Name it: -e version=1.1.0")
    return _plan_release(call, lambda scene: decide_deploy(version, scene.under_way))


def _plan_rollback(call: Call) -> dict[str, Any]:
    return _plan_release(call, lambda scene: decide_rollback(scene.service.name, scene.under_way, scene.last_done))


def _named(call: Call) -> str:
    name = str(call.args["service"])
    if not name:
        raise BadInput("no service was named", where="service", remedy="Name the service: -e service=tradeapi")
    return name


def _plan_release(call: Call, decide: Callable[[Scene], Opening]) -> dict[str, Any]:
    scene = Scene(call, _named(call))
    before = scene.under_way
    opening = decide(scene)
    target = _target(scene, opening.version)
    deployment_id = scene.deployment_id(opening)
    if call.check:
        return _result(_plan(scene, target), scene, target, None)
    with scene.locked(deployment_id):
        scene.require_unchanged(before)
        seen, plan = _plan(scene, target)
        if not (plan.waves or opening.resumes or opening.supersedes):
            scene.unlock(deployment_id)
            return _result((seen, plan), scene, target, None)
        deployment = _deployment(scene, opening, target, (seen, plan), deployment_id, before)
        return _result((seen, plan), scene, target, (opening, deployment))


def _target(scene: Scene, version: str) -> Target:
    artifact = artifact_of(scene.call, scene.service, version)
    return Target(version, artifact.sha256, artifact)


def _plan(scene: Scene, target: Target) -> tuple[Seen, Plan]:
    excluded = _excluded(scene)
    scene.require_ready()
    seen = scene.look()
    plan = make_plan(target.served, seen.sites, scene.service.waves, excluded)
    largest = max((len(wave.nodes) for wave in plan.waves), default=0)
    forks = int(context.CLIARGS.get("forks") or 5)
    if forks < largest:
        raise Refused(
            f"{forks} forks are fewer than the largest wave, {largest} nodes",
            where="ansible.cfg: forks",
            remedy=f"Run with --forks {largest} or more, so that a wave moves as one",
        )
    return seen, plan


def _excluded(scene: Scene) -> dict[str, str]:
    for node in scene.call.args["exclude"]:
        scene.placement_of(node)
    return dict.fromkeys(scene.call.args["exclude"], "excluded by the operator")


def _deployment(
    scene: Scene, opening: Opening, target: Target, planned: tuple[Seen, Plan], id_: str, before: Deployment | None
) -> Deployment:
    seen, plan = planned
    covered = tuple(node.name for node in plan.nodes)
    if opening.resumes and before is not None:
        if before.digest and before.digest != target.digest:
            raise Refused(
                f"the artifact of {scene.service.name} {target.version} changed since this deployment was opened: "
                f"its digest was {before.digest[:12]}… and is {target.digest[:12]}…",
                where=target.artifact.url,
                remedy="A version has one artifact: publish the change under a new version and deploy that",
            )
        return replace(before, nodes=covered, digest=target.digest)
    return Deployment(
        id=id_,
        kind=opening.kind,
        service=scene.service.name,
        environment=scene.environment,
        version=target.version,
        digest=target.digest,
        previous_version=_previous(opening, seen, target, before),
        nodes=covered,
        services=(scene.service.name, *scene.service.moves_with),
        opened_by=this_user(),
    )


def _previous(opening: Opening, seen: Seen, target: Target, before: Deployment | None) -> str:
    """What a rollback goes back to: what was served before, never the release that a held deployment left behind."""
    if before is not None and opening.kind is Kind.DEPLOY:
        inherited = before.previous_version if before.kind is Kind.DEPLOY else before.version
        if inherited:
            return inherited
    return seen.common_version(but=target.version)


def _result(
    planned: tuple[Seen, Plan], scene: Scene, target: Target, opened: tuple[Opening, Deployment] | None
) -> dict[str, Any]:
    seen, plan = planned
    msg = summary(scene.service.name, target.version, scene.environment, plan)
    table = plan_table(plan, seen.sites)
    for line in [msg, *table]:
        scene.call.progress(line)
    facts = _facts(planned, scene, target, msg, opened)
    if opened is not None:
        facts |= {"attempt": scene.open(*opened, facts, table).attempt}
    return {
        "changed": bool(opened) or (scene.call.check and bool(plan.waves)),
        "msg": msg,
        "table": table,
        "ansible_facts": {"tidegate_plan": facts},
    }


def _facts(
    planned: tuple[Seen, Plan], scene: Scene, target: Target, msg: str, opened: tuple[Opening, Deployment] | None
) -> dict[str, Any]:
    seen, plan = planned
    common = {"msg": msg, "intent": scene.call.args["intent"], "service": scene.service.name}
    if opened is None:
        return {**common, "deployment": "", "order": [], "sizes": [], "waves": [], "nodes": {}}
    checks = Checks(scene.call, scene.service, target, seen.looks)
    placements = {placement.site.name: placement for placement in scene.placements}
    moving = plan.of(Fate.MOVE)
    return {
        **common,
        **step_facts(scene.service),
        "deployment": opened[1].id,
        "version": target.version,
        "digest": target.digest,
        "order": [node for wave in plan.waves for node in wave.nodes],
        "sizes": [len(wave.nodes) for wave in plan.waves],
        "waves": wave_facts(plan, placements),
        "skipped": {node.name: node.why for node in plan.nodes if node.fate is Fate.SKIP},
        "puppet": puppet_facts(scene.call, scene.service, target, plan, _releases(scene, seen, opened[1])),
        "nodes": {name: {"checks": checks.of(name, scene.placement_of(name))} for name in moving},
    }


def _releases(scene: Scene, seen: Seen, deployment: Deployment) -> dict[str, Served]:
    """Each node's release: what it tells, else what it joined with, else what was served before."""
    name, joined = scene.service.name, scene.history.joined
    before = Served(deployment.previous_version)
    told = {host: look.served[name] for host, look in seen.looks.items()}
    return {host: served if served.version else joined.get(host, before) for host, served in told.items()}


_INTENTS: dict[str, Callable[[Call], dict[str, Any]]] = {
    "deploy": _plan_deploy,
    "rollback": _plan_rollback,
    "leave": plan_leave,
    "join": plan_join,
}
