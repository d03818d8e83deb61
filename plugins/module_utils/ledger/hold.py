# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a wave is held, and what to run next: told from the ledger, not from Ansible's host lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.by_hand import is_repair, is_thaw
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import with_configuration

_BAD = (Outcome.FAILED, Outcome.REFUSED, Outcome.UNREACHABLE, Outcome.STOPPED)
_MOST_TOLD = 5
# What is done after the wave's own steps, and can't be why it is held.
_AFTERWARDS = (Step.THAW, Step.DOWNTIME_END)


@dataclass(frozen=True, slots=True)
class Cause:
    """The step that stopped a wave, and every node's message about it. `stopped`: somebody had asked for it."""

    step: str
    message: str
    stopped: bool = False


def why_held(events: Sequence[Event], attempt: int, *, thawing: bool = False) -> Cause:
    """The first step of this attempt that went wrong, with the messages of all nodes on which it did.

    A thaw, or the end of a downtime, that fails is no cause, it comes after one, unless `thawing` is all that was to be
    done.
    """
    bad = [
        event
        for event in events
        if event.attempt == attempt and event.outcome in _BAD and (thawing or _step(event) not in _AFTERWARDS)
    ]
    if not bad:
        return Cause("", "A task outside of Tidegate's own failed; its message is above.")
    first = _step(bad[0])
    told = [_sentence(event) for event in bad if _step(event) == first]
    more = f" (and {len(told) - _MOST_TOLD} more)" if len(told) > _MOST_TOLD else ""
    return Cause(first, " ".join(dict.fromkeys(told[:_MOST_TOLD])) + more, bad[0].outcome is Outcome.STOPPED)


def _sentence(event: Event) -> str:
    message = str(event.details.get("msg") or event.outcome)
    if event.outcome is Outcome.STOPPED:
        return message[:1].upper() + message[1:]
    # A message about one node may name it already; one about a wave names what it concerns itself.
    named = "" if len(event.nodes) != 1 or event.nodes[0] in message else f"{event.nodes[0]}: "
    return f"{named}{_step(event)} {event.outcome}: {message}"


def _step(event: Event) -> str:
    """The step that went wrong; one that was refused before it began is recorded as a refusal of it."""
    return str(event.details.get("of") or event.step)


def downtime_note(events: Sequence[Event], attempt: int) -> str:
    """Until when Nagios is silent about the wave, or why that isn't known; empty when there is no downtime."""
    steps = (Step.DOWNTIME, Step.DOWNTIME_END)
    asked = [event for event in events if event.attempt == attempt and _step(event) in steps]
    ended = [event for event in asked if event.outcome is not Outcome.STARTED]
    if not ended or ended[-1].step is Step.DOWNTIME_END:
        return ""
    last = ended[-1]
    if last.outcome.good and last.details.get("until"):
        return f"Nagios is silent about it until {last.details['until']}; whoever goes on before prolongs that.\n"
    return "" if last.outcome.good else f"In Nagios, {last.details.get('msg') or last.outcome}\n"


def next_commands(deployment: Deployment, nodes: Sequence[str], *, stopped: bool = False) -> str:
    """What is where now and the commands that lead on."""
    if is_repair(deployment):
        return f"The repair is not finished. Run it again: {advice.repair(deployment.service)}"
    if is_thaw(deployment):
        return f"The thaw is not finished. Run it again: {advice.thaw(deployment.service, *deployment.nodes)}"
    if deployment.kind is Kind.HAND:
        return (
            f"The move of {', '.join(nodes)} is not finished; {advice.status(deployment.service)} shows its place. "
            f"Run it again, or {advice.join(deployment.service, nodes[0])}"
        )
    again, back = advice.resume(deployment.service), advice.rollback(deployment.service)
    ways = f"Go back: {back}\nOr try again: {again}"
    if stopped or deployment.kind is Kind.ROLLBACK:
        ways = f"{'Go on' if stopped else 'Try again'}: {again}"
    if stopped and deployment.kind is not Kind.ROLLBACK:
        ways += f"\nOr go back: {back}"
    where = f"the wave was {', '.join(nodes)}" if nodes else "every wave is online, only settling is left"
    release = with_configuration(deployment.version, deployment.revision)
    return f"{deployment.service} {release} is held; {where}.\n{ways}"
