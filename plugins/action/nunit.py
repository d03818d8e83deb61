# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.nunit."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.evidence import require_planned
from ansible_collections.tidegate.delivery.plugins.module_utils.expectation import Expectation, Expected
from ansible_collections.tidegate.delivery.plugins.module_utils.http_answer import target
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import AtStop
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.arguments import defaults_of
from ansible_collections.tidegate.delivery.plugins.plugin_utils.call import Call, plain
from ansible_collections.tidegate.delivery.plugins.plugin_utils.junit_file import results_name
from ansible_collections.tidegate.delivery.plugins.plugin_utils.needs import pipeline
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options import seconds
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planned_check import (
    fill_in,
    given_to,
    planned_parts,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.saved import save

with pipeline():
    from ansible_collections.tidegate.delivery.plugins.module_utils.nunit import NUnitResult, run_nunit
    from ansible_collections.tidegate.delivery.plugins.module_utils.nunit_box import BoxRun
    from ansible_collections.tidegate.delivery.plugins.module_utils.nunit_gate import NUnitOutcome
    from ansible_collections.tidegate.delivery.plugins.module_utils.results_raw import RawResults
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.nunit_options import REMEDIES, numbers, rules

# What reading the longest results from the box may take.
_READING_S = 180.0
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
        *("results_sha256", "results_bytes"),
    )

    def parts(self, call: Call) -> list[Call] | None:
        return planned_parts(call, ["nunit"])

    def complete(self, call: Call) -> None:
        fill_in(call, "nunit", "nunit", given_to(call, plain(self._task.args)), _NEEDED)
        # Here, in the main thread: Ansible's loader is not made for others.
        call.nodes([call.args["box"]])

    def deadline(self, call: Call) -> float:
        return _run(call).deadline + _READING_S

    def act(self, call: Call) -> dict[str, Any]:
        args = call.args
        run, expectation = _run(call), _expectation(args)
        wanted = rules(args, run.assemblies)
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
        )
        if done.raw and args.get("save_to"):
            save(Path(args["save_to"]), done.raw.chunks())
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
    node, aim, front_end = call.covered[0], args["aim"], args["url"].rstrip("/")
    given = {str(name): str(value) for name, value in args["environment"].items()}
    ours = {
        "TIDEGATE_URL": front_end,
        "TIDEGATE_NODE": node,
        "TIDEGATE_AIM_HEADER": aim["header"],
        "TIDEGATE_VERSION": args["version"],
    }
    return BoxRun(
        work_dir=args.get("work_dir") or str(call.hostvar(args["box"], "tidegate_test_dir")),
        artifact_url=args["artifact"]["url"],
        artifact_sha256=args["artifact"]["sha256"].lower(),
        assemblies=tuple(args["assemblies"]),
        runner=tuple(args["runner"]),
        probe_url=target(front_end + "/" + args["probe"]["path"].lstrip("/")).url,
        aim_header=aim["header"],
        served_by=aim["served_by"],
        node=node,
        timeout=seconds(args, "timeout"),
        queue_timeout=seconds(args, "queue_timeout"),
        settings=ours,
        secrets=given,
    )


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
    result = {"changed": False, "outcome": outcome.value, "version": call.args["version"], **_numbers(done)}
    where = f"{', '.join(run.assemblies)} on {call.args['box']}"
    told = f"{run.node}: {done.verdict.sentence.rstrip('.')}"
    if outcome is NUnitOutcome.PASSED:
        return result | {"msg": told}
    remedy = _REMEDIES[outcome]
    if done.report.folder and outcome is not NUnitOutcome.FAILED:
        remedy = f"{remedy} ({call.args['box']}:{done.report.folder})"
    failure = {"msg": f"{told} ({where}). {remedy}", "reason": outcome.value, "where": where, "remedy": remedy}
    return result | failure | {"failed": True}


def _numbers(done: NUnitResult) -> dict[str, Any]:
    if done.report.runner_rc is None:
        return {}
    return {
        **numbers(done.verdict),
        "duration_s": round(done.report.runner_seconds, 3),
        "own_s": round(done.report.runner_seconds, 3),
        "folder": done.report.folder,
        **({"results_sha256": done.raw.sha256, "results_bytes": done.raw.size} if done.raw else {}),
    }
