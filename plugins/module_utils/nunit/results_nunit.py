# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of NUnit 2.x (root `test-results`) and 3.x (root `test-run`): their cases look alike.

Sources: nunit-console 2.6.4's own output; docs.nunit.org, technical notes, "Test Result XML Format".
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import Case, CaseOutcome, seconds_of
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_format import (
    LONGEST_NAME,
    Attributes,
    ResultsFormat,
    file_of,
    nested,
    with_category,
)

_NAMELESS = "(a test without a name)"
OUTCOMES = {
    "success": CaseOutcome.PASSED,
    "passed": CaseOutcome.PASSED,
    "warning": CaseOutcome.PASSED,
    "failure": CaseOutcome.FAILED,
    "failed": CaseOutcome.FAILED,
    "error": CaseOutcome.FAILED,
    "cancelled": CaseOutcome.FAILED,
    "notrunnable": CaseOutcome.FAILED,
    "inconclusive": CaseOutcome.INCONCLUSIVE,
    "ignored": CaseOutcome.SKIPPED,
    "skipped": CaseOutcome.SKIPPED,
}
# As both generations write them. `Skipped` is not among them: its label may say more.
_USUAL = {name.title(): outcome for name, outcome in OUTCOMES.items() if name not in ("skipped", "ignored")}


@dataclass(slots=True)
class _Suite:
    kind: str
    name: str
    result: str
    assembly: str
    categories: tuple[str, ...]
    message: str = ""
    failed: bool = False
    """Whether one of its cases did."""


class NUnit(ResultsFormat):
    """Both generations: the attributes tell them apart where they differ."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._suite = _Suite("", "", "", "", ())
        self._suites = [self._suite]
        self._case: Attributes | None = None
        self._categories: tuple[str, ...] = ()
        self._block = ""
        self._failure = self._reason = ""
        self._collecting = False

    def start(self, name: str, attributes: Attributes) -> None:
        self.depth += 1
        if name == "test-case":
            if self._case is not None:
                raise nested(name)
            self._case, self._categories = attributes, self._suite.categories
            self._failure = self._reason = ""
        elif name == "test-suite":
            self._opened(attributes)
        elif name in ("failure", "reason"):
            self._block = name
        elif name == "test-run":
            self._cancelled(attributes)
        elif name == "message":
            # Those of `assertions` repeat what `failure` says.
            if self._block and not self._collecting:
                self._collecting = True
                self._collect()
        elif name == "property":
            if attributes.get("name") == "Category":
                self._category(attributes.get("value", ""))
        elif name == "category":
            self._category(attributes.get("name", ""))

    def end(self, name: str) -> None:
        self.depth -= 1
        if name == "test-case":
            self._ended()
        elif name == "message":
            if self._collecting:
                self._collecting = False
                self._told(self._collected())
        elif name in ("failure", "reason"):
            self._block = ""
        elif name == "test-suite":
            self._closed(self._suites.pop())
            self._suite = self._suites[-1]

    def _opened(self, attributes: Attributes) -> None:
        if self._case is not None:
            raise nested("test-suite")
        self._cancelled(attributes)
        outer = self._suite
        kind, name = attributes.get("type", ""), attributes.get("name", "")
        assembly = file_of(name) if kind == "Assembly" else outer.assembly
        self._suite = _Suite(kind, name, attributes.get("result", ""), assembly, outer.categories)
        self._suites.append(self._suite)

    def _cancelled(self, attributes: Attributes) -> None:
        """Of the run or a suite: the cases that it would still have run are not in the file."""
        if "cancelled" in (attributes.get("label", "").lower(), attributes.get("result", "").lower()):
            self.aborted = "it says itself that it was cancelled"

    def _category(self, category: str) -> None:
        if self._case is not None:
            self._categories = with_category(self._categories, category)
        else:
            self._suite.categories = with_category(self._suite.categories, category)

    def _told(self, text: str) -> None:
        if self._case is None:
            # Before the suite's cases in the file, so that these can say why the fixture's set-up failed.
            self._suite.message = self._suite.message or text
        elif self._block == "failure":
            self._failure = self._failure or text
        else:
            self._reason = self._reason or text

    def _ended(self) -> None:
        case = self._case
        if case is None:
            return
        self._case, suite = None, self._suite
        outcome, unknown = _USUAL.get(case.get("result", "")), ""
        if outcome is None:
            outcome, unknown = _outcome(case)
        message = unknown or self._failure or self._reason
        if outcome is CaseOutcome.FAILED:
            suite.failed = True
            if _blames_fixture(case, message):
                message = _with_cause(message, self._suites)
        name = case.get("fullname") or case.get("name") or _NAMELESS
        if self._clean is not None or message or len(name) > LONGEST_NAME:
            name, message = self._cleaned(name, LONGEST_NAME), self._cleaned(message)
        self._counted()
        duration = case.get("duration") or case.get("time")
        self._sink(Case(name, outcome, message, suite.assembly, self._categories, seconds_of(duration)))

    def _closed(self, suite: _Suite) -> None:
        what = f"{suite.kind or 'suite'} {suite.name}"
        broken = suite.result.lower() in ("error", "failed", "failure", "notrunnable", "cancelled")
        # NUnit 3 says this of every suite with a failed case.
        own = suite.message and not suite.message.startswith("One or more child tests had")
        if broken and own:
            self._remark(f"{what}: {suite.message}")
        elif broken and not suite.failed:
            # Observed: nunit-console 2.6.4 says no more of a tear-down that threw.
            self._remark(f"{what} is {suite.result} although none of its cases is")
        # Told once, of the innermost.
        self._suites[-1].failed |= suite.failed or broken


class NUnit2(NUnit):
    """Root `test-results`."""

    NAME = "NUnit 2"


class NUnit3(NUnit):
    """Root `test-run`."""

    NAME = "NUnit 3"


def _outcome(case: Attributes) -> tuple[CaseOutcome, str]:
    told = case.get("result")
    if told is None:
        # NUnit before 2.5 has two truth values instead.
        if "executed" not in case:
            return CaseOutcome.FAILED, "it has no result"
        if case["executed"].lower() != "true":
            return CaseOutcome.SKIPPED, ""
        return (CaseOutcome.PASSED if case.get("success", "").lower() == "true" else CaseOutcome.FAILED), ""
    outcome = OUTCOMES.get(told.lower())
    if outcome is None:
        return CaseOutcome.FAILED, f"its result {told[:60]!r} is unknown"
    if outcome is CaseOutcome.SKIPPED and case.get("label", "").lower() == "invalid":
        return CaseOutcome.FAILED, ""
    return outcome, ""


def _blames_fixture(case: Attributes, message: str) -> bool:
    return case.get("site") == "Parent" or message.startswith(("TestFixtureSetUp failed", "SetUpFixture"))


def _with_cause(message: str, suites: list[_Suite]) -> str:
    cause = next((suite.message for suite in reversed(suites) if suite.message), "")
    return message if not cause or cause in message else f"{message}: {cause}".removeprefix(": ")
