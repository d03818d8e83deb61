# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a node's tests passed: the gate over the cases, and what makes a run evidence at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from xml.sax.saxutils import escape

from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.expectation import (
    Differs,
    Expectation,
    Finding,
    judge,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.http_answer import Answer
from ansible_collections.tidegate.delivery.plugins.module_utils.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit_box import (
    BoxReport,
    BoxRun,
    Stage,
    run_on_box,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit_results import (
    RESULTS_LIMIT,
    Case,
    CaseOutcome,
    Results,
    Unread,
    read_results,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, Stopping
from ansible_collections.tidegate.delivery.plugins.module_utils.values import format_duration

MOST_FAILURES = 20
_MESSAGE = 300
_LONGEST_MESSAGE = 2000
# Shorter values are no secrets, and blotting them out would make messages unreadable.
_LEAST_SECRET = 4
_BLOT = "********"


class NUnitOutcome(StrEnum):
    """How a run ended; PASSED alone is evidence that the node may join."""

    PASSED = "passed"
    FAILED = "failed"
    TOO_FEW = "too_few"
    NO_TESTS = "no_tests"
    NO_RESULTS = "no_results"
    BROKEN_RESULTS = "broken_results"
    TIMED_OUT = "timed_out"
    WRONG_NODE = "wrong_node"
    """Another node answered, or nobody who says who it is: what the tests showed is about somebody else."""
    WRONG_RELEASE = "wrong_release"
    """The right node answered, before or after the tests, with another release or not as expected."""
    REFUSED_ARTIFACT = "refused_artifact"
    BUSY = "busy"
    BOX_FAILED = "box_failed"


@dataclass(frozen=True, slots=True)
class Counts:
    """Cases by outcome."""

    total: int = 0
    passed: int = 0
    failed: int = 0
    inconclusive: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says, in a sentence for people; `failures` are the cases that did not pass, bounded."""

    outcome: NUnitOutcome
    sentence: str
    counts: Counts = Counts()
    failures: tuple[Case, ...] = ()


@dataclass(frozen=True, slots=True)
class NUnitResult:
    """The verdict with what it was judged from; `xml` is the results file, secrets blotted out."""

    verdict: Verdict
    report: BoxReport
    xml: bytes = b""


def count(cases: Iterable[Case]) -> Counts:
    """How many cases ended in which way."""
    outcomes = [case.outcome for case in cases]
    return Counts(
        len(outcomes),
        outcomes.count(CaseOutcome.PASSED),
        outcomes.count(CaseOutcome.FAILED),
        outcomes.count(CaseOutcome.INCONCLUSIVE),
        outcomes.count(CaseOutcome.SKIPPED),
    )


def gate(cases: Sequence[Case], min_tests: int, allowed_failures: int, assemblies: Sequence[str] = ()) -> Verdict:
    """The verdict from the cases alone.

    Ignored cases count for nothing, inconclusive ones as not passed. `min_tests` is about cases that passed or failed,
    and each of `assemblies` must have at least one of those.
    """
    counts = count(cases)
    bad = tuple(case for case in cases if case.outcome in (CaseOutcome.FAILED, CaseOutcome.INCONCLUSIVE))
    ran = [case for case in cases if case.outcome in (CaseOutcome.PASSED, CaseOutcome.FAILED)]
    silent = sorted(set(assemblies) - {case.assembly for case in ran}) if len(assemblies) > 1 else []
    if len(bad) > allowed_failures:
        sentence = f"{_tally(counts)}, {allowed_failures} may fail. {_told(bad)}"
        return Verdict(NUnitOutcome.FAILED, sentence, counts, bad[:MOST_FAILURES])
    if not ran:
        return Verdict(NUnitOutcome.NO_TESTS, f"no test ran: {_tally(counts)}", counts, bad[:MOST_FAILURES])
    if silent:
        sentence = f"no test of {', '.join(silent)} ran: {_tally(counts)}"
        return Verdict(NUnitOutcome.NO_TESTS, sentence, counts, bad[:MOST_FAILURES])
    if len(ran) < min_tests:
        sentence = f"{len(ran)} tests ran, at least {min_tests} must: {_tally(counts)}"
        return Verdict(NUnitOutcome.TOO_FEW, sentence, counts, bad[:MOST_FAILURES])
    allowed = f". Allowed to fail: {_told(bad)}" if bad else ""
    return Verdict(NUnitOutcome.PASSED, f"{_tally(counts)}{allowed}", counts, bad[:MOST_FAILURES])


def _tally(counts: Counts) -> str:
    parts = {name: getattr(counts, name) for name in ("passed", "failed", "inconclusive", "skipped")}
    shown = ", ".join(f"{number} {name}" for name, number in parts.items() if number or name == "passed")
    return f"of {counts.total} tests {shown}"


def _told(bad: Sequence[Case], most: int = 5) -> str:
    told = [f"{excerpt(case.name, 150)}: {first_line(case)}" for case in bad[:most]]
    more = [f"and {len(bad) - most} more"] if len(bad) > most else []
    return "; ".join([*told, *more])


def first_line(case: Case) -> str:
    """What the case says first, on one line, bounded."""
    if not case.message:
        return case.outcome.value
    # An assertion's own two lines, expected and found, belong together.
    return excerpt(" ".join(line.strip() for line in case.message.splitlines()[:4]), _MESSAGE)


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


def unfinished(report: BoxReport, timeout: float, have_results: bool) -> Verdict | None:
    """Why there is nothing to judge: ended at its deadline, or no results; None when there are results."""
    ended_by_force = report.runner_rc in (124, 137) and report.runner_seconds >= timeout - 1
    console = f". It said last: {excerpt(report.console[-600:], 500)}" if report.console else ""
    if ended_by_force:
        sentence = (
            f"the tests did not end within {format_duration(timeout)} and were ended, their children too{console}"
        )
        return Verdict(NUnitOutcome.TIMED_OUT, sentence)
    if not have_results:
        sentence = f"the runner wrote no results (exit code {report.runner_rc}){console}"
        return Verdict(NUnitOutcome.NO_RESULTS, sentence)
    return None


def judge_results(
    results: Results | Unread, min_tests: int, allowed_failures: int, assemblies: Sequence[str]
) -> Verdict:
    """The gate's verdict; what suites complain of themselves is told with it, and can explain why no test ran."""
    if isinstance(results, Unread):
        return Verdict(NUnitOutcome.BROKEN_RESULTS, results.why)
    verdict = gate(results.cases, min_tests, allowed_failures, assemblies)
    if not results.remarks or verdict.outcome is NUnitOutcome.FAILED:
        return verdict
    remarks = "; ".join(excerpt(remark, 200) for remark in results.remarks[:3])
    return Verdict(verdict.outcome, f"{verdict.sentence}. Also: {remarks}", verdict.counts, verdict.failures)


def run_nunit(
    box: Node,
    run: BoxRun,
    expectation: Expectation,
    *,
    min_tests: int = 1,
    allowed_failures: int = 0,
    stopping: Stopping = NEVER,
) -> NUnitResult:
    """Run the tests on the box and judge them. Raises Unreachable when the way to the box broke, or Stopped."""
    secrets = list(run.secrets.values())
    report = run_on_box(box, run, stopping)
    report = replace(report, console=blot_out(report.console, secrets))
    verdict = ended_early(report)
    if verdict is not None:
        return NUnitResult(verdict, report)
    xml = box.read(report.results_path, limit=RESULTS_LIMIT)
    verdict = unfinished(report, run.timeout, xml is not None) or misaimed(report, run.node, run.served_by, expectation)
    if secrets:
        # A test may have printed them: the box keeps no file in which they can stand.
        box.sh('rm -f "$1/console.log" "$1/results.xml"', report.folder)
    results = without(read_results(xml or b""), secrets)
    verdict = verdict or judge_results(results, min_tests, allowed_failures, run.assemblies)
    return NUnitResult(verdict, report, blot_out_xml(xml or b"", secrets))


def without(results: Results | Unread, secrets: Sequence[str]) -> Results | Unread:
    """The results without the values that were given to the tests, and with messages of 2,000 characters at most."""
    if isinstance(results, Unread):
        return results
    cases = (
        replace(case, name=blot_out(case.name, secrets), message=blot_out(case.message, secrets)[:_LONGEST_MESSAGE])
        for case in results.cases
    )
    return Results(tuple(cases), tuple(blot_out(remark, secrets) for remark in results.remarks))


def blot_out(text: str, secrets: Iterable[str]) -> str:
    """`text` without the values that were given to the tests, should one of them print it."""
    for secret in _worth_hiding(secrets):
        text = text.replace(secret, _BLOT)
    return text


def blot_out_xml(xml: bytes, secrets: Iterable[str]) -> bytes:
    """The same for the results file, as it stands there in UTF-8 or UTF-16, escaped or not."""
    for secret in _worth_hiding(secrets):
        for form in {secret, escape(secret), escape(secret, {'"': "&quot;", "'": "&apos;"})}:
            for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
                xml = xml.replace(form.encode(encoding), _BLOT.encode(encoding))
    return xml


def _worth_hiding(secrets: Iterable[str]) -> list[str]:
    # Longest first, so that no part of a longer one is left over.
    return sorted((secret for secret in secrets if len(secret) >= _LEAST_SECRET), key=len, reverse=True)
