# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations and shares as people write them: the only parser of each."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)%")
_MAX_SECONDS = 7 * 86400.0


def parse_duration(text: str) -> float:
    """Seconds in `30s`, `2m`, `1h30m` or `200ms`.

    A bare number is refused, since nobody knows its unit. Raises ValueError; more than seven days is one.
    """
    compact = str(text).strip()
    if not _DURATION.fullmatch(compact):
        raise ValueError(f"{text!r} is not a duration; write a number with a unit, such as 200ms, 30s, 2m or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(compact))
    if seconds > _MAX_SECONDS:
        raise ValueError(f"{text!r} is longer than seven days")
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest usual form: `200ms`, `3.2s`, `2m`, `1h30m`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)


@dataclass(frozen=True, slots=True)
class Share:
    """A number of nodes: a count (`2`) or a share of all configured ones (`25%`)."""

    amount: float
    percent: bool

    @classmethod
    def parse(cls, value: str | int) -> Share:
        """Read `25%` or a count of 0 or more. Raises ValueError."""
        if isinstance(value, bool):
            raise ValueError(f"{value!r} is neither a count nor a share such as 25%")
        if isinstance(value, int) or str(value).strip().isdecimal():
            count = int(value)
            if not 0 <= count <= 100_000:
                raise ValueError(f"{value!r} is not a count of nodes between 0 and 100000")
            return cls(float(count), percent=False)
        match = _SHARE.fullmatch(str(value).strip())
        if not match or float(match[1]) > 100:
            raise ValueError(f"{value!r} is neither a count of nodes nor a share from 0% to 100%")
        return cls(float(match[1]), percent=True)

    def at_least(self, total: int) -> int:
        """How many nodes of `total` this is when it is a floor: rounded up, so that 60% of 6 is 4."""
        return math.ceil(round(self.amount * total / 100, 9)) if self.percent else int(self.amount)

    def at_most(self, total: int) -> int:
        """How many nodes of `total` this is when it is a ceiling: rounded down, so that 25% of 6 is 1."""
        return math.floor(round(self.amount * total / 100, 9)) if self.percent else int(self.amount)

    def __str__(self) -> str:
        return f"{self.amount:g}%" if self.percent else f"{int(self.amount)}"


def counted(number: int, noun: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
