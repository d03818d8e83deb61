# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.deployment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.customers import Moment
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.by_hand import is_repair, is_thaw, purpose
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.hold import (
    downtime_note,
    next_commands,
    why_held,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import node_lock
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.opening import require_configuration
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.leaving_out import unconfirmed, unconfirmed_note
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import short, with_configuration
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import AtStop
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.record import Record
from ansible_collections.tidegate.delivery.plugins.plugin_utils.deployment_folder.customers import (
    begun,
    record_customers,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.deployment_folder.summary_files import keep_summary
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.configuration import of_all, told_configurations
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.proof import require_online
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.plan_facts import for_wave

_LEASE = 300.0
_STEPS = {
    "wave": Step.WAVE,
    "joined": Step.WAVE,
    "held": Step.HOLD,
    "left": Step.POOL,
    "repaired": Step.POOL,
    "closed": Step.CLOSE,
}


class ActionModule(DomainAction):
    """Arguments → the ledger's record, or a refusal."""

    # Locks and permit are looked at below: `held` must work when they are gone.
    EFFECT: ClassVar[bool] = False
    RECORDED: ClassVar[tuple[str, ...]] = ("outcome", "msg", "reason")

    def step(self, call: Call) -> str:
        return str(_STEPS[call.args["state"]])

    def at_stop(self, call: Call) -> AtStop:
        """No wave begins; all else leads to a safe point."""
        return AtStop.COMPLETE if call.args["state"] == "wave" else AtStop.FINISH

    def act(self, call: Call) -> dict[str, Any]:
        if call.check:
            return {"changed": False, "msg": "nothing is recorded in check mode", "outcome": call.args["state"]}
        result = _STATES[call.args["state"]](call)
        if call.args["state"] != "held":
            # A held one is told by the task that fails with it.
            call.progress(result["msg"])
        return result


def _begin(call: Call) -> dict[str, Any]:
    record, number = call.ledger, _number(call)
    planned = _planned(call, number)
    nodes = sorted(call.args["nodes"])
    record.require_permit(nodes, _LEASE, f"wave {number}")
    if not is_repair(record.deployment):
        record.require_joined(range(1, number))
    if nodes != sorted(planned):
        raise Refused(
            f"wave {number} is planned as {', '.join(sorted(planned))}, but Ansible brings {', '.join(nodes)}",
            where=call.deployment_id,
            remedy=f"Run without --limit; leave nodes out with {advice.leaving_out('NODE')}",
        )
    _require_configuration(call)
    if not begun(call):
        record_customers(call, Moment.BEFORE)
    names = [node_lock(record.environment, node) for node in nodes]
    record.acquire(names, call.deployment_id, f"wave {number}", _LEASE)
    return {
        "changed": False,
        "outcome": "begun",
        "msg": f"wave {number} begins: {', '.join(nodes)}",
        "plan": for_wave(record.plan, number),
    }


def _require_configuration(call: Call) -> None:
    """Refused before the wave leaves when its nodes would get another configuration than the deployment brings."""
    deployment, servers = call.ledger.deployment, (call.ledger.plan.get("puppet") or {}).get("servers") or []
    if deployment.revision and servers:
        served = of_all(told_configurations(call, servers, deployment.nodes), deployment.kind)
        require_configuration(deployment, served.revision)


def _confirm(call: Call) -> dict[str, Any]:
    record, number = call.ledger, _number(call)
    nodes = _planned(call, number)
    if sorted(call.args["nodes"]) != sorted(nodes):
        raise Refused(
            f"wave {number} is planned as {', '.join(nodes)}, not as {', '.join(call.args['nodes'])}",
            where=call.deployment_id,
            remedy="Confirm the wave as it was planned",
        )
    record.require_permit(nodes, _LEASE, f"confirming wave {number}", in_wave=True)
    record.require_evidence(nodes, undo=False)
    states = require_online(call, _wave(call, number), record.plan["nodes"])
    deployment, configured = record.deployment, record.configured(nodes)
    release = with_configuration(deployment.version, " and ".join(map(short, filter(None, configured))))
    msg = f"wave {number} is online on {release}: {', '.join(nodes)}"
    told: dict[str, Any] = {"msg": msg, "outcome": "joined"}
    told |= {"version": deployment.version, "digest": deployment.digest}
    # One event for each configuration: of a deployment there is one, and a rollback takes what is served meanwhile.
    record.append(
        record.event(Step.WAVE, Outcome.OK, each, told | ({"revision": revision} if revision else {}))
        for revision, each in configured.items()
    )
    record_customers(call, Moment.JOINED, states)
    _unlock_nodes(call, nodes)
    return {"changed": False, "outcome": "joined", "msg": msg, "recorded": True}


def _unlock_nodes(call: Call, nodes: Sequence[str]) -> None:
    record = call.ledger
    record.unlock([node_lock(record.environment, node) for node in nodes])


def _hold(call: Call) -> dict[str, Any]:
    record = call.ledger
    deployment, nodes = record.deployment, list(call.args["nodes"])
    record.require_not_taken_over()
    events = record.events
    why = why_held(events, deployment.attempt, thawing=is_thaw(deployment))
    ways_on = next_commands(deployment, nodes, stopped=why.stopped)
    note = "" if why.step == Step.DOWNTIME else downtime_note(events, deployment.attempt)
    msg = f"{why.message.rstrip('.')}. {note}{ways_on}"
    if not deployment.state.final:
        told: dict[str, Any] = {"msg": msg, "step": why.step, "cause": why.message, "stopped": why.stopped}
        event = record.event(Step.HOLD, Outcome.HELD, nodes, told | purpose(deployment))
        deployment = record.ledger.update_state(deployment.id, State.HELD, event)
    record.release_ours()
    record_customers(call, Moment.HELD)
    summary = keep_summary(record, deployment, call.redact, ways_on.splitlines())
    return {**summary, "changed": False, "outcome": "held", "stopped": why.stopped, "msg": msg, "recorded": True}


def _left(call: Call) -> dict[str, Any]:
    record = call.ledger
    deployment, nodes = record.deployment, list(call.args["nodes"])
    record.require_permit(nodes, _LEASE, "left")
    command = advice.join(deployment.service, nodes[0])
    msg = f"{', '.join(nodes)} is in the maintenance pool; bring it back with {command}{_left_out(call)}"
    call.record(Step.POOL, Outcome.OK, nodes, {"msg": msg, "outcome": "left"})
    record.release_ours()
    return {"changed": False, "outcome": "left", "msg": msg, "recorded": True}


def _repaired(call: Call) -> dict[str, Any]:
    record, nodes = call.ledger, list(call.args["nodes"])
    record.require_permit(nodes, _LEASE, "repaired", in_wave=True)
    _require_done(record, Step.REPAIR, nodes, "taken out again")
    msg = f"{', '.join(nodes)} is out again; who took it out stays who it was"
    call.record(Step.POOL, Outcome.OK, nodes, {"msg": msg, "outcome": "repaired"})
    _unlock_nodes(call, nodes)
    return {"changed": False, "outcome": "repaired", "msg": msg, "recorded": True}


def _require_done(record: Record, step: Step, nodes: Sequence[str], what: str) -> None:
    events, attempt = record.events_of(step), record.deployment.attempt
    done = {node for event in events if event.attempt == attempt and event.outcome.good for node in event.nodes}
    missing = [node for node in nodes if node not in done]
    if missing:
        raise Refused(
            f"{', '.join(missing)} was not {what} in this attempt",
            where=", ".join(missing),
            remedy="Run the playbook from its beginning, without --limit and --start-at-task",
        )


def _close(call: Call) -> dict[str, Any]:
    record = call.ledger
    deployment = record.deployment
    record.require_permit((), _LEASE, "closing")
    if is_repair(deployment):
        moved = [node for wave in record.plan["waves"] for node in wave["nodes"]]
        _require_done(record, Step.REPAIR, moved, "taken out again")
    elif is_thaw(deployment):
        _require_done(record, Step.THAW, list(record.plan.get("frozen") or ()), "thawed")
        _require_done(record, Step.DOWNTIME_END, record.plan.get("downtimes") or (), "taken out of downtime")
    elif deployment.kind is Kind.HAND:
        record.require_evidence(deployment.nodes, undo=False)
        require_online(call, record.plan["waves"][0], record.plan["nodes"])
    else:
        record.require_joined(record.wave_numbers())
    if deployment.kind is not Kind.HAND:
        record.close_adoptions()
    record_customers(call, Moment.AFTER)
    msg = _closing(call)
    closing = record.event(Step.CLOSE, Outcome.OK, (), {"msg": msg} | purpose(deployment))
    deployment = record.ledger.update_state(deployment.id, State.DONE, closing)
    record.release_ours()
    return {
        **keep_summary(record, deployment, call.redact),
        "changed": True,
        "outcome": "closed",
        "msg": msg,
        "recorded": True,
    }


def _closing(call: Call) -> str:
    deployment = call.ledger.deployment
    if is_repair(deployment):
        return f"{', '.join(deployment.nodes)} is out again; who took it out stays who it was"
    if is_thaw(deployment):
        return f"what dead deployments left is ended: {', '.join(deployment.nodes)}"
    if deployment.kind is Kind.HAND:
        return f"{', '.join(deployment.nodes)} is online again{_left_out(call)}"
    how = "rolled back to" if deployment.kind is Kind.ROLLBACK else "is at"
    skipped = call.ledger.plan.get("skipped", {})
    rest = f"; skipped: {', '.join(f'{node} ({why})' for node, why in skipped.items())}" if skipped else ""
    release = with_configuration(deployment.version, deployment.revision)
    return f"{deployment.service} in {deployment.environment} {how} {release}{rest}{_left_out(call)}"


def _left_out(call: Call) -> str:
    """Who was left out and has not been seen since."""
    record = call.ledger
    return unconfirmed_note(record.deployment.service, unconfirmed(record.plan, record.events))


def _number(call: Call) -> int:
    number = call.args.get("wave")
    if number is None:
        raise BadInput("no wave was named", where="wave", remedy="Give the wave's number")
    return int(number)


def _planned(call: Call, number: int) -> list[str]:
    return list(_wave(call, number)["nodes"])


def _wave(call: Call, number: int) -> dict[str, Any]:
    for wave in call.ledger.plan["waves"]:
        if wave["number"] == number:
            return dict(wave)
    raise Refused(f"there is no wave {number} in the plan", where=call.deployment_id, remedy="Plan again")


_STATES: dict[str, Callable[[Call], dict[str, Any]]] = {
    "wave": _begin,
    "joined": _confirm,
    "held": _hold,
    "left": _left,
    "repaired": _repaired,
    "closed": _close,
}
