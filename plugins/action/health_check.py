# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.health_check."""

from __future__ import annotations

from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.health.check import (
    HealthOutcome,
    HealthResult,
    Pace,
    check,
    explain,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import Finding
from ansible_collections.tidegate.delivery.plugins.module_utils.health.warmup import (
    Round,
    WarmupPlan,
    WarmupResult,
    explain_warmup,
    warm_up,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.evidence import require_planned
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import AtStop
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.arguments import defaults_of
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call, plain
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.planned_check import (
    fill_in,
    given_to,
    planned_parts,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.health_options import (
    asking,
    needs_node,
    pace_of,
    probe_of,
    read_ahead,
    warmup_of,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.options import seconds

_REMEDIES = {
    HealthOutcome.WRONG_NODE: (
        "Look whether the node is up in the maintenance backend and not in the online one, then run the same again"
    ),
    HealthOutcome.WRONG_RELEASE: (
        "Look at the Puppet run's report and for a process of the old release on the node, "
        "then run the same deployment again"
    ),
    HealthOutcome.NOT_STARTED_SINCE: "Look why the service was not restarted, restart it, then run the same again",
    HealthOutcome.UNHEALTHY: "Look at the service's log and at what failed on the node, then run the same again",
    HealthOutcome.DEADLINE: "Look whether the service hangs, or raise the timeout, then run the same again",
    HealthOutcome.COLD: "Look at what keeps it slow, or raise the limit or the timeout, then run the same again",
}
_TOLD_EVERY = 10.0
# Beyond its own time limit, of a check that is a command: ending it, and the way there and back.
_AROUND_A_CHECK_S = 15.0
# What is expected of the answer of `url`.
_OF_THE_ANSWER = ("version", "digest", "started", "expect", "components")
# What a node is before its tests begin.
_READY = ("release", "health")


class ActionModule(DomainAction):
    """Arguments → check and warm-up → evidence."""

    AT_STOP = AtStop.GIVE_UP
    NODES_OR_HOST = True
    RECORDED = ("outcome", "msg", "url", "version", "digest", "started", "pid", "answers", "warmup_requests", "own_s")

    def step(self, call: Call) -> str:
        step = str(call.args["step"])
        return _READY[0] if step == "ready" else step

    def deadline(self, call: Call) -> float:
        warmup = call.args.get("warmup")
        # The last round may have begun right before the time was up, and its checks follow each other.
        last = len(call.args["checks"]) * (seconds(call.args, "request_timeout") + _AROUND_A_CHECK_S)
        return seconds(call.args, "timeout") + last + (seconds(call.args, "warmup.timeout") if warmup else 0.0)

    def parts(self, call: Call) -> list[Call] | None:
        return planned_parts(call, _READY if call.args["step"] == "ready" else [call.args["step"]])

    def complete(self, call: Call) -> None:
        if call.args["step"] == "ready":
            raise BadInput("step ready is for nodes", where="step", remedy="Name them in nodes, or give step release")
        fill_in(call, "health_check", call.args["step"], given_to(call, plain(self._task.args)), [])
        _require_something(call)
        if needs_node(call.args):
            # Here, in the main thread: Ansible's loader is not made for others.
            call.nodes(call.covered)
        read_ahead(call)

    def act(self, call: Call) -> dict[str, Any]:
        _require_what_the_step_proves(call)
        _require_planned(call)
        pace, plan, stopping = pace_of(call.args), warmup_of(call.args), call.stopping
        found = check(
            probe_of(call),
            pace,
            tell=_Teller(call, pace),
            sleep=lambda seconds: stopping.pause(seconds, "while health was checked"),
        )
        result = _result(call, found, explain(found, pace))
        if found.outcome is HealthOutcome.HEALTHY and plan is not None:
            warmed = warm_up(
                plan,
                ask=asking(stopping, "while it was warmed up"),
                sleep=lambda seconds: stopping.pause(seconds, "while it was warmed up"),
                tell=lambda a_round: _tell_round(call, a_round),
            )
            result |= _warmth(warmed, plan)
        return _finished(call, result)


class _Teller:
    """Shows why a node is not healthy yet, not more often than every ten seconds."""

    def __init__(self, call: Call, pace: Pace) -> None:
        self._call = call
        self._silent_until = min(_TOLD_EVERY, pace.timeout / 2)
        self._first: float | None = None

    def __call__(self, finding: Finding) -> None:
        self._first = finding.at if self._first is None else self._first
        if not finding.good and finding.at - self._first >= self._silent_until:
            self._silent_until += _TOLD_EVERY
            self._call.progress(f"not healthy yet: {finding.sentence}")


def _tell_round(call: Call, a_round: Round) -> None:
    if not a_round.warm:
        call.progress(f"not warm yet: {a_round.complaints[0]}")


def _require_something(call: Call) -> None:
    if not call.args.get("url") and not call.args["checks"]:
        raise BadInput(
            f"this {call.args['step']} check asks nothing: nothing asked is nothing proved",
            where="url, checks",
            remedy="Give url or checks, or name the open deployment whose plan has them",
        )
    if not call.args.get("url") and call.args.get("warmup"):
        raise BadInput("url of this warmup check is not given", where="url", remedy="Give it")


def _require_what_the_step_proves(call: Call) -> None:
    step = call.args["step"]
    needed = {"release": "version", "warmup": "warmup"}.get(step)
    if needed and not call.args.get(needed):
        raise BadInput(f"step {step} proves nothing without {needed}", where=call.host, remedy=f"Give {needed}")
    read = [name for name in _OF_THE_ANSWER if call.args.get(name)]
    if read and not call.args.get("url"):
        raise BadInput(f"{', '.join(read)} without url", where="url", remedy="Give the url of which that is expected")


def _require_planned(call: Call) -> None:
    if not call.deployment_id or call.check:
        return
    step, args = call.args["step"], call.args
    service = args.get("service") or call.ledger.deployment.service
    require_planned(call.ledger.plan, call.covered[0], service, step, args, defaults_of("health_check"))


def _result(call: Call, found: HealthResult, explained: str) -> dict[str, Any]:
    release = found.release
    told = {"version": release.version, "digest": release.digest, "started": release.started, "pid": release.pid}
    return {
        "changed": False,
        "step": call.args["step"],
        "outcome": found.outcome.value,
        "msg": explained,
        "url": call.args.get("url") or "",
        "checks": [check["name"] for check in call.args["checks"]],
        "answers": len(found.findings),
        "seconds": round(found.seconds, 3),
        "own_s": round(found.seconds, 3),
        **{key: value for key, value in told.items() if value is not None},
    }


def _warmth(warmed: WarmupResult, plan: WarmupPlan) -> dict[str, Any]:
    return {
        "outcome": (HealthOutcome.HEALTHY if warmed.warm else HealthOutcome.COLD).value,
        "msg": explain_warmup(warmed, plan),
        "own_s": round(warmed.seconds, 3),
        "warmup_requests": warmed.requests,
        "warmup_rounds": len(warmed.rounds),
        "warmup_ms": {measure: round(1000 * s, 1) for measure, s in warmed.rounds[-1].worst.items()},
    }


def _finished(call: Call, result: dict[str, Any]) -> dict[str, Any]:
    outcome = HealthOutcome(result["outcome"])
    if outcome is HealthOutcome.HEALTHY:
        return result
    name = call.covered[0]
    asked, remedy = result["url"] or ", ".join(result["checks"]), _REMEDIES[outcome]
    where = f"{name}: {asked}"
    told = f"{name}: {result['msg']} ({asked}). {remedy}"
    return result | {"failed": True, "msg": told, "reason": outcome.value, "where": where, "remedy": remedy}
