# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate over tests as options of an action, and its verdict as a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.case_text import first_line
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.gate import (
    NUnitOutcome,
    Quarantined,
    Rules,
    Verdict,
)

REMEDIES = {
    NUnitOutcome.FAILED: "Fix what fails, or the tests",
    NUnitOutcome.MISSING: (
        "Look why the tests of required_tests did not run (categories must let them), or take them off that list"
    ),
    NUnitOutcome.TOO_FEW: "Look why tests are missing, or lower min_tests, then run the same again",
    NUnitOutcome.NO_TESTS: "Look at what the runner said and at categories: no test means no proof",
    NUnitOutcome.BROKEN_RESULTS: "Look at the results file and at what the runner said, then run the same again",
    NUnitOutcome.ABORTED: "Look at what the runner said last, then run the same again",
}


def rules(args: Mapping[str, Any], assemblies: Sequence[str] = ()) -> Rules:
    """The gate's rules from the options. Raises BadInput, which names the option."""
    for name, least in (("min_tests", 1), ("allowed_failures", 0)):
        if args[name] < least:
            raise BadInput(f"{name} is {args[name]}", where=name, remedy=f"Give {least} or more")
    excused = tuple(_quarantined(entry) for entry in args["quarantine"])
    if len({entry.test for entry in excused}) < len(excused):
        raise BadInput("a test is in quarantine twice", where="quarantine", remedy="Name each test once")
    twice = {entry.test for entry in excused} & set(args["required_tests"])
    if twice:
        raise BadInput(
            f"{min(twice)} is in quarantine and must pass", where="required_tests", remedy="Name it in one of the two"
        )
    return Rules(
        min_tests=args["min_tests"],
        allowed_failures=args["allowed_failures"],
        required=tuple(args["required_tests"]),
        include=tuple(args["categories"]["include"]),
        exclude=tuple(args["categories"]["exclude"]),
        quarantine=excused,
        assemblies=tuple(assemblies),
    )


def _quarantined(entry: Mapping[str, str]) -> Quarantined:
    try:
        return Quarantined(entry["test"], date.fromisoformat(entry["until"]), entry["reason"])
    except ValueError:
        raise BadInput(
            f"{entry['until'][:60]!r} is not a day", where="quarantine.until", remedy="Write it like 2026-12-31"
        ) from None


def numbers(verdict: Verdict) -> dict[str, Any]:
    """What a result tells of the verdict beside its outcome and sentence."""
    counts = verdict.counts
    return {
        "total": counts.total,
        "passed": counts.passed,
        "failed_tests": counts.failed,
        "inconclusive": counts.inconclusive,
        "skipped_tests": counts.skipped,
        "left_out": counts.left_out,
        "failures": [
            {"name": case.name, "outcome": case.outcome.value, "message": case.message} for case in verdict.failures
        ],
        # These three are recorded, and an event has 64 KiB, whatever the tests are called.
        "failing": [f"{_cut(case.name, 150)}: {_cut(first_line(case), 300)}" for case in verdict.failures],
        "quarantined": [_cut(case.name, 150) for case in verdict.quarantined[:10]],
        "expired_quarantine": [
            f"{_cut(entry.test, 150)} on {entry.until}: {_cut(entry.reason, 100)}" for entry in verdict.expired[:10]
        ],
    }


def _cut(text: str, limit: int) -> str:
    # Again, since what is shown escaped is longer.
    return excerpt(text, limit)[:limit]
