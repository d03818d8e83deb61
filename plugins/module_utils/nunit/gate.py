# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate over test cases: what counts as what, and the verdict with its reasons. Nothing here reads or asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.case_text import (
    SHOWN,
    first_line,
    listed,
    told_of,
    without_arguments,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import (
    Case,
    CaseOutcome,
    Results,
    Unread,
)

MOST_FAILURES = 20
_BAD = (CaseOutcome.FAILED, CaseOutcome.INCONCLUSIVE)
_RAN = (CaseOutcome.PASSED, CaseOutcome.FAILED)


class NUnitOutcome(StrEnum):
    """How a run ended; PASSED alone is evidence that the node may join."""

    PASSED = "passed"
    FAILED = "failed"
    MISSING = "missing"
    """A test that must pass was skipped, came to no conclusion or is not in the results."""
    TOO_FEW = "too_few"
    NO_TESTS = "no_tests"
    NO_RESULTS = "no_results"
    BROKEN_RESULTS = "broken_results"
    ABORTED = "aborted"
    """The results say themselves that the run was ended before its end."""
    TIMED_OUT = "timed_out"
    WRONG_NODE = "wrong_node"
    """Another node answered, or nobody who says who it is: what the tests showed is about somebody else."""
    WRONG_RELEASE = "wrong_release"
    """The right node answered, before or after the tests, with another release or not as expected."""
    STRAYED = "strayed"
    """HAProxy's log has a request of the tests that another node served, or none that the aimed one did."""
    UNPROVED = "unproved"
    """HAProxy's log had to say who served the tests, and did not."""
    REFUSED_ARTIFACT = "refused_artifact"
    BUSY = "busy"
    BOX_FAILED = "box_failed"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A test that may fail up to and including a day, and why."""

    test: str
    until: date
    reason: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What must hold of the cases.

    A test is named in full, as the results have it; without its arguments all its cases are meant.
    """

    min_tests: int = 1
    allowed_failures: int = 0
    required: tuple[str, ...] = ()
    """Tests that must have passed, all their cases, whatever `allowed_failures` and the categories say.

    One that the categories keep from running is missing: required means that it ran.
    """
    include: tuple[str, ...] = ()
    """If there are any, only cases of one of these categories count."""
    exclude: tuple[str, ...] = ()
    """Cases of one of these categories don't count, whatever `include` says."""
    quarantine: tuple[Quarantined, ...] = ()
    assemblies: tuple[str, ...] = ()
    """Of several, each must have run at least one test."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Cases by what they count as; all but `total` add up to it."""

    total: int = 0
    passed: int = 0
    failed: int = 0
    inconclusive: int = 0
    skipped: int = 0
    quarantined: int = 0
    """Failed or inconclusive, and in quarantine today."""
    left_out: int = 0
    """Left out by their categories."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says, in a sentence for people; `failures` are the cases that did not pass, bounded."""

    outcome: NUnitOutcome
    sentence: str
    counts: Counts = Counts()
    failures: tuple[Case, ...] = ()
    quarantined: tuple[Case, ...] = ()
    """Cases that did not pass and were let through by the quarantine, bounded."""
    expired: tuple[Quarantined, ...] = ()
    """Entries of the quarantine whose day is over: their tests count again."""


class Gate:
    """Takes cases one by one, in memory that does not grow with them, and judges them at the end."""

    def __init__(self, rules: Rules, today: date) -> None:
        self._rules = rules
        self._include, self._exclude = frozenset(rules.include), frozenset(rules.exclude)
        self._excused = {entry.test: entry for entry in rules.quarantine if entry.until >= today}
        self._expired = tuple(entry for entry in rules.quarantine if entry.until < today)
        self._required: dict[str, Case | None] = dict.fromkeys(rules.required)
        self._chosen = bool(self._include or self._exclude)
        self._counts = dict.fromkeys(Counts.__slots__, 0)
        self._failures: list[Case] = []
        self._quarantined: list[Case] = []
        self._assemblies: set[str] = set()

    def see(self, case: Case) -> None:
        """One more case."""
        counts, outcome = self._counts, case.outcome
        counts["total"] += 1
        if self._required:
            self._look_whether_required(case)
        if self._chosen and not self._counted(case):
            counts["left_out"] += 1
            return
        if outcome in _BAD:
            if self.excuse(case):
                counts["quarantined"] += 1
                _keep(self._quarantined, case)
                return
            _keep(self._failures, case)
        counts[outcome] += 1
        if outcome in _RAN and case.assembly not in self._assemblies:
            self._assemblies.add(case.assembly)

    def excuse(self, case: Case) -> Quarantined | None:
        """The entry of the quarantine that lets this case not pass."""
        if case.outcome not in _BAD or not self._excused:
            return None
        return self._excused.get(case.name) or self._excused.get(without_arguments(case.name))

    def verdict(self, results: Results | Unread) -> Verdict:
        """The verdict, when the file was read; what suites complain of themselves is told with it."""
        if isinstance(results, Unread):
            return Verdict(NUnitOutcome.BROKEN_RESULTS, results.why)
        counts = Counts(**self._counts)
        outcome, sentence = self._judged(counts)
        if results.aborted and outcome is not NUnitOutcome.FAILED:
            outcome, sentence = NUnitOutcome.ABORTED, f"the run was ended early, {results.aborted}: {_tally(counts)}"
        remarks = [excerpt(remark, 200) for remark in results.remarks[:3]]
        if remarks and outcome is not NUnitOutcome.FAILED:
            sentence = f"{sentence}. Also: {'; '.join(remarks)}"
        told = tuple(self._failures)
        return Verdict(
            outcome, sentence + self._about_quarantine(), counts, told, tuple(self._quarantined), self._expired
        )

    def _judged(self, counts: Counts) -> tuple[NUnitOutcome, str]:
        """The first that does not hold, worst first."""
        rules, tally = self._rules, _tally(counts)
        bad, ran = counts.failed + counts.inconclusive, counts.passed + counts.failed
        not_passed = {test: case for test, case in self._required.items() if not _passed(case)}
        failed = [test for test, case in not_passed.items() if case and case.outcome is CaseOutcome.FAILED]
        # TrxLogger writes them in small letters.
        ran_of = {name.casefold() for name in self._assemblies}
        silent = [name for name in sorted(set(rules.assemblies)) if name.casefold() not in ran_of]
        if bad > rules.allowed_failures:
            told = f"{tally}, {rules.allowed_failures} may fail. {told_of(self._failures, bad)}"
            return NUnitOutcome.FAILED, told
        if failed:
            told = "; ".join(f"{excerpt(test, 150)}: {_first_line_of(not_passed[test])}" for test in failed[:SHOWN])
            return NUnitOutcome.FAILED, f"a test that must pass failed: {told}. {tally.capitalize()}"
        if not ran:
            return NUnitOutcome.NO_TESTS, f"no test ran: {tally}"
        if silent and len(rules.assemblies) > 1:
            return NUnitOutcome.NO_TESTS, f"no test of {', '.join(silent)} ran: {tally}"
        if not_passed:
            told = ", ".join(f"{excerpt(test, 150)} ({_state(case)})" for test, case in [*not_passed.items()][:SHOWN])
            left_out = self._chosen and None in not_passed.values()
            why = ". The categories may leave out what is not there" if left_out else ""
            return NUnitOutcome.MISSING, f"tests that must pass did not: {told}{why}. {tally.capitalize()}"
        if ran < rules.min_tests:
            return NUnitOutcome.TOO_FEW, f"{ran} tests ran, at least {rules.min_tests} must: {tally}"
        return NUnitOutcome.PASSED, f"{tally}. Allowed to fail: {told_of(self._failures, bad)}" if bad else tally

    def _about_quarantine(self) -> str:
        told = ""
        if self._quarantined:
            names = [excerpt(case.name, 150) for case in self._quarantined[:SHOWN]]
            told += f". In quarantine and not passed: {listed(names, self._counts['quarantined'])}"
        if self._expired:
            shown = [
                f"{excerpt(entry.test, 150)} on {entry.until} ({excerpt(entry.reason, 100)})"
                for entry in self._expired[:SHOWN]
            ]
            told += f". The quarantine is over of {listed(shown, len(self._expired))}"
        return told

    def _counted(self, case: Case) -> bool:
        if self._exclude and not self._exclude.isdisjoint(case.categories):
            return False
        return not self._include or not self._include.isdisjoint(case.categories)

    def _look_whether_required(self, case: Case) -> None:
        for name in {case.name, without_arguments(case.name)} & self._required.keys():
            seen = self._required[name]
            # The worst of a test's cases stands for it.
            if seen is None or (_passed(seen) and not _passed(case)) or case.outcome is CaseOutcome.FAILED:
                self._required[name] = case


def gate(cases: Iterable[Case], rules: Rules, today: date, results: Results | Unread | None = None) -> Verdict:
    """The verdict over these cases, from the cases alone.

    Ignored cases count for nothing, inconclusive ones as not passed. `min_tests` is about cases that passed or failed.
    `today` decides which of the quarantine holds.
    """
    judge = Gate(rules, today)
    for case in cases:
        judge.see(case)
    return judge.verdict(results or Results("", 0))


def _keep(kept: list[Case], case: Case) -> None:
    if len(kept) < MOST_FAILURES:
        kept.append(case)


def _passed(case: Case | None) -> bool:
    return case is not None and case.outcome is CaseOutcome.PASSED


def _state(case: Case | None) -> str:
    return "not in the results" if case is None else case.outcome.value


def _first_line_of(case: Case | None) -> str:
    return "" if case is None else first_line(case)


def _tally(counts: Counts) -> str:
    parts = {name: getattr(counts, name) for name in Counts.__slots__ if name != "total"}
    shown = [f"{number} {name.replace('_', ' ')}" for name, number in parts.items() if number or name == "passed"]
    return f"of {counts.total} tests {', '.join(shown)}"
