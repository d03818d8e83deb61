# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results in JUnit's XML, as Ant began it and as Maven Surefire, GoogleTest, pytest and many others write it.

Sources: Surefire's surefire-test-report.xsd; GoogleTest's advanced guide, "Generating an XML Report"; what Jenkins'
JUnit plugin reads (jenkins-junit.xsd of its xUnit plugin).
"""

from __future__ import annotations

from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import Case, CaseOutcome, seconds_of
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_format import (
    LONGEST_NAME,
    Attributes,
    ResultsFormat,
    file_of,
    nested,
    with_category,
)

# Elements below a case that say how it ended; Surefire's flaky ones passed when they were run again.
ENDS = {
    "failure": CaseOutcome.FAILED,
    "error": CaseOutcome.FAILED,
    "skipped": CaseOutcome.SKIPPED,
}
# GoogleTest's attributes `status` and `result`; CTest and others write `status` as well. Any other word is a failure.
STATES = {
    **dict.fromkeys(("run", "completed", "passed", "pass", "success", "successful", "ok"), CaseOutcome.PASSED),
    "notrun": CaseOutcome.SKIPPED,
    "suppressed": CaseOutcome.SKIPPED,
    "skipped": CaseOutcome.SKIPPED,
    "disabled": CaseOutcome.SKIPPED,
    "ignored": CaseOutcome.SKIPPED,
    "inconclusive": CaseOutcome.INCONCLUSIVE,
    "failed": CaseOutcome.FAILED,
    "failure": CaseOutcome.FAILED,
    "fail": CaseOutcome.FAILED,
    "error": CaseOutcome.FAILED,
}
# The worst that is said of a case counts.
_WEIGHT = {
    CaseOutcome.PASSED: 0,
    CaseOutcome.SKIPPED: 1,
    CaseOutcome.INCONCLUSIVE: 2,
    CaseOutcome.FAILED: 3,
}
_CATEGORIES = ("category", "tag")


class JUnit(ResultsFormat):
    """Root `testsuites` or `testsuite`."""

    NAME = "JUnit"

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._suites: list[str] = []
        self._case: Attributes | None = None
        self._outcome = CaseOutcome.PASSED
        self._message = self._unknown = ""
        self._categories: tuple[str, ...] = ()
        self._ending = ""

    def start(self, name: str, attributes: Attributes) -> None:
        self.depth += 1
        if name == "testcase":
            if self._case is not None:
                raise nested(name)
            self._case, self._message, self._categories = attributes, "", ()
            self._outcome, self._unknown = _state(attributes)
        elif name in ENDS:
            if self._case is None:
                self._suite_says(name, attributes)
            else:
                self._ends(name, attributes)
        elif name == "property":
            if self._case is not None and attributes.get("name", "").lower() in _CATEGORIES:
                self._categories = with_category(self._categories, attributes.get("value", ""))
        elif name == "testsuite":
            if self._case is not None:
                raise nested(name)
            self._suites.append(attributes.get("name", ""))

    def end(self, name: str) -> None:
        self.depth -= 1
        if name == "testcase":
            self._ended()
        elif name == self._ending:
            self._ending = ""
            self._message = self._message or self._collected()
        elif name == "testsuite":
            self._suites.pop()

    def _suite_says(self, name: str, attributes: Attributes) -> None:
        if ENDS[name] is CaseOutcome.FAILED:
            suite = self._suites[-1] if self._suites else ""
            self._remark(f"suite {suite}: {attributes.get('message') or name}")

    def _ends(self, name: str, attributes: Attributes) -> None:
        if _WEIGHT[ENDS[name]] > _WEIGHT[self._outcome]:
            self._outcome, self._message = ENDS[name], ""
        self._message = self._message or attributes.get("message", "").strip()
        if not self._ending:
            self._ending = name
            self._collect()

    def _ended(self) -> None:
        case = self._case or {}
        self._case = None
        class_name, name = case.get("classname", ""), case.get("name") or "(a test without a name)"
        full = name if not class_name or name.startswith(f"{class_name}.") else f"{class_name}.{name}"
        self._counted()
        self._sink(
            Case(
                self._cleaned(full, LONGEST_NAME),
                self._outcome,
                self._cleaned(self._message or self._unknown),
                file_of(self._suites[0]) if self._suites else "",
                self._categories,
                seconds_of(case.get("time")),
            )
        )


def _state(case: Attributes) -> tuple[CaseOutcome, str]:
    """The worst that its attributes say, and of a word that is not known that it isn't."""
    outcome, message = CaseOutcome.PASSED, ""
    for name in ("status", "result"):
        if told := case.get(name, "").lower():
            found = STATES.get(told, CaseOutcome.FAILED)
            if _WEIGHT[found] > _WEIGHT[outcome]:
                outcome, message = found, "" if told in STATES else f"its {name} {told[:60]!r} is unknown"
    return outcome, message
