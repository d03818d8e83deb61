# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an effect must be able to show from the ledger before it may happen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, State

ALWAYS_REQUIRED = (Step.RELEASE, Step.HEALTH)
_NOTHING_DONE = (Outcome.SKIPPED, Outcome.REFUSED)


def covers(deployment: Deployment | None, node: str) -> bool:
    """Whether the deployment permits effects on the node: it is open (not held, not final) and names it."""
    return deployment is not None and deployment.state is State.OPEN and node in deployment.nodes


def evidence_missing(
    events: Iterable[Event], node: str, attempt: int, required: Sequence[Step] = (), *, by_hand: bool = False
) -> list[Step]:
    """The steps whose good result is missing before the node may join; empty: it may.

    `events` are the deployment's own, oldest first. Release, health and `required` must each have ended well,
    in this attempt, after the last thing that changed the node, and that must have been a Puppet run that ended well.
    A move `by_hand` runs no Puppet: whatever happened to the node since it left, the proof comes after the leave.
    """
    seen = _of_node(events, node)
    changes = [index for index, event in enumerate(seen) if _deploys(event)]
    if not by_hand and (not changes or seen[changes[-1]].step is not Step.PUPPET or not seen[changes[-1]].outcome.good):
        return [Step.PUPPET, *_wanted(required)]
    # A node that was online in between has served since it was tested: it is verified anew.
    leaves = [index for index, event in enumerate(seen) if _leaves(event)]
    start = max([-1, *changes, *leaves])
    latest = {event.step: event.outcome for event in seen[start + 1 :] if event.attempt == attempt}
    return [step for step in _wanted(required) if not _good(latest.get(step))]


def undo_refused(events: Iterable[Event], node: str) -> str:
    """Why the node's leave can't just be undone; empty: it may, since nothing was deployed to it since it left.

    `events` are the deployment's own, oldest first, of all attempts.
    """
    seen = _of_node(events, node)
    joins = [index for index, event in enumerate(seen) if event.step is Step.JOIN and event.outcome.good]
    absent = seen[joins[-1] + 1 :] if joins else seen
    left = next((index for index, event in enumerate(absent) if _leaves(event)), None)
    if left is None:
        return f"{node} was not taken out by this deployment"
    touched = next((event for event in absent[left:] if _deploys(event)), None)
    return "" if touched is None else f"{touched.step} ({touched.outcome}) touched {node} at {touched.at} since it left"


def _of_node(events: Iterable[Event], node: str) -> list[Event]:
    """The node's events without the starts whose end is known; a start without one stays: nobody knows what it did."""
    seen = [event for event in events if node in event.nodes]
    return [event for index, event in enumerate(seen) if not _ended(event, seen[index + 1 :])]


def _ended(event: Event, later: Sequence[Event]) -> bool:
    if event.outcome is not Outcome.STARTED:
        return False
    following = next((other for other in later if other.step is event.step), None)
    # A refusal may be another call's, so it doesn't tell how this one ended.
    open_end = (Outcome.STARTED, Outcome.REFUSED)
    return following is not None and following.attempt == event.attempt and following.outcome not in open_end


def waves_missing(events: Iterable[Event], attempt: int, waves: Iterable[int]) -> list[int]:
    """The planned waves that were not confirmed to be online in this attempt."""
    joined = {event.wave for event in events if event.attempt == attempt and confirms_wave(event)}
    return [number for number in waves if number not in joined]


def confirms_wave(event: Event) -> bool:
    """Whether the event says that its wave was read back as online on the release."""
    return event.step is Step.WAVE and event.outcome.good and event.details.get("outcome") == "joined"


def _wanted(required: Sequence[Step]) -> list[Step]:
    return list(dict.fromkeys((*ALWAYS_REQUIRED, *required)))


def _good(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.good


def _deploys(event: Event) -> bool:
    """Whether the event may have changed what the node runs; a run that only started counts: nobody knows its end."""
    if event.step is Step.PIN:
        return event.outcome not in (*_NOTHING_DONE, Outcome.UNCHANGED)
    return event.step is Step.PUPPET and event.outcome not in _NOTHING_DONE


def _leaves(event: Event) -> bool:
    return event.step is Step.LEAVE and event.outcome not in (*_NOTHING_DONE, Outcome.UNCHANGED)
