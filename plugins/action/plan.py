# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError, Stopped
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import this_user
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.opening import (
    Opening,
    decide_deploy,
    decide_resume,
    decide_rollback,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import WHILE_PLANNING, AtStop
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.needs import pipeline
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping.stop import explained

with pipeline():
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.hand_plan import (
        plan_adopt,
        plan_join,
        plan_leave,
    )
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.release_plan import plan_release
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.repair_plan import plan_repair
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.scene import Scene
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.thaw_plan import plan_thaw


class ActionModule(DomainAction):
    """Request → an open deployment with its waves, or a refusal that touched nothing."""

    STEP = "plan"
    AT_STOP = AtStop.GIVE_UP

    def act(self, call: Call) -> dict[str, Any]:
        try:
            # Planning only reads on other machines: a stop ends that at once.
            with call.stopping.cut_short():
                return _INTENTS[call.args["intent"]](call)
        except DomainError as error:
            told = explained(error, WHILE_PLANNING)
            if not call.check:
                _record_refusal(call, told)
            raise told from error


def _record_refusal(call: Call, error: DomainError) -> None:
    call.ledger.ledger.append(
        Event(
            service=str(call.args["service"])[:200],
            environment=str(call.hostvar(call.host, "tidegate_environment")),
            deployment="",
            attempt=0,
            step=Step.REFUSE,
            outcome=Outcome.STOPPED if isinstance(error, Stopped) else Outcome.REFUSED,
            by=this_user(),
            details={"msg": str(error), "reason": error.reason, "intent": call.args["intent"]},
        )
    )


def _plan_deploy(call: Call) -> dict[str, Any]:
    version = str(call.args.get("version") or "")
    if not version:
        raise BadInput("no version was named", where="version", remedy="Name it: -e version=1.1.0")

    def decide(scene: Scene) -> Opening:
        def served() -> str:
            return scene.configuration(Kind.DEPLOY).revision

        return decide_deploy(version, scene.under_way, served, scene.all_moved)

    return plan_release(call, decide)


def _plan_rollback(call: Call) -> dict[str, Any]:
    def decide(scene: Scene) -> Opening:
        def served() -> str:
            return scene.configuration(Kind.ROLLBACK).revision

        name, under_way, last_done = scene.service.name, scene.under_way, scene.last_done
        return decide_rollback(name, under_way, last_done, served, scene.past)

    return plan_release(call, decide)


def _plan_resume(call: Call) -> dict[str, Any]:
    def decide(scene: Scene) -> Opening:
        name, under_way, last_done = scene.service.name, scene.under_way, scene.last_done
        return decide_resume(name, under_way, last_done, scene.left_out, scene.gone_without, scene.past)

    return plan_release(call, decide)


_INTENTS: dict[str, Callable[[Call], dict[str, Any]]] = {
    "deploy": _plan_deploy,
    "rollback": _plan_rollback,
    "resume": _plan_resume,
    "leave": plan_leave,
    "join": plan_join,
    "adopt": plan_adopt,
    "repair": plan_repair,
    "thaw": plan_thaw,
}
