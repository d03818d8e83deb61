# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a node's tests passed: the run on the box, what makes it evidence at all, and the gate's verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import (
    Differs,
    Expectation,
    Finding,
    judge,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.http_answer import Answer
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.node.parts import read_in_parts
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.blotting import (
    blot_out,
    blot_out_xml,
    blotter,
    forms_of,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box import ahead_of, run_on_box
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box_order import BoxRun
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box_report import BoxReport, Stage
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.gate import Gate, NUnitOutcome, Rules, Verdict
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.log import Account, LogProof, Served
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results import RESULTS_LIMIT, read_results
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_raw import RawResults
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.runners import Runner, meaning_of
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, Stopping
from ansible_collections.tidegate.delivery.plugins.module_utils.values import format_duration


@dataclass(frozen=True, slots=True)
class NUnitResult:
    """The verdict with what it was judged from; `raw` is the results file, secrets blotted out.

    `proof` is what HAProxy's logs say of the tests' requests, if they were asked.
    """

    verdict: Verdict
    report: BoxReport
    raw: RawResults | None = None
    proof: LogProof | None = None


_STAGES = {
    Stage.TOOLS: (NUnitOutcome.BOX_FAILED, "the test box can't run it"),
    Stage.BUSY: (NUnitOutcome.BUSY, "the test box was not free in time"),
    Stage.FETCH: (NUnitOutcome.BOX_FAILED, "the test box could not fetch the artifact"),
    Stage.DIGEST: (NUnitOutcome.REFUSED_ARTIFACT, "the artifact is not the planned one"),
    Stage.UNPACK: (NUnitOutcome.REFUSED_ARTIFACT, "the artifact can't be unpacked safely"),
    Stage.ASSEMBLY: (NUnitOutcome.REFUSED_ARTIFACT, "the artifact does not hold the tests"),
    Stage.AIM: (NUnitOutcome.WRONG_NODE, "the aimed node did not answer, so no test was run"),
}


def ended_early(report: BoxReport) -> Verdict | None:
    """Why the box ended the run before any test; None when it ran them."""
    if report.stage is Stage.DONE:
        return None
    outcome, what = _STAGES[report.stage]
    probe = report.probes.get("before")
    seen = f" ({probe.problem or f'status {probe.status}'})" if probe and report.stage is Stage.AIM else ""
    return Verdict(outcome, f"{what}: {report.problem}{seen}")


def misaimed(report: BoxReport, node: str, served_by: str, expectation: Expectation) -> Verdict | None:
    """Why the tests are no evidence about this node and release; None when both probes say that they are."""
    for when in ("before", "after"):
        answer = report.probes.get(when, Answer(0.0, 0.0, problem="it was not asked"))
        answered = answer.headers.get(served_by.lower(), "")
        if answered != node:
            shown = answer.problem or f"status {answer.status}, {served_by}: {excerpt(answered, 60) or 'missing'}"
            told = f"no evidence: {when} the tests the answer aimed at {node} came from elsewhere ({shown})"
            return Verdict(NUnitOutcome.WRONG_NODE, told)
        finding = judge(answer, expectation)
        if not finding.good:
            return Verdict(NUnitOutcome.WRONG_RELEASE, f"no evidence: {when} the tests {node} {_differs(finding)}")
    return None


def _differs(finding: Finding) -> str:
    first = "" if finding.differences[0].kind is Differs.RELEASE else "did not answer as expected: "
    return first + "; ".join(difference.text for difference in finding.differences)


def astray(proof: LogProof, node: str, *, required: bool) -> Verdict | None:
    """Why HAProxy's logs make the tests no evidence; None when they are one, or need not be proved by them."""
    if proof.served is Served.ELSEWHERE:
        return Verdict(NUnitOutcome.STRAYED, f"no evidence about {node} by HAProxy's log: {proof.sentence}")
    if proof.served is Served.UNKNOWN and required:
        return Verdict(NUnitOutcome.UNPROVED, f"HAProxy's log must say who served the tests: {proof.sentence}")
    return None


def unfinished(report: BoxReport, timeout: float, have_results: bool, runner: Runner = Runner.NUNIT2) -> Verdict | None:
    """Why there is nothing to judge: ended at its deadline, or no results; None when there are results."""
    ended_by_force = report.runner_rc in (124, 137) and report.runner_seconds >= timeout - 1
    console = f". It said last: {excerpt(report.console[-600:], 500)}" if report.console else ""
    if ended_by_force:
        sentence = (
            f"the tests did not end within {format_duration(timeout)} and were ended, their children too{console}"
        )
        return Verdict(NUnitOutcome.TIMED_OUT, sentence)
    if not have_results:
        sentence = f"the runner wrote no results ({meaning_of(runner, report.runner_rc)}){console}"
        return Verdict(NUnitOutcome.NO_RESULTS, sentence)
    return None


def run_nunit(
    box: Node,
    run: BoxRun,
    expectation: Expectation,
    rules: Rules,
    *,
    today: date,
    hidden: Sequence[str] = (),
    stopping: Stopping = NEVER,
    account: Account | None = None,
    waiting: Callable[[list[str]], None] = lambda _ahead: None,
) -> NUnitResult:
    """Run the tests on the box and judge them; with an `account` also by what HAProxy's logs say of their requests.

    `hidden` are forms of secrets beside those that the tests get; `waiting` is told what is ahead in the box's queue.
    Raises Unreachable when the way to the box broke, or Stopped.
    """
    secrets = [*forms_of(run.secrets.values()), *hidden]
    unread = account.begin() if account else ""
    if account and account.cut_off:
        stopping.explain("before the tests ran")
    proof = LogProof(Served.UNKNOWN, unread) if unread else None
    if account and proof and (verdict := astray(proof, run.node, required=account.required)):
        return NUnitResult(verdict, BoxReport(Stage.AIM), proof=proof)
    waiting(ahead_of(box, run))
    report = run_on_box(box, run, stopping)
    report = replace(report, console=blot_out(report.console, secrets))
    verdict = ended_early(report)
    if verdict is not None:
        return NUnitResult(verdict, report)
    raw, cases = RawResults(), Gate(rules, today)
    parts = read_in_parts(box, f"{report.folder}/{run.results}", RESULTS_LIMIT)
    written = parts is not None
    kept = raw.passing(blot_out_xml(parts or (), secrets))
    results = read_results(kept, cases.see, blotter(secrets))
    # What a reader that gave up early left over is evidence, too.
    for _ in kept:
        pass
    if run.secrets:
        # A test may have printed them: the box keeps no file in which they can stand.
        box.sh('rm -f "$1/console.log" "$1/$2"', report.folder, run.results)
    verdict = unfinished(report, run.timeout, written, run.runner)
    verdict = verdict or misaimed(report, run.node, run.served_by, expectation)
    if account and not proof and not verdict:
        proof = account.proof(run.id, run.node, report.source)
        if account.cut_off:
            stopping.explain("before HAProxy's log told who served the tests")
        verdict = astray(proof, run.node, required=account.required)
    return NUnitResult(verdict or cases.verdict(results), report, raw if raw.size else None, proof)
