# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.haproxy_pool."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.by_hand import ADOPT
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.permit import undo_refused
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.planned import (
    require_planned_move,
    require_planned_repair,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, Pool, Spot, allows_unchecked
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_report import MoveReport
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_surroundings import Limits, Surroundings
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.moves import Move
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.ownership import but_this_step, moved_by_us
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import AtStop
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.load_balancers import admin_of, checked_name
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.options import distinct, seconds, share


class ActionModule(DomainAction):
    """Arguments → one move of a whole wave → cells before and after."""

    EFFECT = True
    IN_WAVE = True
    RECORDED = (
        *("msg", "reason", "places", "drained_seconds", "sessions_cut", "sessions_cut_total"),
        *("left_out", "back", "own_s"),
    )

    def step(self, call: Call) -> str:
        return str(Step.REPAIR if _repairs(call) else _intent(call).value)

    def at_stop(self, call: Call) -> AtStop:
        """A leave can be undone; a join that has begun is brought to its end."""
        return AtStop.COMPLETE if _intent(call) is Intent.JOIN else AtStop.GIVE_UP

    def deadline(self, call: Call) -> float:
        limits = _limits(call.args)
        # A move and its undoing, each with its steps.
        return 2 * (limits.hard + 2 * limits.join + 4 * (limits.silent + seconds(call.args, "lock_timeout")))

    def require_planned(self, call: Call) -> None:
        args, plan = call.args, call.ledger.plan
        where = (args["load_balancers"], args["pools"], args["drain"], args["without"])
        require_planned_move(plan, args["nodes"], *where)
        require_planned_repair(plan, args["state"])

    def act(self, call: Call) -> dict[str, Any]:
        intent = _intent(call)
        move, began = _move(call), time.monotonic()
        ours = _ours(call)
        if _repairs(call):
            _require_taken(call, ours)
        changes = move.preview(intent, ours | _adopted(call))
        if intent is Intent.JOIN and not call.check:
            # Of one that is online already, too: the ledger would else have a join of ours that nothing proves.
            call.require_evidence(call.covered)
        if changes and not call.check:
            move.run(intent, () if intent is Intent.JOIN else _kept_out(call, ours))
        elif not call.check:
            move.keep()
        result = _result(call, move.report, intent, changes)
        return result | {"own_s": _own_seconds(move.report, intent, time.monotonic() - began)}


def _own_seconds(report: MoveReport, intent: Intent, elapsed_s: float) -> float:
    """A leave's own time is the drain, a join's the whole: its checks are HAProxy's."""
    drained = max(report.drained_seconds.values(), default=0.0)
    return round(elapsed_s if intent is Intent.JOIN else drained, 3)


def _intent(call: Call) -> Intent:
    return Intent.JOIN if call.args["state"] == "online" else Intent.LEAVE


def _move(call: Call) -> Move:
    names, pools = distinct(call.args["load_balancers"], "load_balancers"), _pools(call.args)
    backends = [backend for pool in pools for backend in pool.backends]
    without, lock = _without(call.args, names), seconds(call.args, "lock_timeout")
    call.nodes(names)
    admins = {name: admin_of(call, name, backends, without=without, lock=lock) for name in names}
    return Move(admins, pools, _limits(call.args), _around(call))


def _without(args: Mapping[str, Any], load_balancers: Sequence[str]) -> list[str]:
    without = list(args["without"])
    strangers = sorted(set(without) - set(load_balancers))
    if strangers:
        raise BadInput(
            f"{', '.join(strangers)} is in without but not in load_balancers",
            where="without",
            remedy="Name load balancers of this move: what they would start with is moved",
        )
    return without


def _around(call: Call) -> Surroundings:
    return Surroundings(call.in_parallel, call.progress, stopping=call.stopping)


def _limits(args: Mapping[str, Any]) -> Limits:
    drain = args["drain"]
    limits = Limits(
        soft=seconds(args, "drain.soft"),
        hard=seconds(args, "drain.hard"),
        cut=drain["at_hard"] == "cut",
        cookies_stay=drain["sticky"] == "wait",
        join=seconds(args, "join_timeout"),
        silent=seconds(args, "answer_timeout"),
    )
    if limits.hard < limits.soft:
        raise BadInput(
            f"drain.hard {drain['hard']} is shorter than drain.soft {drain['soft']}",
            where="drain",
            remedy="Both are counted from the beginning: make hard the longer one",
        )
    return limits


def _pools(args: Mapping[str, Any]) -> list[Pool]:
    nodes = [checked_name(name) for name in distinct(args["nodes"], "nodes")]
    pools = [_pool(entry, nodes) for entry in args["pools"]]
    distinct([backend for pool in pools for backend in pool.backends], "pools")
    homeless = sorted(set(nodes) - {name for pool in pools for name in pool.nodes})
    if homeless:
        raise BadInput(f"{', '.join(homeless)} is in none of the pools", where="pools", remedy="Name it in one")
    return pools


def _pool(entry: Mapping[str, Any], nodes: list[str]) -> Pool:
    concerned = nodes if entry["nodes"] is None else distinct(entry["nodes"], "pools.nodes")
    strangers = sorted(set(concerned) - set(nodes))
    if strangers:
        raise BadInput(
            f"{', '.join(strangers)} is in pools.nodes but not in nodes",
            where=f"pools, {entry['online']}",
            remedy="Nodes that move must be named in nodes",
        )
    return Pool(
        online=checked_name(entry["online"]),
        maintenance=checked_name(entry["maintenance"]),
        floor=share(entry, "min_online", where="pools.min_online"),
        nodes=tuple(concerned),
        unchecked=allows_unchecked(entry["unchecked"]),
    )


def _ours(call: Call) -> set[str]:
    """The nodes that this service's deployments took out and did not bring back."""
    record = call.ledger
    known = record.ledger.deployment(call.deployment_id)
    if known is None and call.check:
        # A dry run opens no deployment; its plan has left out what is somebody else's.
        return set(call.covered)
    services = dict.fromkeys((record.deployment.service, *record.deployment.services))
    _known, events = record.moves_of(services, call.covered)
    return moved_by_us(events if call.check else but_this_step(events, call.deployment_id))


def _repairs(call: Call) -> bool:
    return bool(call.args["state"] == "repaired")


def _require_taken(call: Call, ours: set[str]) -> None:
    strangers = [node for node in call.covered if node not in ours]
    if strangers:
        raise Refused(
            f"{', '.join(strangers)} is not out by our doing: there is nothing to repair; nothing was touched",
            where=", ".join(strangers),
            remedy="Take it out with state: maintenance, by way of a deployment or by hand",
        )


def _adopted(call: Call) -> set[str]:
    """The nodes of somebody else's that the recorded plan takes over on a person's word."""
    if call.check or call.ledger.plan.get("intent") != ADOPT:
        return set()
    return set(call.covered)


def _kept_out(call: Call, ours: set[str]) -> set[str]:
    """The nodes that this leave, if it is given up, may not bring in where they were out before."""
    if _repairs(call) or _adopted(call):
        return set(call.covered)
    before = but_this_step(call.ledger.events, call.deployment_id)
    return {node for node in call.covered if node in ours and undo_refused(before, node)}


def _result(call: Call, report: MoveReport, intent: Intent, changes: bool) -> dict[str, Any]:
    goal = Cell.ON if intent is Intent.JOIN else Cell.TEST
    after = dict.fromkeys(report.after, goal) if call.check and changes else report.after
    result = {
        "changed": changes,
        "msg": _sentence(call, report, changes),
        "cells": [_cell(spot, cell, after[spot]) for spot, cell in report.before.items()],
        # The same for the ledger, whose lists are of short texts.
        "places": [f"{spot}: {cell} -> {after[spot]}" for spot, cell in report.before.items()],
        "drained_seconds": report.drained_seconds,
        "sessions_cut": report.sessions_cut,
        # Of a leave with many nodes the ledger has no more of those than 2,000 characters.
        "sessions_cut_total": sum(report.sessions_cut.values()),
        "commands": report.commands,
        "left_out": [f"{name}: {proof}" for name, proof in report.left_out.items() if name not in report.back],
        "back": [name for name in call.args["without"] if name in report.back or name not in report.left_out],
    }
    if call.diff:
        result["diff"] = [{"before": _shown(report.before), "after": _shown(after)}]
    return result


def _cell(spot: Spot, before: Cell, after: Cell) -> dict[str, str]:
    where = {"node": spot.node, "load_balancer": spot.load_balancer, "pool": spot.pool.online}
    return {**where, "before": before.value, "after": after.value}


def _shown(cells: Mapping[Spot, Cell]) -> str:
    return "".join(f"{spot}: {cell}\n" for spot, cell in cells.items())


def _sentence(call: Call, report: MoveReport, changes: bool) -> str:
    one = len(call.covered) == 1
    now, before = ("is", "was already") if one else ("are", "were already")
    verb = "would be" if call.check and changes else now if changes else before
    pool = "online" if call.args["state"] == "online" else "maintenance"
    down = [name for name in report.left_out if name not in report.back]
    there = ", ".join(name for name in call.args["load_balancers"] if name not in down)
    where = f"in the {pool} pool on {there}"
    slowest = max(report.drained_seconds.values(), default=0.0)
    cut = sum(report.sessions_cut.values())
    took = f"; drained in {slowest:.1f} s, {cut} sessions cut" if report.drained_seconds else ""
    without = f"; {', '.join(down)} is down and will start with that" if down else ""
    return f"{', '.join(call.covered)} {verb} {where}{took}{without}"
