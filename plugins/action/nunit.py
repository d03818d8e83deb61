# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.nunit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import Expectation, Expected
from ansible_collections.tidegate.delivery.plugins.module_utils.health.http_answer import target
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.evidence import require_planned
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.folder_files import results_name
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import AtStop
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.arguments import defaults_of
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call, plain
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.needs import pipeline
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.planned_check import (
    fill_in,
    given_to,
    planned_parts,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.saved import save
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.options import file_path, seconds

with pipeline():
    from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box_order import BoxRun
    from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.gate import NUnitOutcome
    from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.log import LINES_S, RUN_HEADER, Account
    from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_raw import RawResults
    from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.run import NUnitResult, run_nunit
    from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.runners import Runner, Selection
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.nunit_options import (
        REMEDIES,
        numbers,
        rules,
    )

# What reading the longest results from the box may take.
_READING_S = 180.0
_MOST_ASSEMBLIES = 50
_NEEDED = ("box", "url", "artifact", "assemblies", "version")
_AIM = "Look whether the node is up in the maintenance backend and not in the online one, then run the same again"
_BOX = "Look at the test box, then run the same again"
_REMEDIES = {
    **REMEDIES,
    NUnitOutcome.FAILED: "Fix the release, or its tests, and deploy again; the node stays in the maintenance pool",
    NUnitOutcome.NO_TESTS: "Look at the assembly in the artifact's tests folder: no test means no proof",
    NUnitOutcome.NO_RESULTS: "Look at the run's folder on the test box",
    NUnitOutcome.TIMED_OUT: "Look at the test that hangs, or raise the timeout, then run the same again",
    NUnitOutcome.WRONG_NODE: _AIM,
    NUnitOutcome.WRONG_RELEASE: "Look at the node's Puppet run and what it serves, then run the same again",
    NUnitOutcome.STRAYED: "See that all requests of the tests go to TIDEGATE_URL, aimed, then run the same again",
    NUnitOutcome.UNPROVED: "See that tidegate_haproxy_log names the log that has them, then run the same again",
    NUnitOutcome.REFUSED_ARTIFACT: "Look at the artifact in the repository; the plan says which digest it had",
    NUnitOutcome.BUSY: "Wait for the other run, or raise queue_timeout, then run the same again",
    NUnitOutcome.BOX_FAILED: _BOX,
}


class ActionModule(DomainAction):
    """Arguments → a run on the test box → evidence."""

    EFFECT = True
    STEP = "nunit"
    AT_STOP = AtStop.GIVE_UP
    NODES_OR_HOST = True
    RECORDED = (
        *("outcome", "msg", "version", "total", "passed", "failed_tests", "inconclusive", "skipped_tests"),
        *("failing", "quarantined", "expired_quarantine", "left_out", "duration_s", "own_s"),
        *("results_sha256", "results_bytes", "artifact_sha256", "assemblies_sha256"),
        *("runner", "run", "aimed", "log", "log_requests", "queue_place", "queued_s"),
    )

    def parts(self, call: Call) -> list[Call] | None:
        return planned_parts(call, ["nunit"])

    def complete(self, call: Call) -> None:
        fill_in(call, "nunit", "nunit", given_to(call, plain(self._task.args)), _NEEDED)
        # Here, in the main thread: Ansible's loader is not made for others.
        call.nodes([call.args["box"], *call.args["log"]["files"]])

    def deadline(self, call: Call) -> float:
        return _run(call).deadline + _READING_S + LINES_S

    def act(self, call: Call) -> dict[str, Any]:
        args = call.args
        run, expectation = _run(call), _expectation(args)
        wanted = rules(args, run.assemblies)
        save_to = file_path(args["save_to"], "save_to") if args.get("save_to") else None
        if call.check:
            return {"changed": False, "outcome": "not_run", "version": args["version"], "msg": _would(call, run)}
        _require_planned(call)
        box = call.nodes([args["box"]])[args["box"]]
        call.progress(f"testing with {', '.join(run.assemblies)} on {args['box']}")
        done = run_nunit(
            box,
            run,
            expectation,
            wanted,
            today=datetime.now(UTC).date(),
            hidden=call.redactor.forms,
            stopping=call.stopping,
            account=_account(call),
            waiting=lambda ahead: _tell_queue(call, ahead),
        )
        if done.raw and save_to:
            save(Path(save_to), done.raw.chunks())
        _keep(call, run, done.raw)
        return _finished(call, run, done)


def _keep(call: Call, run: BoxRun, raw: RawResults | None) -> None:
    """Leave the results in the deployment's folder."""
    if raw and call.folder is not None:
        own = call.ledger.deployment
        name = results_name(call.args.get("service") or own.service, run.node, own.attempt)
        call.folder.write(name, raw.chunks())


def _require_planned(call: Call) -> None:
    service = call.args.get("service") or call.ledger.deployment.service
    require_planned(call.ledger.plan, call.covered[0], service, "nunit", call.args, defaults_of("nunit"))


def _run(call: Call) -> BoxRun:
    args = call.args
    node, front_end = call.covered[0], args["url"].rstrip("/")
    aim = _aim(args["aim"], node)
    ours = {
        "TIDEGATE_URL": front_end,
        "TIDEGATE_NODE": node,
        "TIDEGATE_AIM_HEADER": aim[0] if aim else "",
        "TIDEGATE_AIM_VALUE": aim[1] if aim else "",
        "TIDEGATE_VERSION": args["version"],
        "TIDEGATE_RUN_HEADER": RUN_HEADER,
    }
    categories = args["categories"]
    run = BoxRun(
        work_dir=args.get("work_dir") or str(call.hostvar(args["box"], "tidegate_test_dir")),
        artifact_url=args["artifact"]["url"],
        artifact_sha256=args["artifact"]["sha256"].lower(),
        assemblies=tuple(args["assemblies"]),
        runner=Runner(args["runner"]),
        program=tuple(args["program"]),
        chosen=Selection(tuple(categories["include"]), tuple(categories["exclude"])),
        probe_url=target(front_end + "/" + args["probe"]["path"].lstrip("/")).url,
        aim=aim,
        served_by=args["aim"]["served_by"],
        node=node,
        timeout=seconds(args, "timeout"),
        queue_timeout=seconds(args, "queue_timeout"),
        parallel=args["parallel"],
        about=_about(call, node),
        marked=bool(args["log"]["files"]),
        settings=ours,
        secrets=_secrets(call),
    )
    return replace(run, settings={**ours, "TIDEGATE_RUN": run.id})


def _aim(aim: dict[str, Any], node: str) -> tuple[str, str] | None:
    """The request header that names the node."""
    if aim["by"] == "header":
        return aim["header"], node
    return ("Host", aim["host"]) if aim["by"] == "host" and aim.get("host") else None


def _about(call: Call, node: str) -> str:
    own = f" ({call.deployment_id})" if call.deployment_id else ""
    return f"{call.args.get('service') or node} on {node}{own}"


def _secrets(call: Call) -> dict[str, str]:
    """What nobody may see: the option `environment`, and the box's variables that `secrets` names."""
    given = {str(name): str(value) for name, value in call.args["environment"].items()}
    named = {name: str(call.hostvar(call.args["box"], variable)) for name, variable in call.args["secrets"].items()}
    return {**given, **named}


def _tell_queue(call: Call, ahead: list[str]) -> None:
    """A line when others than our own deployment's runs are ahead."""
    others = [about for about in ahead if not (call.deployment_id and f"({call.deployment_id})" in about)]
    if others:
        shown = ", ".join(ahead[:3]) + (f" and {len(ahead) - 3} more" if len(ahead) > 3 else "")
        call.progress(f"number {len(ahead) + 1} in the queue of {call.args['box']}, behind {shown}")


def _account(call: Call) -> Account:
    log = call.args["log"]
    # Other runs on the box ask from the same address.
    by_id = log["known_by"] == "id" or call.args["parallel"] > 1
    return Account(log["files"], call.nodes(log["files"]), log["backends"], required=log["required"], by_id=by_id)


def _expectation(args: dict[str, Any]) -> Expectation:
    probe = args["probe"]
    digest = probe.get("digest")
    return Expectation(
        version=Expected(probe["version"], args["version"]),
        digest=Expected(digest, args["artifact"]["sha256"]) if digest else None,
    )


def _would(call: Call, run: BoxRun) -> str:
    return f"would test {run.node} with {', '.join(run.assemblies)} on {call.args['box']}"


def _finished(call: Call, run: BoxRun, done: NUnitResult) -> dict[str, Any]:
    outcome = done.verdict.outcome
    result = {"changed": False, "outcome": outcome.value, "version": call.args["version"]}
    result |= _evidence(call, run, done) | _numbers(done)
    where = f"{', '.join(run.assemblies)} on {call.args['box']}"
    told = f"{run.node}: {done.verdict.sentence.rstrip('.')}"
    if outcome is NUnitOutcome.PASSED:
        return result | {"msg": told}
    remedy = _REMEDIES[outcome]
    if done.report.folder and outcome is not NUnitOutcome.FAILED:
        remedy = f"{remedy} ({call.args['box']}:{done.report.folder})"
    failure = {"msg": f"{told} ({where}). {remedy}", "reason": outcome.value, "where": where, "remedy": remedy}
    return result | failure | {"failed": True}


def _evidence(call: Call, run: BoxRun, done: NUnitResult) -> dict[str, Any]:
    """What was run on what, aimed how, and who says that it came there."""
    by = call.args["aim"]["by"]
    return {
        "runner": run.runner.value,
        "run": run.id,
        "aimed": f"at {run.node} by {by}" + (f" {run.aim[0]}: {run.aim[1]}" if run.aim else f": {call.args['url']}"),
        "artifact_sha256": run.artifact_sha256,
        **({"log": done.proof.sentence, "log_requests": done.proof.requests} if done.proof else {}),
    }


def _numbers(done: NUnitResult) -> dict[str, Any]:
    if done.report.runner_rc is None:
        return {}
    return {
        **numbers(done.verdict),
        "duration_s": round(done.report.runner_seconds, 3),
        "own_s": round(done.report.runner_seconds, 3),
        "folder": done.report.folder,
        "assemblies_sha256": dict(list(done.report.assemblies.items())[:_MOST_ASSEMBLIES]),
        "queue_place": done.report.place,
        "queued_s": done.report.queued,
        **({"results_sha256": done.raw.sha256, "results_bytes": done.raw.size} if done.raw else {}),
    }
