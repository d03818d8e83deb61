# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.puppet_freeze."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import this_user
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.planned import require_planned_thaw
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent import look
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.freeze import (
    Change,
    freeze,
    reason_text,
    thaw,
    wait_for_run,
    would_freeze,
    would_thaw,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.run import live_runs
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import AtStop
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.options import distinct, seconds
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.puppet_options import (
    confdir,
    diff,
    jobs_folder,
    run_family,
    service,
    settings_cache,
)

_OVERHEAD = 180.0


class ActionModule(DomainAction):
    """Arguments → freeze or thaw → what the lock says now."""

    EFFECT = True
    NODES_OR_HOST = True
    RECORDED = ("outcome", "msg", "frozen_by", "waited_s", "own_s")

    def step(self, call: Call) -> str:
        return "freeze" if call.args["state"] == "frozen" else "thaw"

    def in_wave(self, call: Call) -> bool:
        """A freeze is a wave's; the thaw is also made for nodes whose wave has ended."""
        return bool(call.args["state"] == "frozen")

    def at_stop(self, call: Call) -> AtStop:
        """A thaw leads to a safe point."""
        return AtStop.GIVE_UP if call.args["state"] == "frozen" else AtStop.FINISH

    def require_planned(self, call: Call) -> None:
        require_planned_thaw(call.ledger.plan, call.args["state"], call.covered)

    def parts(self, call: Call) -> list[Call] | None:
        if call.args["nodes"] is None:
            return None
        return [_part(call, node) for node in distinct(call.args["nodes"], "nodes")]

    def deadline(self, call: Call) -> float:
        return seconds(call.args, "wait") + _OVERHEAD

    def act(self, call: Call) -> dict[str, Any]:
        wait_s, began = seconds(call.args, "wait"), time.monotonic()
        change = _frozen(call) if call.args["state"] == "frozen" else _thawed(call)
        waited = _waited(call, wait_s) if call.args["state"] == "frozen" and not call.check else 0.0
        return _result(call, change, waited) | {"own_s": round(time.monotonic() - began, 3)}


def _part(call: Call, node: str) -> Call:
    """Connected here: Ansible's loader is not made for threads. A node that can't be keeps no other from its thaw."""
    part = call.part(node)
    try:
        part.node()
    except DomainError as error:
        part.unfit = error
    return part


def _frozen(call: Call) -> Change:
    reason = reason_text(call.deployment_id, service(call), this_user())
    if call.check:
        return would_freeze(look(call.node(), confdir(call)), reason, call.host)
    own = call.ledger.ledger
    return freeze(
        call.node(),
        confdir(call),
        reason,
        settings_cache=settings_cache(call),
        known=lambda id: own.deployment(id) is not None,
    )


def _thawed(call: Call) -> Change:
    if call.check:
        return would_thaw(look(call.node(), confdir(call)), call.deployment_id)
    return thaw(call.node(), confdir(call), _whose(call), settings_cache=settings_cache(call))


def _whose(call: Call) -> str:
    """The deployment whose freeze ends: this one, or the dead one that the plan of a thaw names for the node."""
    return str((call.ledger.plan.get("frozen") or {}).get(call.host, call.deployment_id))


def _waited(call: Call, deadline_s: float) -> float:
    def tell(pid: int) -> None:
        call.progress(f"waiting for Puppet run {pid} to end")

    def own(pid: int) -> bool:
        # Its node has left already: no customer's request can be hurt by it.
        return pid in live_runs(call.node(), jobs_folder(call), run_family(call))

    cache = settings_cache(call)
    return wait_for_run(
        call.node(), confdir(call), deadline_s, tell, settings_cache=cache, stopping=call.stopping, own=own
    )


def _result(call: Call, change: Change, waited: float) -> dict[str, Any]:
    told = "Puppet is enabled"
    if change.after:
        told = f"Puppet is disabled: {change.after}"
        if call.args["state"] == "thawed":
            told += " (not this deployment's: it stays)" if change.after.ours else " (not ours: it stays)"
    result: dict[str, Any] = {
        "changed": change.changed,
        "outcome": "frozen" if change.after else "thawed",
        "frozen_by": str(change.after or ""),
        "msg": f"{call.host}: {told}",
        "waited_s": round(waited, 1),
    }
    if call.diff and change.changed:
        before, after = (f"{each}\n" if each else "" for each in (change.before, change.after))
        result["diff"] = diff(before, after, "agent_disabled.lock")
    return result
