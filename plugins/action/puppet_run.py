# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.puppet_run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.folder_files import puppet_name
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.node.boot import OnPending
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import job_id
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent import look
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.evidence import puppet_evidence
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.freeze import freeze_of
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.report import Report
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.result import Request, Result
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import compiled_from
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.run import run
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.taken import Expected, compared
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import AtStop
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.options import seconds
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.puppet_options import (
    confdir,
    jobs_folder,
    run_family,
    settings_cache,
)

# Asking the agent, ending an overdue run, reading its report, a node that is out of reach for a while.
_OVERHEAD = 300.0
_CHANGING = (PuppetOutcome.CHANGED, PuppetOutcome.FAILED_RESTART)


class ActionModule(DomainAction):
    """Arguments → one run, started or adopted → its verdict."""

    EFFECT = True
    IN_WAVE = True
    STEP = "puppet"
    AT_STOP = AtStop.GIVE_UP
    RECORDED = (
        "outcome",
        "msg",
        "job_id",
        "exit_code",
        "adopted",
        "report",
        "configuration_version",
        "revision",
        "duration_s",
        "own_s",
        "noop_pending",
        "reboot_pending",
        "reconnected",
    )

    def deadline(self, call: Call) -> float:
        return seconds(call.args, "timeout") + seconds(call.args, "wait_for_lock") + _OVERHEAD

    def act(self, call: Call) -> dict[str, Any]:
        if call.check:
            return _would_run(call)
        result = compared(run(call.node(), _request(call), call.progress, call.stopping), _expected(call))
        told = _told(call, result)
        _keep(call, result, told)
        return told


def _keep(call: Call, result: Result, told: dict[str, Any]) -> None:
    """Leave in the deployment's folder what the run's report says."""
    if call.folder is not None:
        name = puppet_name(call.host, call.ledger.deployment.attempt)
        evidence = puppet_evidence(call.host, result, str(told["msg"]))
        call.folder.write_json(name, call.redact(evidence))


def _request(call: Call) -> Request:
    own = call.ledger.deployment
    return Request(
        folder=jobs_folder(call),
        run_id=job_id(own.id, call.host, own.attempt, call.args.get("job") or ""),
        family=run_family(call),
        timeout=seconds(call.args, "timeout"),
        wait_for_lock=seconds(call.args, "wait_for_lock"),
        interval=seconds(call.args, "interval"),
        confdir=confdir(call),
        environment=call.args.get("environment") or "",
        # Not an option: what the deployment brings is on record. A rollback takes what is served.
        revision=own.revision if own.kind is Kind.DEPLOY else "",
        settings_cache=settings_cache(call),
        reboot=OnPending(call.args["reboot"]),
    )


def _expected(call: Call) -> Expected:
    record = call.ledger
    puppet = record.plan.get("puppet") or {}
    return Expected(
        service=record.deployment.service,
        pinned=puppet.get("pin") or {},
        opened=tuple(puppet.get("open") or {}),
        environment=record.environment,
        ledger=str(call.hostvar(call.host, "tidegate_ledger", "")),
    )


def _would_run(call: Call) -> dict[str, Any]:
    freeze = freeze_of(look(call.node(), confdir(call)))
    if freeze and not freeze.ours:
        return _failed(call, PuppetOutcome.DISABLED, f"reason: {freeze}", call.host)
    return {"changed": True, "outcome": "would_run", "msg": f"{call.host}: Puppet would be run", "adopted": False}


def _told(call: Call, result: Result) -> dict[str, Any]:
    report = result.report
    told = {
        "changed": result.outcome in _CHANGING or bool(report and (report.resources or {}).get("changed")),
        "job_id": result.job_id,
        "adopted": result.adopted,
        "exit_code": result.exit_code,
        "duration_s": result.seconds,
        "own_s": result.seconds,
        "report": result.report_path,
        "configuration_version": report.configuration_version if report else "",
        "revision": _revision(call, report) if report else "",
        "noop_pending": bool(report and report.noop_pending),
        "resources": dict(report.resources or {}) if report else {},
        "failed_resources": _failed_resources(result),
        "waited": result.waited,
        "reconnected": result.reconnected,
        "reboot_pending": result.reboot_pending,
    }
    if result.outcome.ok:
        said = "; ".join([result.outcome.said, *_besides(result)])
        return told | {"outcome": result.outcome.value, "msg": f"{call.host}: {said}"}
    where = f"{call.host}: {result.report_path}" if result.report_path else call.host
    return told | _failed(call, result.outcome, result.verdict.detail, where)


def _revision(call: Call, report: Report) -> str:
    """Of a deployment without one, what Puppet says there is when the code was read."""
    own = call.ledger.deployment.revision
    return compiled_from(report.configuration_version, report.environment, own) if own else ""


def _failed(call: Call, outcome: PuppetOutcome, detail: str, where: str) -> dict[str, Any]:
    what = f"{outcome.said}{': ' if detail else ''}{detail.rstrip('.')}"
    return {
        "failed": True,
        "outcome": outcome.value,
        "msg": f"{call.host}: {what} ({where}). {outcome.remedy}",
        "reason": outcome.value,
        "where": where,
        "remedy": outcome.remedy,
    }


def _besides(result: Result) -> Iterator[str]:
    """What a good run's message also tells."""
    if result.waited:
        yield "another run had ended before it began"
    if result.reconnected:
        yield "the connection was lost meanwhile, and the run found again"
    if result.rebooted:
        yield "the node was rebooted since"
    if result.reboot_pending:
        yield f"a reboot is pending: {result.reboot_pending}"


def _failed_resources(result: Result) -> list[dict[str, Any]]:
    return [
        {"resource": each.resource, "place": each.place, "message": each.message, "restart": each.restart}
        for each in (result.report.failed if result.report else ())
    ]
