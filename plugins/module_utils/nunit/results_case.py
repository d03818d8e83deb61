# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One test case as all formats of test results have it, and what a whole file of them says."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

_CLOCK = re.compile(r"(?:(\d{1,4})\.)?(\d{1,3}):(\d{1,2}):(\d{1,2}(?:\.\d{1,9})?)")


class CaseOutcome(StrEnum):
    """How one test ended, whatever wrote it down."""

    PASSED = "passed"
    FAILED = "failed"
    """Failed, threw, timed out, could not be run, or sits in a fixture whose set-up failed."""
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    """Ignored, explicit, or left out by the runner's filter."""


class Case(NamedTuple):
    """One test case; a parameterised test has one for each set of arguments. A tuple: there are 100,000 of them."""

    name: str
    """In full, with namespace and class."""
    outcome: CaseOutcome
    message: str = ""
    assembly: str = ""
    categories: tuple[str, ...] = ()
    """Its own and those of the suites around it."""
    seconds: float = 0.0


# Takes each case as soon as it is read.
Sink = Callable[[Case], object]
# Takes secrets out of a text.
Clean = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Results:
    """A file that was read to its end: its format, what suites complain about themselves, whether the run was ended."""

    format: str
    cases: int
    remarks: tuple[str, ...] = ()
    """Tear-downs that failed, assemblies that could not be loaded."""
    aborted: str = ""
    """Why the file itself says that the run did not come to its end."""


@dataclass(frozen=True, slots=True)
class Unread:
    """The file holds no results that can be trusted, and why."""

    why: str


def seconds_of(text: str | None) -> float:
    """A duration as the formats write it: `0.012`, `1,234.5` or `00:00:01.5`; 0 for what is none."""
    if not text:
        return 0.0
    try:
        told = float(text)
    except ValueError:
        told = _written_otherwise(text)
    return told if 0.0 < told < math.inf else 0.0


def _written_otherwise(text: str) -> float:
    clock = _CLOCK.fullmatch(text)
    if clock:
        days, hours, minutes, seconds = clock.groups()
        return int(days or 0) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return 0.0
