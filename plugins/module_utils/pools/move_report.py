# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a move did, and what it says when it could not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Refused, Stopped
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import TAKES_CUSTOMERS, Cell, Seen, Spot
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import (
    REENTRIES,
    Action,
    Change,
    Intent,
    Refuse,
    Wait,
    reentry,
)


class Undone(DomainError):
    """The move failed, and everything that it had moved is where it was."""

    reason = "undone"


class Stuck(DomainError):
    """The move failed, and a person has to finish what could not be undone."""

    reason = "stuck"


@dataclass(slots=True)
class MoveReport:
    """Cells before and after, and what it took. Seconds are counted from the first drain."""

    before: dict[Spot, Cell] = field(default_factory=dict)
    after: dict[Spot, Cell] = field(default_factory=dict)
    drained_seconds: dict[str, float] = field(default_factory=dict)
    sessions_cut: dict[str, int] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)
    # By load balancer that was left out at some time, why it is known that it carried no traffic; and who came back.
    left_out: dict[str, str] = field(default_factory=dict)
    back: list[str] = field(default_factory=list)

    def seen(self, seen: Mapping[Spot, Seen]) -> None:
        """Take over what was read last; the first reading is what was before."""
        for spot, what in seen.items():
            self.before.setdefault(spot, what.cell)
            self.after[spot] = what.cell

    def drained(self, seen: Mapping[Spot, Seen], elapsed: float, *, more_may_come: bool = False) -> None:
        """Note the nodes that have no customers left; `more_may_come` to those that are only drained."""
        taking = (*TAKES_CUSTOMERS, *([Cell.DRAIN] if more_may_come else []))
        reached = {spot.node for spot, what in seen.items() if what.serving or what.cell in taking}
        left = {spot.node for spot, cell in self.before.items() if cell is not Cell.TEST}
        for node in ({spot.node for spot in seen} & left) - reached - self.drained_seconds.keys():
            self.drained_seconds[node] = round(elapsed, 1)

    def proved_down(self, proofs: Mapping[str, str]) -> list[str]:
        """Note by load balancer the proof that it is down, empty for one that runs; those that came back since."""
        back = [name for name, proof in proofs.items() if not proof and name in self.left_out and name not in self.back]
        self.left_out |= {name: proof for name, proof in proofs.items() if proof}
        self.back = [name for name in self.back if not proofs.get(name)] + back
        return back

    def sent(self, load_balancer: str, commands: Sequence[str]) -> None:
        """Note commands that a load balancer took."""
        self.commands.setdefault(load_balancer, []).extend(commands)

    def cut(self, node: str, sessions: int) -> None:
        """Note sessions that were ended at the hard deadline."""
        self.sessions_cut[node] = self.sessions_cut.get(node, 0) + sessions


@dataclass(frozen=True, slots=True)
class Trace:
    """What is known of one spot when a move failed: the last cell that was read, what may have been sent since."""

    last: Seen
    actions: tuple[Action, ...] = ()
    silent: bool = False

    def restored(self, intent: Intent) -> bool:
        """Whether the spot is where a failed `intent` leaves it."""
        if self.silent:
            return not self.actions
        # One that is only drained is in neither: customers with a cookie still come.
        return self.last.cell in (TAKES_CUSTOMERS if intent is Intent.LEAVE else (Cell.OUT, Cell.TEST))

    def repair(self, intent: Intent) -> tuple[Action, ...]:
        """What a person has to send to put the spot there."""
        if self.restored(intent):
            return ()
        if intent is Intent.JOIN:
            return (Action.MAINT,)
        if self.silent:
            beyond = any(action in (Action.MAINT, *REENTRIES) for action in self.actions)
        else:
            beyond = self.last.cell is not Cell.DRAIN or not self.last.drained_by_us
        opened = Action.OPEN in self.actions or self.last.cell in (Cell.TEST, Cell.BOTH)
        return (*([Action.CLOSE] if opened else []), reentry(self.last) if beyond else Action.READY)


def waiting(step: Wait, seen: Mapping[Spot, Seen], *, cookies_stay: bool = False) -> str:
    """What a move waits for, for whoever watches."""
    what = ", ".join(_awaited(spot, seen[spot]) for spot in step.spots[:6])
    more = f" and {len(step.spots) - 6} more" if len(step.spots) > 6 else ""
    stay = "; until drain.soft customers with a cookie may come back" if cookies_stay else ""
    return f"{step.phase.name.lower()}: {what}{more}{stay}"


def _awaited(spot: Spot, what: Seen) -> str:
    if what.cell in (Cell.DRAIN, Cell.OUT):
        sessions = "sessions that an old worker doesn't tell" if what.unknown else f"{what.sessions} sessions"
        queued = f", {what.queued} queued" if what.queued else ""
        undecided = f", {what.undecided} of old workers may still come" if what.undecided else ""
        return f"{spot} has {sessions}{queued}{undecided}"
    return f"{spot} is {what.cell}"


def refused(found: Sequence[Refuse]) -> Refused:
    """Refusals before anything was touched, as one error."""
    reasons = "; ".join(problem.reason for problem in found[:5])
    more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
    remedies = dict.fromkeys(problem.remedy for problem in found if problem.remedy)
    return Refused(f"{reasons}{more}; nothing was touched", remedy=". ".join(remedies))


def failed(
    intent: Intent,
    why: Refuse,
    traces: Mapping[Spot, Trace],
    accesses: Mapping[str, AdminAccess],
    trouble: str = "",
) -> DomainError:
    """How a failed move ended: what is restored, what is not, and the exact commands for the rest."""
    stuck = {spot: trace.repair(intent) for spot, trace in traces.items() if not trace.restored(intent)}
    restored = [spot for spot in traces if spot not in stuck]
    state = "online again" if intent is Intent.LEAVE else "held out of the online pool"
    parts = [why.reason, *([f"{state}: {_listed(restored)}"] if restored else [])]
    if not stuck:
        return Undone("; ".join(parts), remedy=_then(why.remedy))
    parts.append(f"NOT {state}: {_listed(list(stuck))}{f' ({trouble})' if trouble else ''}")
    commands = [f"on {name}: {line}" for name, line in _by_hand(stuck, accesses)]
    places = ", ".join(f"{name}, {accesses[name].socket}" for name in sorted({spot.load_balancer for spot in stuck}))
    when = "As soon as it answers, run" if any(traces[spot].silent for spot in stuck) else "Run"
    return Stuck("; ".join(parts), where=places, remedy=_then(f"{when} {'; '.join(commands)}"))


def stopped(given_up: DomainError) -> DomainError:
    """How a move ended that was given up because somebody asked to stop; what is stuck stays a person's."""
    return given_up if isinstance(given_up, Stuck) else Stopped(given_up.message, where=given_up.where)


def _then(remedy: str) -> str:
    return f"{remedy}. Then run again" if remedy else "Look at the cause, then run again"


def _by_hand(stuck: Mapping[Spot, tuple[Action, ...]], accesses: Mapping[str, AdminAccess]) -> list[tuple[str, str]]:
    commands: dict[str, list[str]] = {}
    for spot, actions in stuck.items():
        wanted = [command for action in actions for command in Change(spot, action).commands]
        commands.setdefault(spot.load_balancer, []).extend(wanted)
    return [(name, accesses[name].by_hand(lines)) for name, lines in sorted(commands.items())]


def _listed(spots: Sequence[Spot]) -> str:
    return ", ".join(str(spot) for spot in spots[:12]) + (f" and {len(spots) - 12} more" if len(spots) > 12 else "")
