# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.health_check."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urljoin

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.evidence import require_planned
from ansible_collections.tidegate.delivery.plugins.module_utils.expectation import (
    Expectation,
    Expected,
    Finding,
    StartedAfter,
    epoch,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health import (
    HealthOutcome,
    HealthResult,
    Pace,
    check,
    explain,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.http_answer import ask, target
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import AtStop
from ansible_collections.tidegate.delivery.plugins.module_utils.warmup import (
    Round,
    WarmupPlan,
    WarmupResult,
    explain_warmup,
    warm_up,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.arguments import defaults_of
from ansible_collections.tidegate.delivery.plugins.plugin_utils.call import Call, plain
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options import seconds
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planned_check import (
    fill_in,
    given_to,
    planned_parts,
)

_REMEDIES = {
    HealthOutcome.WRONG_RELEASE: (
        "Look at the Puppet run's report and for a process of the old release on the node, "
        "then run the same deployment again"
    ),
    HealthOutcome.NOT_STARTED_SINCE: "Look why the service was not restarted, restart it, then run the same again",
    HealthOutcome.UNHEALTHY: "Look at the service's log on the node, then run the same again",
    HealthOutcome.DEADLINE: "Look whether the service hangs, or raise the timeout, then run the same again",
    HealthOutcome.COLD: "Look at what keeps it slow, or raise the limit or the timeout, then run the same again",
}
_TOLD_EVERY = 10.0
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
        return seconds(call.args, "timeout") + (seconds(call.args, "warmup.timeout") if warmup else 0.0)

    def parts(self, call: Call) -> list[Call] | None:
        return planned_parts(call, _READY if call.args["step"] == "ready" else [call.args["step"]])

    def complete(self, call: Call) -> None:
        if call.args["step"] == "ready":
            raise BadInput("step ready is for nodes", where="step", remedy="Name them in nodes, or give step release")
        fill_in(call, "health_check", call.args["step"], given_to(call, plain(self._task.args)), ["url"])

    def act(self, call: Call) -> dict[str, Any]:
        _require_what_the_step_proves(call)
        _require_planned(call)
        where = _target(call, call.args["url"])
        expectation, pace, plan = _expectation(call.args), _pace(call.args), _warmup(call)
        found = check(
            where, expectation, pace, tell=_Teller(call, pace), **_giving_up(call, "while health was checked")
        )
        result = _result(call, found, explain(found, pace))
        if found.outcome is HealthOutcome.HEALTHY and plan is not None:
            given_up = _giving_up(call, "while it was warmed up")
            warmed = warm_up(plan, tell=lambda a_round: _tell_round(call, a_round), **given_up)
            result |= _warmth(warmed, plan)
        return _finished(call, result)


def _giving_up(call: Call, where: str) -> dict[str, Any]:
    """Asking and sleeping that end when somebody asks to stop."""
    stopping = call.stopping
    return {
        "ask": partial(ask, look=lambda: stopping.look(where)),
        "sleep": lambda seconds: stopping.pause(seconds, where),
    }


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


def _require_what_the_step_proves(call: Call) -> None:
    step = call.args["step"]
    needed = {"release": "version", "warmup": "warmup"}.get(step)
    if needed and not call.args.get(needed):
        raise BadInput(f"step {step} proves nothing without {needed}", where=call.host, remedy=f"Give {needed}")


def _require_planned(call: Call) -> None:
    if not call.deployment_id or call.check:
        return
    step, args = call.args["step"], call.args
    service = args.get("service") or call.ledger.deployment.service
    require_planned(call.ledger.plan, call.covered[0], service, step, args, defaults_of("health_check"))


def _target(call: Call, url: str) -> Any:  # noqa: ANN401
    args = call.args
    headers = {str(name): str(value) for name, value in args["headers"].items()}
    return target(url, headers, ca_file=args.get("ca_file"), validate_certs=args["validate_certs"])


def _pace(args: dict[str, Any]) -> Pace:
    if not 1 <= args["in_a_row"] <= 1000:
        raise BadInput(f"in_a_row is {args['in_a_row']}", where="in_a_row", remedy="Give a number from 1 to 1000")
    durations = {key: seconds(args, key) for key in ("interval", "timeout", "request_timeout")}
    return Pace(in_a_row=args["in_a_row"], **durations)


def _expectation(args: dict[str, Any]) -> Expectation:
    return Expectation(
        status=tuple(args["status"]),
        version=_expected(args.get("version")),
        digest=_expected(args.get("digest")),
        started=_started(args.get("started")),
        values=tuple(Expected(each["path"], each["value"]) for each in args["expect"]),
        pid_path=args["pid"],
    )


def _expected(option: dict[str, Any] | None) -> Expected | None:
    return Expected(option["path"], option["value"]) if option else None


def _started(option: dict[str, Any] | None) -> StartedAfter | None:
    if not option:
        return None
    try:
        return StartedAfter(option["path"], epoch(option["after"]))
    except ValueError as error:
        raise BadInput(str(error), where="started.after", remedy="Give an ISO 8601 time or a Unix time") from None


def _warmup(call: Call) -> WarmupPlan | None:
    option = call.args.get("warmup")
    if not option:
        return None
    return WarmupPlan(
        targets=tuple(_target(call, urljoin(call.args["url"], url)) for url in option["urls"]),
        until={measure: seconds(call.args, f"warmup.until.{measure}") for measure in option["until"]},
        batch=option["batch"],
        concurrency=option["concurrency"],
        timeout=seconds(call.args, "warmup.timeout"),
        request_timeout=max(10.0, seconds(call.args, "request_timeout")),
    )


def _result(call: Call, found: HealthResult, explained: str) -> dict[str, Any]:
    release = found.release
    told = {"version": release.version, "digest": release.digest, "started": release.started, "pid": release.pid}
    return {
        "changed": False,
        "step": call.args["step"],
        "outcome": found.outcome.value,
        "msg": explained,
        "url": call.args["url"],
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
    where, remedy = f"{name}: {result['url']}", _REMEDIES[outcome]
    told = f"{name}: {result['msg']} ({result['url']}). {remedy}"
    return result | {"failed": True, "msg": told, "reason": outcome.value, "where": where, "remedy": remedy}
