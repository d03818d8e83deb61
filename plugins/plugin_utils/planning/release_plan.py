# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning a release: what every node needs, what is opened for it, and what the plays and people are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ansible import context

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Locked, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import this_user
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.opening import (
    Opening,
    only_settles,
    require_configuration,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.quarantine import ending
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.answer import (
    Decided,
    nothing_to_do,
    plan_answer,
    require_confirmed,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import Fate, Plan, Served, make_plan
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.table import (
    configuration_lines,
    plan_table,
    summary,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.leaving_out import left_out_lines
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import (
    Configuration,
    names,
    short,
    with_configuration,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.nagios_facts import nagios_facts
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.options import seconds
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.plan_facts import (
    Checks,
    Target,
    artifact_of,
    for_plays,
    left_out_facts,
    puppet_facts,
    step_facts,
    wave_facts,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.reboot_wait import await_reboots
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.scene import Scene, Seen
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.turns import Turn

_SETTLING = "another configuration is served by now, and only settling is left: deploy again when this one is closed"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, before anybody was asked: the release, and the deployment under whose id it goes on."""

    scene: Scene
    opening: Opening
    target: Target
    before: Deployment | None
    id: str


@dataclass(frozen=True, slots=True)
class Planned:
    """A request that was planned: what was seen, what is decided, the deployment that it opens or goes on with."""

    request: Request
    seen: Seen
    plan: Plan
    deployment: Deployment
    excluded: tuple[str, ...]
    # Why the release has no configuration revision; empty when it has one.
    no_revision: str = ""

    @property
    def scene(self) -> Scene:
        """The service as the request found it."""
        return self.request.scene

    @property
    def empty(self) -> bool:
        """Whether nothing needs to be opened."""
        return nothing_to_do(self.request.opening, self.plan)


def plan_release(call: Call, decide: Callable[[Scene], Opening]) -> dict[str, Any]:
    """Plan what `decide` makes of the request; unless in check mode, take the locks and open the deployment.

    A deployment of a service that shares its nodes is waited for. All is looked at afresh then.
    """
    turn = Turn(_named(call), seconds(call.args, "wait"), call.progress, call.stopping)
    while True:
        scene = Scene(call, turn.service)
        try:
            return _planned_now(_request(scene, decide), patient=turn.patient)
        except Locked as locked:
            turn.wait(locked, scene.record.live_locks)


def _planned_now(request: Request, *, patient: bool) -> dict[str, Any]:
    await_reboots(request.scene, _excluded(request))
    if request.scene.call.check:
        if patient:
            request.scene.require_turn()
        return _answer(_plan(request), opens=False)
    with request.scene.locked(request.id):
        request.scene.require_unchanged(request.before)
        request.scene.complete_ended()
        planned = _plan(request)
        if planned.empty:
            request.scene.unlock(request.id)
        return _answer(planned, opens=not planned.empty)


def _request(scene: Scene, decide: Callable[[Scene], Opening]) -> Request:
    before = scene.under_way
    opening = decide(scene)
    artifact = artifact_of(scene.call, scene.service, opening.version)
    target = Target(opening.version, artifact.sha256, artifact)
    return Request(scene, opening, target, before, scene.deployment_id(opening))


def _named(call: Call) -> str:
    name = str(call.args["service"])
    if not name:
        raise BadInput("no service was named", where="service", remedy="Name the service: -e service=tradeapi")
    return name


def _plan(request: Request) -> Planned:
    scene = request.scene
    excluded = _excluded(request)
    scene.require_ready()
    request, configuration = _configured(request)
    seen = scene.look(request.opening.without)
    left_out = dict.fromkeys(excluded, "excluded by the operator")
    opening = request.opening
    settling = _SETTLING if only_settles(opening, configuration.revision, scene.all_moved) else ""
    plan = make_plan(
        request.target.served,
        seen.sites,
        scene.service.waves,
        left_out,
        opening.away_from,
        settling,
        opening.undone,
    )
    _require_forks(plan)
    deployment = _deployment(request, seen, plan)
    if plan.waves:
        require_configuration(deployment, configuration.revision)
    return Planned(request, seen, plan, deployment, excluded, configuration.why)


def _configured(request: Request) -> tuple[Request, Configuration]:
    """The request with the configuration's revision that its release has: what goes on, else what is served."""
    served = request.scene.configuration(request.opening.kind)
    _require_named(str(request.scene.call.args.get("revision") or ""), served, request)
    going_on = request.opening.revision
    revision = served.revision if going_on is None else going_on
    return replace(request, target=replace(request.target, revision=revision)), served


def _require_named(named: str, served: Configuration, request: Request) -> None:
    if named and not names(named, served.revision):
        told = f"the compile servers serve {short(served.revision)}" if served.revision else served.why
        raise Refused(
            f"configuration {short(named)} was asked for, and {told}",
            where=f"{request.scene.service.name} {request.target.version}: revision",
            remedy="Bring that revision of the control repository to the compile servers first, or leave revision out: "
            "then it is what they serve",
        )


def _excluded(request: Request) -> tuple[str, ...]:
    for node in request.scene.call.args["exclude"]:
        request.scene.placement_of(node)
    return tuple(sorted({*request.opening.excluded, *request.scene.call.args["exclude"]}))


def _require_forks(plan: Plan) -> None:
    largest = max((len(wave.nodes) for wave in plan.waves), default=0)
    forks = int(context.CLIARGS.get("forks") or 5)
    if forks < largest:
        raise Refused(
            f"{forks} forks are fewer than the largest wave, {largest} nodes",
            where="ansible.cfg: forks",
            remedy=f"Run with --forks {largest} or more, so that a wave moves as one",
        )


def _deployment(request: Request, seen: Seen, plan: Plan) -> Deployment:
    covered = tuple(node.name for node in plan.nodes)
    if request.opening.resumes and request.before is not None:
        return _continued(request.before, request.target, covered)
    scene, target, previous = request.scene, request.target, _previous(request, seen, plan)
    return Deployment(
        id=request.id,
        kind=request.opening.kind,
        service=scene.service.name,
        environment=scene.environment,
        version=target.version,
        digest=target.digest,
        previous_version=previous.version,
        revision=target.revision,
        previous_revision=previous.revision,
        nodes=covered,
        services=(scene.service.name, *scene.service.moves_with),
        opened_by=this_user(),
    )


def _continued(before: Deployment, target: Target, covered: tuple[str, ...]) -> Deployment:
    """The open deployment as its next attempt. Refused when its version has another artifact by now."""
    if before.digest and before.digest != target.digest:
        raise Refused(
            f"the artifact of {before.service} {target.version} changed since this deployment was opened: "
            f"its digest was {before.digest[:12]}… and is {target.digest[:12]}…",
            where=target.artifact.url,
            remedy="A version has one artifact: publish the change under a new version and deploy that",
        )
    return replace(before, nodes=covered, digest=target.digest, revision=target.revision)


def _previous(request: Request, seen: Seen, plan: Plan) -> Served:
    """What a rollback goes back to: what was served before, never the release that a held deployment left behind.

    Of a rollback, what it undoes.
    """
    before, away_from = request.before, request.opening.away_from
    if away_from is not None and away_from.version:
        return away_from
    if before is not None and request.opening.kind is Kind.DEPLOY:
        own = before.kind is Kind.DEPLOY
        version = before.previous_version if own else before.version
        revision = before.previous_revision if own else before.revision
        if version:
            return Served(version, revision=revision)
    return seen.release_before(request.target.served, plan.of(Fate.MOVE))


def _answer(planned: Planned, *, opens: bool) -> dict[str, Any]:
    """The result; with `opens` the deployment is opened first."""
    scene, call = planned.scene, planned.scene.call
    answer = plan_answer(_decided(planned))
    release = with_configuration(planned.deployment.version, planned.deployment.revision)
    msg = summary(scene.service.name, release, scene.environment, planned.plan)
    table = [*plan_table(planned.plan, planned.seen.sites), *left_out_lines(planned.seen.left_out)]
    table += configuration_lines(planned.deployment, planned.no_revision)
    table += ending(scene.service, datetime.now(UTC).date())
    if not advice.by_command():
        for line in [msg, *table]:
            call.progress(line)
    require_confirmed(str(call.args.get("confirmed") or ""), answer)
    # Also when nothing is opened: what they would refuse is part of the answer.
    facts = {} if planned.empty else _facts(planned)
    return {
        "changed": opens or bool(planned.plan.waves),
        "msg": msg,
        "table": table,
        "plan": answer,
        "folder": facts["folder"] if opens else "",
        "ansible_facts": {"tidegate_plan": _opened(planned, msg, facts, table) if opens else _nothing(planned, msg)},
    }


def _decided(planned: Planned) -> Decided:
    services = {node: here for each in planned.scene.placements for node, here in each.services.items()}
    beside = {node: [other.name for other in here[1:]] for node, here in services.items()}
    without = tuple(planned.seen.left_out)
    return Decided(
        planned.request.opening,
        planned.deployment,
        planned.plan,
        planned.seen.sites,
        beside,
        without,
        planned.no_revision,
    )


def _common(planned: Planned, msg: str) -> dict[str, Any]:
    return {"msg": msg, "intent": planned.scene.call.args["intent"], "service": planned.scene.service.name}


def _nothing(planned: Planned, msg: str) -> dict[str, Any]:
    """What the plays take when no node is to move."""
    return {**_common(planned, msg), "deployment": "", "order": [], "sizes": [], "waves": [], "nodes": {}}


def _opened(planned: Planned, msg: str, facts: dict[str, Any], table: list[str]) -> dict[str, Any]:
    facts = {**_common(planned, msg), **facts}
    opened = planned.scene.open(planned.request.opening, planned.deployment, facts, table)
    told = {**facts, "attempt": opened.attempt}
    planned.scene.keep_plan({**told, "plan": plan_answer(_decided(planned)), "table": table})
    return for_plays(told)


def _facts(planned: Planned) -> dict[str, Any]:
    scene, target, plan = planned.scene, planned.request.target, planned.plan
    checks = Checks(scene.call, scene.service, target, planned.seen.looks, planned.seen.left_out)
    placements = {placement.site.name: placement for placement in scene.placements}
    return {
        **step_facts(scene.service),
        "deployment": planned.deployment.id,
        "folder": scene.folder(planned.deployment.id),
        "version": target.version,
        "digest": target.digest,
        "order": [node for wave in plan.waves for node in wave.nodes],
        "sizes": [len(wave.nodes) for wave in plan.waves],
        "waves": wave_facts(plan, placements, planned.seen.left_out),
        **left_out_facts(planned.seen.left_out),
        "releases": _before(planned),
        "skipped": {node.name: node.why for node in plan.nodes if node.fate is Fate.SKIP},
        "excluded": list(planned.excluded),
        "puppet": puppet_facts(
            scene.call,
            scene.service,
            target,
            plan,
            _releases(planned),
            planned.deployment.id,
            planned.seen.looks,
        ),
        "nagios": nagios_facts(
            scene.call, scene.service, {name: scene.placement_of(name).services[name] for name in plan.of(Fate.MOVE)}
        ),
        "nodes": {name: {"checks": checks.of(name, scene.placement_of(name))} for name in plan.of(Fate.MOVE)},
    }


def _before(planned: Planned) -> dict[str, str]:
    """What each node served when the deployment began; a later attempt knows it from the plan before."""
    before = planned.request.before
    first = json.loads(before.plan).get("releases", {}) if before and planned.request.opening.resumes else {}
    return {node.name: first.get(node.name) or node.version_from for node in planned.plan.nodes}


def _releases(planned: Planned) -> dict[str, Served]:
    """Each node's release: what it tells, else what it joined with, else what was served before."""
    name, joined = planned.scene.service.name, planned.scene.history.joined
    before = Served(planned.deployment.previous_version)
    told = {host: look.served[name] for host, look in planned.seen.looks.items()}
    return {host: served if served.version else joined.get(host, before) for host, served in told.items()}
