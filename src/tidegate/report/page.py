"""The report as one HTML file that needs nothing else: no script, no style sheet, no picture beside it.

Jenkins serves archived files with the policy `sandbox; default-src 'none'; img-src 'self'; style-src 'self';`
(https://www.jenkins.io/doc/book/security/configuring-content-security-policy/), which allows neither `<style>` nor a
`style` attribute: colours and widths are HTML's own attributes here, and drawings have presentation attributes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from tidegate.report import timeline, wording
from tidegate.report.customers import Felt
from tidegate.report.findings import NodeTests, PuppetRun
from tidegate.report.model import GATES, MAX_ROWS, Gate, Report
from tidegate.report.spells import Attempt, Phase

_MOST_ATTEMPTS = 6
_MOST_CHANGES = 25
_MOST_GROUPS = 20
# State: the strong colour, the pale one, the sign. The strong ones have a contrast of 4.5 and more on white and pale.
_STATES = {
    "done": ("#1b7a3d", "#e6f4ea", "✓"),
    "rolled_back": ("#1f5fa8", "#e8f1fb", "↩"),
    "held": ("#b3261e", "#fdecea", "‖"),
    "stopped": ("#8a5a00", "#fff4e0", "■"),
    "superseded": ("#57606a", "#eff1f3", "»"),
    "open": ("#1f5fa8", "#e8f1fb", "▸"),
}
_FELT = {
    Felt.NOTHING: ("#1b7a3d", "✓"),
    Felt.SOME_FAILED: ("#b3261e", "✕"),
    Felt.SESSIONS_CUT: ("#b3261e", "✕"),
    Felt.TOO_FEW: ("#57606a", "?"),
    Felt.PARTLY_KNOWN: ("#8a5a00", "?"),
    Felt.NOT_SAMPLED: ("#57606a", "?"),
}
_GATES = {"release": "release", "health": "health", "nunit": "tests", "warmup": "warm-up", "observe": "observed"}
# With soft hyphens, for a phone.
_TIMES = {
    "wall": "wall",
    "drain": "drain",
    "puppet": "Pup\u00adpet",
    "reboot": "re\u00adboot",
    "tests": "tests",
    "warmup": "warm-up",
    "observation": "ob\u00adserved",
}


class Change(NamedTuple):
    """Puppet runs that changed the same resources."""

    runs: Sequence[PuppetRun]
    names: Sequence[str]
    more: int


def render(report: Report) -> str:
    """The whole file. Everything from outside is escaped, by the template's autoescape and by markupsafe."""
    colour, pale, sign = _STATES.get(report.state, _STATES["open"])
    felt = _FELT[report.customers.felt] if report.customers else ("#57606a", "")
    return _template().render(
        report=report,
        colour=colour,
        pale=pale,
        sign=sign,
        felt=felt,
        attempts=report.attempts[-_MOST_ATTEMPTS:],
        earlier=max(0, len(report.attempts) - _MOST_ATTEMPTS),
        gates=report.gates[-MAX_ROWS:],
        gate_names=[(str(step), _GATES[step]) for step in GATES if any(step in gate.outcomes for gate in report.gates)],
        gates_passed=_passed(report.gates),
        runs=_runs(report),
        puppet=report.puppet[-MAX_ROWS:],
        changes=_changes(report.puppet),
        times=_times(report),
        max_rows=MAX_ROWS,
        timeline=timeline,
        wording=wording,
        Phase=Phase,
        moved=_moved,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("tidegate.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "soft": wording.soft,
        "plain": wording.plain,
        "seconds": wording.seconds,
        "elapsed": wording.elapsed,
        "moment": wording.moment,
        "list_of_left": lambda name: (name, "left"),
        "list_of_right": lambda name: (name, "right"),
        "count": lambda value: f"{value:,}",
    }
    return environment.get_template("report.html.j2")


def _passed(gates: Sequence[Gate]) -> str:
    """`6 nodes, 24 of 25 passed`, over all gates of the last attempt."""
    if not gates:
        return ""
    last = gates[-1].attempt
    said = Counter(
        outcome in ("ok", "changed", "unchanged")
        for gate in gates
        if gate.attempt == last
        for outcome in gate.outcomes.values()
    )
    return f"{said[True]} of {said[True] + said[False]} passed"


def _runs(report: Report) -> list[tuple[int, int, int, int]]:
    """By attempt: test runs, those that passed, and how many tests they had."""
    told = []
    for attempt, each in groupby(sorted(report.tests.runs, key=_attempt), key=_attempt):
        own = list(each)
        told.append((attempt, len(own), sum(run.passed for run in own), sum(run.total for run in own)))
    return told


def _attempt(run: NodeTests) -> int:
    return run.attempt


def _changes(runs: Sequence[PuppetRun]) -> list[Change]:
    """Runs by what they changed: nodes that are alike change alike."""
    groups: dict[tuple[str, ...], list[PuppetRun]] = {}
    for run in runs:
        if run.changed:
            groups.setdefault(tuple(_without_node(name, run.node) for name in run.changed), []).append(run)
    return [
        Change(each, names[:_MOST_CHANGES], max(0, (each[0].changed_count or len(names)) - _MOST_CHANGES))
        for names, each in list(groups.items())[:_MOST_GROUPS]
    ]


def _without_node(name: str, node: str) -> str:
    """A resource's name in which the node's own is left open, so that nodes can be told together."""
    return name.replace(f"/{node}/", "/<node>/")


def _times(report: Report) -> list[tuple[str, str]]:
    """The columns of the timings that any wave has."""
    return [
        (f"{key}_s", name)
        for key, name in _TIMES.items()
        if key in ("wall", "drain", "puppet", "tests") or any(wave.get(f"{key}_s") for wave in report.waves)
    ]


def _moved(attempt: Attempt) -> list[dict[str, Any]]:
    """The picture's numbers: for each node that moved, when it left and joined and what it did meanwhile."""
    rows = []
    for track in attempt.tracks:
        if not track.moved:
            continue
        left = next((spell.begin for spell in track.spells if not spell.phase.reached), None)
        joined = track.spells[-1].begin if track.last.reached and len(track.spells) > 1 else None
        rows.append(
            {
                "node": track.node,
                "wave": track.wave,
                "left": None if left is None else (left - attempt.begin).total_seconds(),
                "joined": None if joined is None else (joined - attempt.begin).total_seconds(),
                "draining": track.seconds(Phase.DRAINING),
                "deploying": track.seconds(Phase.DEPLOYING),
                "testing": track.seconds(Phase.TESTING),
                "ending": timeline.ending(track),
                "wrong": bool(track.marks),
            }
        )
    return rows[:MAX_ROWS]
