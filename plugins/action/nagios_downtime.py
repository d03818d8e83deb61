# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.nagios_downtime."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError, Refused, Stopped
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import this_user
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios import server as nagios
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.downtime import (
    Change,
    Covered,
    Owner,
    close_downtimes,
    end_downtimes,
    open_downtimes,
    preview,
    preview_close,
    preview_end,
    told,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.planned import is_for_thaw, require_planned_end
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.ownership import moved_by_us
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, AtStop, Stopping
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.nagios_server import nagios_of
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.options import distinct, seconds

# Two batches, a look or two more, and the way there.
_DEADLINE = 6 * nagios.ANSWER_S


class ActionModule(DomainAction):
    """Arguments → downtimes opened or ended on the plan's Nagios server → what it says of them."""

    EFFECT = True
    RECORDED = ("outcome", "msg", "until", "problem", "own_s")

    def step(self, call: Call) -> str:
        return Step.DOWNTIME_END if call.args["state"] == "closed" else Step.DOWNTIME

    def in_wave(self, call: Call) -> bool:
        """A downtime is a wave's; its end is also asked for when the wave has ended."""
        return bool(call.args["state"] == "open")

    def at_stop(self, call: Call) -> AtStop:
        """Closing leads to a safe point."""
        return AtStop.GIVE_UP if call.args["state"] == "open" else AtStop.FINISH

    def deadline(self, call: Call) -> float:  # noqa: ARG002
        return _DEADLINE

    def act(self, call: Call) -> dict[str, Any]:
        nodes, plan = distinct(call.args["nodes"], "nodes"), _planned(call)
        require_planned_end(call.ledger.plan, call.args["state"])
        if not plan:
            return {"changed": False, "outcome": "nothing_planned", "msg": "the plan names no Nagios", "nodes": {}}
        _require_planned(nodes, plan)
        began = time.monotonic()
        if is_for_thaw(call.ledger.plan):
            # A person asked for just that: when it can't be done, that has failed.
            return _result(call, plan, _ended(call, plan, nodes)) | {"own_s": round(time.monotonic() - began, 3)}
        opening = _to_open(call, nodes)
        try:
            changes = _changes(call, plan, nodes, opening)
        except Stopped:
            raise
        except DomainError as error:
            if opening and _required(call, plan, nodes):
                raise
            return _not_done(call, nodes, error)
        return _result(call, plan, changes) | {"own_s": round(time.monotonic() - began, 3)}


def _planned(call: Call) -> Mapping[str, Any]:
    return call.ledger.plan.get("nagios") or {}


def _require_planned(nodes: list[str], plan: Mapping[str, Any]) -> None:
    unknown = [node for node in nodes if node not in plan["nodes"]]
    if unknown:
        raise Refused(
            f"the plan has no downtime of {', '.join(unknown)}", where="nodes", remedy="Name nodes that it moves"
        )


def _to_open(call: Call, nodes: list[str]) -> list[str]:
    """The nodes whose downtime shall be open. At a hold those that are out: monitoring watches what customers reach."""
    if call.args["state"] != "held":
        return nodes if call.args["state"] == "open" else []
    out = _out(call, nodes)
    return [node for node in nodes if node in out]


def _out(call: Call, nodes: list[str]) -> set[str]:
    deployment = call.ledger.deployment
    _known, moves = call.ledger.moves_of(deployment.services, nodes)
    return moved_by_us(moves) & set(nodes)


def _required(call: Call, plan: Mapping[str, Any], nodes: list[str]) -> bool:
    """Whether a failure keeps the nodes from leaving: not when that is a way back, or when all are out already."""
    if call.args["state"] != "open" or plan["at_failure"] != "refuse":
        return False
    return call.ledger.deployment.kind is not Kind.ROLLBACK and set(nodes) != _out(call, nodes)


def _changes(call: Call, plan: Mapping[str, Any], nodes: list[str], opening: list[str]) -> dict[str, Change]:
    """What changed, by node."""
    node, found = nagios_of(call, plan["server"])
    own = Owner(call.deployment_id, call.ledger.deployment.service)
    length = int(seconds(plan, "length"))
    covered = {name: _covered(plan["nodes"][name]) for name in nodes}
    closing = [name for name in nodes if name not in opening]
    hosts = {name: covered[name].host for name in nodes}
    if call.check:
        state = nagios.ask(node, found, list(hosts.values()))
        would = {name: preview(state, covered[name], own, length) for name in opening}
        return would | {name: preview_close(state, hosts[name], own) for name in closing}
    done: dict[str, Change] = {}
    if opening:
        done |= open_downtimes(node, found, [covered[name] for name in opening], own, length, this_user(), _stop(call))
    if closing:
        done |= close_downtimes(node, found, [hosts[name] for name in closing], own)
    return {name: done[hosts[name]] for name in nodes}


def _ended(call: Call, plan: Mapping[str, Any], nodes: list[str]) -> dict[str, Change]:
    """What changed, by node: the downtimes that the plan of a thaw names are ended, and no other one."""
    node, found = nagios_of(call, plan["server"])
    hosts = {name: plan["nodes"][name]["host"] for name in nodes}
    left = {hosts[name]: tuple(plan["nodes"][name]["left"]) for name in nodes}
    service = call.ledger.deployment.service
    if call.check:
        state = nagios.ask(node, found, list(left))
        return {name: preview_end(state, hosts[name], service, left[hosts[name]]) for name in nodes}
    done = end_downtimes(node, found, service, left)
    return {name: done[hosts[name]] for name in nodes}


def _stop(call: Call) -> Stopping:
    """A hold is the safe point: only opening for a leave is given up."""
    return call.stopping if call.args["state"] == "open" else NEVER


def _covered(planned: Mapping[str, Any]) -> Covered:
    services = planned["services"]
    return Covered(planned["host"], None if services is None else tuple(services))


def _result(call: Call, plan: Mapping[str, Any], changes: Mapping[str, Change]) -> dict[str, Any]:
    until = min((change.until for change in changes.values() if change.after), default=0)
    result: dict[str, Any] = {
        "changed": any(change.changed for change in changes.values()),
        "outcome": "open" if until else "closed",
        "until": told(until) if until else "",
        "msg": _sentence(call, plan, changes),
        "nodes": {
            node: {
                "outcome": "open" if change.after else "closed",
                "until": told(change.until) if change.after else "",
                "changed": change.changed,
            }
            for node, change in changes.items()
        },
    }
    if call.diff and result["changed"]:
        result["diff"] = [
            {
                "before": _lines(change.before),
                "after": _lines(change.after),
                "before_header": f"{node}: downtimes of {plan['nodes'][node]['host']}",
                "after_header": f"{node}: downtimes of {plan['nodes'][node]['host']}",
            }
            for node, change in changes.items()
            if change.changed
        ]
    return result


def _lines(downtimes: tuple[Any, ...]) -> str:
    return "".join(f"{each}\n" for each in downtimes)


def _sentence(call: Call, plan: Mapping[str, Any], changes: Mapping[str, Change]) -> str:
    where = f"Nagios on {plan['server']}"
    parts = []
    opened = [node for node, change in changes.items() if change.after]
    if opened:
        until = told(min(changes[node].until for node in opened))
        parts.append(f"{', '.join(opened)} in downtime until {until}")
    ended = [node for node, change in changes.items() if not change.after and change.before]
    if ended:
        parts.append(f"the downtime of {', '.join(ended)} is closed")
    over = [node for node, change in changes.items() if not change.after and not change.before]
    if over:
        what = "had ended before" if call.args["state"] == "closed" else "was never opened"
        parts.append(f"the downtime of {', '.join(over)} {what}")
    return f"{where}: {'; '.join(parts)}"


def _not_done(call: Call, nodes: list[str], error: DomainError) -> dict[str, Any]:
    """It goes on without: told as a warning, in the ledger and at the hold."""
    what = "not closed" if call.args["state"] == "closed" else "not opened"
    if not isinstance(error, BadInput):
        what = f"perhaps {what}"
    msg = f"the downtime of {', '.join(nodes)} was {what}: {error}"
    step = Step.DOWNTIME_END if call.args["state"] == "closed" else Step.DOWNTIME
    call.record(step, Outcome.INCONCLUSIVE, nodes, {"outcome": "unknown", "msg": msg})
    return {
        "recorded": True,
        "changed": False,
        "outcome": "unknown",
        "until": "",
        "problem": str(error),
        "msg": msg,
        "nodes": {node: {"outcome": "unknown", "until": "", "changed": False} for node in nodes},
        "warnings": [msg],
    }
