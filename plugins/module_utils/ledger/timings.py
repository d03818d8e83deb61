# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each wave's steps took by their own clocks, and what Tidegate added, told from the deployment's events.

An event's `own_s` is the step's own time: a drain from its first command to no sessions, Puppet's process on the node,
NUnit's runner, the warm-up's rounds. All nodes of a wave wait for the slowest at each step, as Ansible's linear
strategy has it, so the sum of the slowest is what the wave would have taken without us: its critical path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.hold import why_held

# The steps whose time is not ours, by the name that they have in the answer.
OWN = {
    Step.LEAVE: "drain",
    Step.PUPPET: "puppet",
    Step.REBOOT: "reboot",
    Step.NUNIT: "tests",
    Step.WARMUP: "warmup",
    Step.OBSERVE: "observation",
}
# Waits that are part of what Tidegate adds: it asks for the freeze and for these proofs, and for a safe join.
WAITS = {
    Step.FREEZE: "freeze",
    Step.THAW: "freeze",
    Step.RELEASE: "health",
    Step.HEALTH: "health",
    Step.JOIN: "join",
}
_ALWAYS = ("drain", "puppet", "tests", "warmup")


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveTimes:
    """One wave in one attempt; all times in seconds. `outcome`: joined, held, stopped, or cut_off when nobody told."""

    attempt: int
    wave: int
    site: str
    nodes: tuple[str, ...]
    outcome: str
    wall_s: float
    own_s: dict[str, float]
    slowest: dict[str, str] = field(default_factory=dict)
    waits_s: dict[str, float] = field(default_factory=dict)

    @property
    def tidegate_added_s(self) -> float:
        """Wall time less the critical path."""
        return round(max(0.0, self.wall_s - sum(self.own_s.values())), 1)

    def as_dict(self) -> dict[str, Any]:
        """As results and summary.json have it."""
        told = asdict(self)
        own = told.pop("own_s")
        return told | {"nodes": list(self.nodes)} | {f"{name}_s": seconds for name, seconds in own.items()} | {
            "tidegate_added_s": self.tidegate_added_s
        }  # fmt: skip


def timings(events: Sequence[Event]) -> list[WaveTimes]:
    """The times of every wave that began, in order, for all attempts. `events`: one deployment's, oldest first."""
    return [_wave(events[at:]) for at, event in enumerate(events) if _is(event, "begun")]


def _is(event: Event, outcome: str) -> bool:
    return event.step is Step.WAVE and event.details.get("outcome") == outcome


def _wave(events: Sequence[Event]) -> WaveTimes:
    """The wave that begins with the first of these events."""
    begun = events[0]
    later = [event for event in events if event.attempt == begun.attempt]
    end, outcome = _end(later, begun)
    own = [event for event in later if event.wave == begun.wave and event.outcome is not Outcome.STARTED]
    named = {name: _by_node(own, [step for step, told in OWN.items() if told == name]) for name in OWN.values()}
    waits = {name: _by_node(own, [step for step, told in WAITS.items() if told == name]) for name in WAITS.values()}
    return WaveTimes(
        attempt=begun.attempt,
        wave=begun.wave or 0,
        site=begun.site,
        nodes=begun.nodes,
        outcome=outcome,
        wall_s=round(max(0.0, (_at(end) - _start(begun)).total_seconds()), 1),
        own_s={name: _most(nodes) for name, nodes in named.items() if nodes or name in _ALWAYS},
        slowest={name: max(nodes, key=lambda node: nodes[node]) for name, nodes in named.items() if _differ(nodes)},
        waits_s={name: _most(nodes) for name, nodes in waits.items() if nodes},
    )


def _end(later: Sequence[Event], begun: Event) -> tuple[Event, str]:
    for event in later:
        if _is(event, "joined") and event.wave == begun.wave:
            return event, "joined"
        if event.step is Step.HOLD:
            return event, "stopped" if why_held(later, event.attempt).stopped else "held"
    return [event for event in later if event.wave == begun.wave][-1], "cut_off"


def _by_node(events: Iterable[Event], steps: Sequence[Step]) -> dict[str, float]:
    """Each node's seconds in these steps: what it does for several services, it does one after the other."""
    found: dict[str, float] = {}
    for event in events:
        own = _own(event)
        if event.step in steps and own is not None:
            for node in event.nodes:
                found[node] = found.get(node, 0.0) + own
    return found


def _own(event: Event) -> float | None:
    """The step's own seconds. What was adopted began before we came: no more counts than we waited for."""
    own = event.details.get("own_s")
    if not isinstance(own, int | float) or isinstance(own, bool) or own < 0:
        return None
    return float(own) if event.duration_ms is None else min(float(own), event.duration_ms / 1000)


def _differ(nodes: dict[str, float]) -> bool:
    return len(nodes) > 1 and max(nodes.values()) > min(nodes.values())


def _most(nodes: dict[str, float]) -> float:
    return round(max(nodes.values(), default=0.0), 1)


def _start(begun: Event) -> datetime:
    return _at(begun) - timedelta(milliseconds=begun.duration_ms or 0)


def _at(event: Event) -> datetime:
    return datetime.fromisoformat(event.at)
