# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes are out of the online pool by our doing, so that nobody else's are ever touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.tidegate.delivery.plugins.module_utils.events import Event, Outcome, Step

_NOTHING_DONE = (Outcome.REFUSED, Outcome.SKIPPED)
UNDONE = "undone"


def moved_by_us(events: Iterable[Event]) -> set[str]:
    """The nodes that these events, oldest first, leave out of the online pool or in the middle of a move.

    A step counts from its start, since nobody knows how far a killed one came; one that was refused or undone
    counts for nothing.
    """
    out: set[str] = set()
    before: set[str] = set()
    for event in events:
        if event.step not in (Step.LEAVE, Step.JOIN):
            continue
        nodes = set(event.nodes)
        if event.outcome is Outcome.STARTED:
            before = (before - nodes) | (out & nodes)
            out |= nodes
        elif event.outcome in _NOTHING_DONE or (event.step is Step.LEAVE and event.details.get("reason") == UNDONE):
            out = (out - nodes) | (before & nodes)
        elif event.step is Step.JOIN and event.outcome.good:
            out -= nodes
        else:
            out |= nodes
    return out


def but_this_step(events: Sequence[Event], deployment: str) -> list[Event]:
    """The events without the start of the deployment's step that is under way: the one that asks."""
    last = max((index for index, event in enumerate(events) if event.deployment == deployment), default=None)
    if last is None or events[last].outcome is not Outcome.STARTED:
        return list(events)
    return [*events[:last], *events[last + 1 :]]
