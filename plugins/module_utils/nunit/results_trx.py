# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Visual Studio's test results (TRX), as vstest and MSTest write them.

Source: vstst.xsd, namespace TeamTest 2010, and vstest's TrxLogger. The definitions, which have the classes and
categories, stand behind the results: these wait for them, in short.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import Case, CaseOutcome, seconds_of
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_format import (
    LONGEST_NAME,
    Attributes,
    Broken,
    ResultsFormat,
    file_of,
    with_category,
)

NAMESPACE = "http://microsoft.com/schemas/VisualStudio/TeamTest/2010"
_RESULTS = frozenset(
    ("UnitTestResult", "TestResult", "GenericTestResult", "ManualTestResult", "WebTestResult", "TestResultAggregation")
)
OUTCOMES = {
    "passed": CaseOutcome.PASSED,
    "warning": CaseOutcome.PASSED,
    "failed": CaseOutcome.FAILED,
    "error": CaseOutcome.FAILED,
    "timeout": CaseOutcome.FAILED,
    "aborted": CaseOutcome.FAILED,
    "passedbutrunaborted": CaseOutcome.FAILED,
    "notrunnable": CaseOutcome.FAILED,
    "disconnected": CaseOutcome.FAILED,
    "inprogress": CaseOutcome.FAILED,
    "pending": CaseOutcome.FAILED,
    "inconclusive": CaseOutcome.INCONCLUSIVE,
    "completed": CaseOutcome.INCONCLUSIVE,
    "notexecuted": CaseOutcome.SKIPPED,
}
_ABORTED = frozenset(("aborted", "timeout", "disconnected", "inprogress", "pending", "passedbutrunaborted"))
# TrxLogger has none of these words for a test host that crashed, or was ended at its time limit: then it says of the
# whole run that it failed, though no test of the file did, and tells why among the run's errors (vstest issue 2506).
_FAILED = frozenset(("failed", "error"))
_SAYS_ABORTED = re.compile(r"\btest run (?:was )?aborted|\baborting test run|\bhost process crashed", re.IGNORECASE)


@dataclass(slots=True)
class _Result:
    test: str
    name: str
    outcome: CaseOutcome
    seconds: float
    message: str = ""
    inner: int = 0
    inner_failed: bool = False


@dataclass(slots=True)
class _Definition:
    assembly: str
    class_name: str = ""
    categories: tuple[str, ...] = ()


class Trx(ResultsFormat):
    """Root `TestRun`."""

    NAME = "TRX"

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._open: list[_Result] = []
        self._read: list[_Result] = []
        self._definitions: dict[str, _Definition] = {}
        self._definition: _Definition | None = None
        self._block = self._summary = ""
        self._collecting = self._says_aborted = False

    def start(self, name: str, attributes: Attributes) -> None:
        self.depth += 1
        if name in _RESULTS:
            self._open.append(_result(attributes))
        elif name in ("ErrorInfo", "RunInfo"):
            self._block = name if name == "ErrorInfo" or attributes.get("outcome") in ("Error", "Aborted") else ""
        elif name in ("Message", "Text"):
            if self._block and not self._collecting:
                self._collecting = True
                self._collect()
        elif name == "UnitTest":
            self._definition = _Definition(file_of(attributes.get("storage", "")))
            self._definitions[attributes.get("id", "")] = self._definition
        elif name == "TestMethod":
            self._method(attributes)
        elif name == "TestCategoryItem":
            if self._definition is not None:
                category = attributes.get("TestCategory", "")
                self._definition.categories = with_category(self._definition.categories, category)
        elif name == "ResultSummary":
            self._summary = attributes.get("outcome", "")
        elif name == "TestRun":
            _require_known(attributes)

    def end(self, name: str) -> None:
        self.depth -= 1
        if name in _RESULTS:
            self._ended(self._open.pop())
        elif name in ("Message", "Text"):
            if self._collecting:
                self._collecting = False
                self._told(self._collected())
        elif name in ("ErrorInfo", "RunInfo"):
            self._block = ""
        elif name == "UnitTest":
            self._definition = None
        elif name == "TestRun":
            self.aborted = self._ended_early()
            for result in self._read:
                self._sink(self._case(result))

    def _ended_early(self) -> str:
        """Why the results are not all that there should be."""
        summary = excerpt(self._summary, 40)
        if summary.lower() in _ABORTED:
            return f"its summary says {summary}"
        if self._says_aborted:
            return "it says so itself"
        none_failed = all(result.outcome is not CaseOutcome.FAILED for result in self._read)
        return f"its summary says {summary} and no test failed" if summary.lower() in _FAILED and none_failed else ""

    def _method(self, attributes: Attributes) -> None:
        if self._definition is not None:
            # MSTest has `Namespace.Class, Assembly, Version=…` here; TrxLogger writes `storage` in small letters.
            self._definition.class_name = attributes.get("className", "").partition(",")[0].strip()
            self._definition.assembly = file_of(attributes.get("codeBase", "")) or self._definition.assembly

    def _told(self, text: str) -> None:
        if self._block == "RunInfo":
            self._says_aborted |= bool(_SAYS_ABORTED.search(text))
            self._remark(text)
        elif self._open:
            result = self._open[-1]
            result.message = result.message or self._cleaned(text)

    def _ended(self, result: _Result) -> None:
        failed = result.outcome is CaseOutcome.FAILED
        if self._open:
            self._open[-1].inner += 1
            self._open[-1].inner_failed |= failed or result.inner_failed
        # Of a test with rows the rows count, unless it failed and none of them did.
        if not result.inner or (failed and not result.inner_failed):
            self._counted()
            self._read.append(result)

    def _case(self, result: _Result) -> Case:
        definition = self._definitions.get(result.test) or _Definition("")
        class_name = definition.class_name
        full = (
            result.name if not class_name or result.name.startswith(f"{class_name}.") else f"{class_name}.{result.name}"
        )
        return Case(
            self._cleaned(full, LONGEST_NAME),
            result.outcome,
            result.message,
            definition.assembly,
            definition.categories,
            result.seconds,
        )


def _result(attributes: Attributes) -> _Result:
    # TrxLogger leaves an outcome of Error out.
    told = attributes.get("outcome", "Error")
    outcome = OUTCOMES.get(told.lower())
    message = "" if outcome is not None else f"its outcome {told[:60]!r} is unknown"
    name = attributes.get("testName", "") or "(a test without a name)"
    return _Result(
        attributes.get("testId", ""),
        name[: 2 * LONGEST_NAME],
        outcome or CaseOutcome.FAILED,
        seconds_of(attributes.get("duration")),
        message,
    )


def _require_known(attributes: Attributes) -> None:
    told = attributes.get("xmlns", "")
    if told != NAMESPACE:
        raise Broken(f"the file is XML but no TRX of TeamTest 2010: its namespace is {excerpt(told, 100) or 'missing'}")
