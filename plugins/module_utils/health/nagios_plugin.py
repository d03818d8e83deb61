# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Nagios plugin says: exit code, output, long output and performance data.

After the Monitoring Plugins Development Guidelines (https://www.monitoring-plugins.org/doc/guidelines.html) and the
Nagios Plugin API (https://assets.nagios.com/downloads/nagioscore/docs/nagioscore/4/en/pluginapi.html).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput

# A plugin may say more; nobody needs it.
OUTPUT_LIMIT = 64 * 1024
_MOST_VALUES = 200
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?"
# 'label'=value[UOM];[warn];[crit];[min];[max] - a quote in a label is doubled, and U is a value that isn't known.
_PERFDATA = re.compile(rf"\s*(?:'((?:[^']|'')+)'|([^\s='][^\s=]*))=(U|{_NUMBER})([^\s;\d.]*)(?:;\S*)?(?=\s|$)")
_RANGE = re.compile(rf"(@?)(?:(~|{_NUMBER}):)?({_NUMBER})?")


class State(StrEnum):
    """A plugin's exit code, as people call it."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


STATES = (State.OK, State.WARNING, State.CRITICAL, State.UNKNOWN)
_NO_EXIT_CODES_OF_ITS_OWN = {126: "it can't be executed", 127: "there is no such program"}


@dataclass(frozen=True, slots=True)
class Range:
    """A threshold range: an alert is raised outside of start..end, or with `inside` within them, both included."""

    text: str
    start: float = 0.0
    end: float = math.inf
    inside: bool = False

    def alerts(self, value: float) -> bool:
        """Whether that value is one to raise an alert for."""
        return (self.start <= value <= self.end) is self.inside


@dataclass(frozen=True, slots=True)
class Measure:
    """One value of the performance data; None where the plugin could not tell it."""

    label: str
    value: float | None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class PluginAnswer:
    """How a plugin ended. `state` is None for an exit code that no plugin has; `why` says what it may mean."""

    rc: int
    state: State | None
    text: str = ""
    long_text: str = ""
    measures: tuple[Measure, ...] = ()
    why: str = ""

    def measure(self, label: str) -> Measure | None:
        """The first measure of that label."""
        return next((measure for measure in self.measures if measure.label == label), None)


def parse_range(text: str) -> Range:
    """`10` (alert outside 0..10), `10:`, `~:10`, `10:20`, `@10:20` (alert inside). Raises BadInput."""
    match = _RANGE.fullmatch(text.strip())
    start, end = (match[2], match[3]) if match else (None, None)
    if match is None or (start is None and end is None):
        raise _no_range(text, "it is none")
    low = -math.inf if start == "~" else float(start or 0.0)
    high = math.inf if end is None else float(end)
    if low > high:
        raise _no_range(text, "it ends before it begins")
    return Range(text.strip(), low, high, bool(match[1]))


def read_answer(rc: int, stdout: bytes, stderr: bytes = b"") -> PluginAnswer:
    """The answer from exit code and output; standard error stands in when a plugin said nothing else.

    The first line is `text | performance data`; in the lines below, what follows the next `|` is more of the latter.
    """
    output = stdout[:OUTPUT_LIMIT].decode(errors="backslashreplace")
    first, _, below = output.strip().partition("\n")
    text, _, perfdata = first.partition("|")
    long_text, _, more = below.partition("|")
    text = text.strip() or stderr[:OUTPUT_LIMIT].decode(errors="backslashreplace").strip()
    state = STATES[rc] if 0 <= rc < len(STATES) else None
    why = "" if state else _NO_EXIT_CODES_OF_ITS_OWN.get(rc, "no plugin ends with it")
    return PluginAnswer(rc, state, text, long_text.strip(), parse_perfdata(f"{perfdata} {more}"), why)


def parse_perfdata(text: str) -> tuple[Measure, ...]:
    """The measures in `'label'=value[UOM];[warn];[crit];[min];[max] …`; what is none ends them."""
    found: list[Measure] = []
    at = 0
    while len(found) < _MOST_VALUES and (match := _PERFDATA.match(text, at)):
        quoted, bare, value, unit = match.groups()
        label = bare if quoted is None else quoted.replace("''", "'")
        found.append(Measure(label, None if value == "U" else float(value), unit))
        at = match.end()
    return tuple(found)


def _no_range(text: str, why: str) -> BadInput:
    return BadInput(
        f"{text[:60]!r} is not a threshold range: {why}",
        where="perfdata",
        remedy="Write it as Nagios plugins take them: 10, 10:, ~:10, 10:20 or @10:20",
    )
