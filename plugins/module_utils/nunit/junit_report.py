# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One JUnit XML of several results files: a suite for each, with the gate's verdict among its cases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.gate import Gate, Quarantined
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.junit_writer import JUnitWriter
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results import read_results
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import (
    Case,
    CaseOutcome,
    Results,
    Unread,
)


@dataclass(frozen=True, slots=True)
class Suite:
    """One node's tests of a service: how they were judged, and their results, which may be missing."""

    name: str
    outcome: str
    sentence: str
    gate: Gate
    """Whose quarantine excuses cases; it is not asked for a verdict."""
    chunks: Iterable[bytes] | None = None
    sha256: str = ""
    problem: str = ""
    """Why there are no results, or none that can be trusted."""


def write_report(file: IO[bytes], name: str, suites: Iterable[Suite]) -> None:
    """Write them all, one after the other, each read as a stream. Raises OSError."""
    writer = JUnitWriter(file, name)
    for suite in suites:
        known = {"outcome": suite.outcome, "results_sha256": suite.sha256}
        writer.begin(suite.name, {key: value for key, value in known.items() if value})
        problem = suite.problem
        if suite.chunks is not None:
            read = report_cases(writer, suite.chunks, suite.gate)
            problem = problem or (read.why if isinstance(read, Unread) else "")
        if problem:
            writer.case(Case(f"tidegate.{suite.name}.results", CaseOutcome.FAILED, problem))
        passed = suite.outcome == "passed"
        outcome = CaseOutcome.PASSED if passed else CaseOutcome.FAILED
        writer.case(Case(f"tidegate.{suite.name}.gate", outcome, suite.sentence))
        writer.end()
    writer.close()


def report_cases(writer: JUnitWriter, chunks: Iterable[bytes], gate: Gate) -> Results | Unread:
    """All cases of a results file into the suite that is open; those that the gate excuses as skipped."""
    return read_results(chunks, lambda case: writer.case(case, excuse_of(gate.excuse(case))))


def excuse_of(entry: Quarantined | None) -> str:
    """Why a case may fail, for people; empty when it may not."""
    return f"in quarantine until {entry.until} ({entry.reason})" if entry else ""
