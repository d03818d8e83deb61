# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes are out of the online pool by our doing, so that nobody else's are ever touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step

_MOVES = (Step.LEAVE, Step.JOIN)
_NOTHING_DONE = (Outcome.REFUSED, Outcome.SKIPPED)
# How a leave fails of which nothing is left: taken back after a failure, or after somebody asked to stop.
UNDONE = ("undone", "stopped")


@dataclass(frozen=True, slots=True)
class Ownership:
    """By node that is out, the event that took it; by node, the start of a move that has no end; nodes ever moved."""

    taken: Mapping[str, Event]
    begun: Mapping[str, Event]
    named: frozenset[str]


def moved_by_us(events: Iterable[Event]) -> set[str]:
    """The nodes that these events, oldest first, leave out of the online pool or in the middle of a move."""
    return set(taken_by(events))


def taken_by(events: Iterable[Event]) -> dict[str, Event]:
    """By node that is out: the event of the move that took it there, from events that are the oldest first."""
    return dict(ownership(events).taken)


def ownership(events: Iterable[Event]) -> Ownership:
    """Who took which node out and which moves have no end, from events that are the oldest first.

    A move counts from its start, since nobody knows how far a killed one came. Its own refusal or undoing takes
    that back. A refusal or failure without a start of its own tells of a call that touched nothing. A repair is no
    move: who took a node out stays who it was.
    """
    moves = _Moves()
    named: set[str] = set()
    for event in events:
        if event.step in _MOVES:
            named.update(event.nodes)
            for node in event.nodes:
                moves.follow(node, event)
    return Ownership(moves.out, {node: start for node, (start, _before) in moves.pending.items()}, frozenset(named))


@dataclass(slots=True)
class _Moves:
    """By node: the event that took it out, and the start that has no end yet with what stood in `out` before it."""

    out: dict[str, Event] = field(default_factory=dict)
    pending: dict[str, tuple[Event, Event | None]] = field(default_factory=dict)

    def follow(self, node: str, event: Event) -> None:
        if event.outcome is Outcome.STARTED:
            self.pending[node] = (event, self.out.get(node))
            self._take(node, event)
        elif event.outcome.good:
            self.pending.pop(node, None)
            if event.step is Step.JOIN:
                self.out.pop(node, None)
            else:
                self._take(node, event)
        elif node in self.pending and _ends(self.pending[node][0], event):
            _start, before = self.pending.pop(node)
            if took_nothing(event):
                self._restore(node, before)

    def _take(self, node: str, event: Event) -> None:
        if event.step is Step.LEAVE or node not in self.out:
            self.out[node] = event

    def _restore(self, node: str, before: Event | None) -> None:
        if before is None:
            self.out.pop(node, None)
        else:
            self.out[node] = before


def _ends(start: Event, event: Event) -> bool:
    """Whether the event is the end of what that start began, and not of another call's move."""
    return _call(start) == _call(event)


def _call(event: Event) -> tuple[str, int, Step, tuple[str, ...]]:
    return event.deployment, event.attempt, event.step, event.nodes


def took_nothing(event: Event) -> bool:
    """Whether a move that did not end well left its nodes where they were."""
    undone = event.step is Step.LEAVE and event.details.get("reason") in UNDONE
    return undone or event.outcome in _NOTHING_DONE


def settled(events: Iterable[Event]) -> set[str]:
    """The nodes of which these events, the newest there are, tell enough: older ones can't say otherwise."""
    return {node for event in events if event.step in _MOVES and event.outcome.good for node in event.nodes}


def but_this_step(events: Sequence[Event], deployment: str) -> list[Event]:
    """The events without the start of the deployment's move that is under way: the one that asks."""
    starts = [index for index, event in enumerate(events) if _starts(event, deployment)]
    if not starts or any(_done(events[starts[-1]], event) for event in events[starts[-1] + 1 :]):
        return list(events)
    return [*events[: starts[-1]], *events[starts[-1] + 1 :]]


def _starts(event: Event, deployment: str) -> bool:
    return event.deployment == deployment and event.step in _MOVES and event.outcome is Outcome.STARTED


def _done(start: Event, event: Event) -> bool:
    # Another call of the same step may be refused while this one is under way.
    return _ends(start, event) and event.outcome is not Outcome.REFUSED
