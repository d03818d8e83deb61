# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leave and join as a pure function: what every load balancer shows + intent → the next commands.

Every state is recognised by reading, so a run that was killed at any point is continued by deciding again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import (
    TAKES_CUSTOMERS,
    Cell,
    Seen,
    Spot,
)

_TAKES_TESTS = (Cell.TEST, Cell.BOTH)


class Intent(StrEnum):
    """Where the nodes shall end: leave → TEST everywhere, join → ON everywhere, undo → back after a leave."""

    LEAVE = "leave"
    JOIN = "join"
    UNDO = "undo"


class Action(Enum):
    """What can be sent for a spot; the value is its commands, `on` and `test` being the two server entries."""

    DRAIN = ("set server {on} state drain",)
    MAINT = ("set server {on} state maint",)
    READY = ("set server {on} state ready",)
    # Never a bare `ready` after MAINT: customers would come before the first check. With its health down the
    # server waits for `rise` fresh passes, and a controller killed right after leaves nothing to repair.
    REENTER = ("set server {on} state drain", "set server {on} health down", "set server {on} state ready")
    # Nothing would ever lift `health down` from a server without checks; `health up` lifts one that was left behind.
    # Customers come at once: what proves the application's health before this is all there is.
    REENTER_UNCHECKED = ("set server {on} health up", "set server {on} state ready")
    CUT = ("shutdown sessions server {on}",)
    OPEN = ("set server {test} state ready",)
    CLOSE = ("set server {test} state maint",)


REENTRIES = (Action.REENTER, Action.REENTER_UNCHECKED)


@dataclass(frozen=True, slots=True)
class Change:
    """One action at one spot."""

    spot: Spot
    action: Action

    @property
    def commands(self) -> tuple[str, ...]:
        """The Runtime API's commands, in order."""
        pool, node = self.spot.pool, self.spot.node
        names = {"on": f"{pool.online}/{node}", "test": f"{pool.maintenance}/{node}"}
        return tuple(command.format(**names) for command in self.action.value)


class Phase(IntEnum):
    """The steps of a move in their order; a wave is where its last node is."""

    TAKE = 1
    DRAINING = 2
    MAINT = 3
    EMPTYING = 4
    OPEN = 5
    TESTING = 6
    CLOSE = 7
    ENTER = 8
    RISING = 9
    DONE = 10


@dataclass(frozen=True, slots=True)
class Send:
    """Send these changes, all load balancers at once."""

    phase: Phase
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again in a moment; `spots` are what is waited for."""

    phase: Phase
    spots: tuple[Spot, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """Every load balancer shows what was intended."""

    phase: Phase = Phase.DONE


@dataclass(frozen=True, slots=True)
class Refuse:
    """It can't go on; `reason` says why, `remedy` what to do."""

    reason: str
    remedy: str = ""
    phase: Phase = Phase.TAKE
    kind: RefusalKind | None = None

    @classmethod
    def of(cls, kind: RefusalKind, **names: object) -> Refuse:
        """A refusal of that kind, its words filled in with names."""
        reason, remedy = kind.told(**names)
        return cls(reason, remedy, kind=kind)


Step = Send | Wait | Done | Refuse


@dataclass(frozen=True, slots=True)
class Clock:
    """Which deadlines are over; `cut`: sessions left at the hard deadline are ended, not waited for.

    `cookies_stay`: customers with a persistence cookie may still come back to a server that is only drained.
    `proved` are nodes whose maintenance entry was UP on every load balancer in this run before it was closed.
    """

    soft_over: bool = False
    hard_over: bool = False
    cut: bool = False
    cookies_stay: bool = False
    cut_over: bool = False
    wait_over: bool = False
    proved: frozenset[str] = frozenset()


def reentry(what: Seen) -> Action:
    """How a node that was in MAINT comes back online there."""
    return Action.REENTER_UNCHECKED if what.unchecked else Action.REENTER


def decide(seen: Mapping[Spot, Seen], intent: Intent, clock: Clock) -> Step:
    """The next step of a whole wave: nodes that are further wait for the others."""
    steps = [_decide_node(of_node, intent, clock) for of_node in _by_node(seen)]
    refusals = [step for step in steps if isinstance(step, Refuse)]
    if refusals:
        return refusals[0]
    phase = min((step.phase for step in steps), default=Phase.DONE)
    now = [step for step in steps if step.phase == phase]
    changes = tuple(change for step in now if isinstance(step, Send) for change in step.changes)
    if changes:
        return Send(phase, changes)
    waiting = tuple(spot for step in now if isinstance(step, Wait) for spot in step.spots)
    return Wait(phase, waiting) if waiting else Done()


def unexplained(seen: Mapping[Spot, Seen], ours: Collection[str]) -> Refuse | None:
    """Why nodes must be left alone: no move of ours explains where they stand.

    `ours` are the nodes that the ledger says we took out or were moving.
    """
    for of_node in _by_node(seen):
        node = next(iter(of_node)).node
        cells = {spot.cell for spot in of_node.values()}
        at_rest = cells <= set(TAKES_CUSTOMERS)
        if Cell.ODD not in cells and (at_rest or node in ours):
            continue
        where = ", ".join(
            f"{what.cell} in {spot.pool.online} on {spot.load_balancer}" for spot, what in of_node.items()
        )
        return Refuse.of(_unexplained(cells), node=node, cells=where)
    return None


def _unexplained(cells: Collection[Cell]) -> RefusalKind:
    if Cell.BOTH in cells:
        return RefusalKind.IN_BOTH
    return RefusalKind.IN_NEITHER if set(cells) == {Cell.OUT} else RefusalKind.FOREIGN


def _by_node(seen: Mapping[Spot, Seen]) -> Iterable[dict[Spot, Seen]]:
    grouped: dict[str, dict[Spot, Seen]] = {}
    for spot, what in seen.items():
        grouped.setdefault(spot.node, {})[spot] = what
    return grouped.values()


def _decide_node(seen: Mapping[Spot, Seen], intent: Intent, clock: Clock) -> Step:
    odd = _spots(seen, Cell.ODD)
    if odd:
        return Refuse.of(RefusalKind.ODD, spot=odd[0])
    rules: dict[Intent, Callable[[Mapping[Spot, Seen], Clock], Step]] = {
        Intent.LEAVE: _leave,
        Intent.JOIN: _join,
        Intent.UNDO: _undo,
    }
    return rules[intent](seen, clock)


def _leave(seen: Mapping[Spot, Seen], clock: Clock) -> Step:
    online = _spots(seen, *TAKES_CUSTOMERS)
    # In one pool at most, on all load balancers together: testers wait while customers may still come.
    testing = _spots(seen, Cell.BOTH, *([Cell.TEST] if online or _spots(seen, Cell.DRAIN) else []))
    if online or testing:
        return Send(Phase.TAKE, (*_do(Action.CLOSE, testing), *_do(Action.DRAIN, online)))
    draining = _spots(seen, Cell.DRAIN)
    if draining:
        busy = tuple(spot for spot in draining if seen[spot].busy or clock.cookies_stay)
        if busy and not clock.soft_over:
            return Wait(Phase.DRAINING, busy)
        return Send(Phase.MAINT, _do(Action.MAINT, draining))
    return _empty(seen, clock)


def _empty(seen: Mapping[Spot, Seen], clock: Clock) -> Step:
    out = _spots(seen, Cell.OUT)
    # Once may be a request that was on its way when MAINT came.
    astray = next((spot for spot, what in seen.items() if what.arrivals > 1), None)
    if astray:
        return Refuse.of(RefusalKind.STILL_REACHED, spot=astray)
    busy = tuple(spot for spot, what in seen.items() if (what.serving if what.cell is Cell.OUT else what.arriving))
    if busy and not clock.hard_over:
        return Wait(Phase.EMPTYING, busy)
    if busy and clock.cut and not clock.cut_over:
        held = tuple(spot for spot in busy if seen[spot].sessions)
        return Send(Phase.EMPTYING, _do(Action.CUT, held)) if held else Wait(Phase.EMPTYING, busy)
    if busy:
        return _left_over({spot: seen[spot] for spot in busy}, clock)
    return Send(Phase.OPEN, _do(Action.OPEN, out)) if out else Done()


def _left_over(busy: Mapping[Spot, Seen], clock: Clock) -> Refuse:
    sessions = ", ".join(f"{spot}: {_told(what)}" for spot, what in busy.items())
    undecided = {spot.load_balancer: what.undecided for spot, what in busy.items() if what.undecided}
    if any(what.sessions or what.unknown for what in busy.values()) or not undecided:
        return Refuse.of(RefusalKind.CUT_IN_VAIN if clock.cut else RefusalKind.SESSIONS_LEFT, left=sessions)
    told = ", ".join(f"{name}: {count}" for name, count in undecided.items())
    return Refuse.of(RefusalKind.UNDECIDED, left=told)


def _told(what: Seen) -> str:
    return f"{what.sessions}{' and those of an old worker that does not answer' if what.unknown else ''}"


def _join(seen: Mapping[Spot, Seen], clock: Clock) -> Step:
    out = _spots(seen, Cell.OUT)
    testing = _spots(seen, *_TAKES_TESTS)
    begun = bool(_spots(seen, Cell.DRAIN, Cell.BOTH, *TAKES_CUSTOMERS)) or next(iter(seen)).node in clock.proved
    if out and not begun:
        return Send(Phase.OPEN, _do(Action.OPEN, out))
    if testing:
        down = tuple(spot for spot in testing if not seen[spot].testable)
        return (
            _await_up(down, clock, "maintenance")
            if down and not begun
            else Send(Phase.CLOSE, _do(Action.CLOSE, testing))
        )
    rising = _spots(seen, Cell.RISING)
    # Without a check nothing else would bring it UP.
    entering = (*_spots(seen, Cell.OUT, Cell.DRAIN), *(spot for spot in rising if seen[spot].unchecked))
    if entering:
        return Send(Phase.ENTER, tuple(Change(spot, reentry(seen[spot])) for spot in entering))
    return _await_up(rising, clock, "online") if rising else Done()


def _await_up(spots: tuple[Spot, ...], clock: Clock, where: str) -> Step:
    if not clock.wait_over:
        return Wait(Phase.TESTING if where == "maintenance" else Phase.RISING, spots)
    names = ", ".join(str(spot) for spot in spots)
    return Refuse.of(RefusalKind.NOT_UP, pool=where, spots=names)


def _undo(seen: Mapping[Spot, Seen], clock: Clock) -> Step:
    testing = _spots(seen, *_TAKES_TESTS)
    if testing:
        return Send(Phase.CLOSE, _do(Action.CLOSE, testing))
    entering = _spots(seen, Cell.OUT, Cell.DRAIN)
    if entering:
        return Send(Phase.ENTER, tuple(Change(spot, _way_back(seen[spot])) for spot in entering))
    rising = _spots(seen, Cell.RISING)
    return Wait(Phase.RISING, rising) if rising and not clock.wait_over else Done()


def _way_back(what: Seen) -> Action:
    # Checks went on while we drained it: `ready` brings it back at once, and no sooner than it is healthy.
    return Action.READY if what.cell is Cell.DRAIN and what.drained_by_us else reentry(what)


def _spots(seen: Mapping[Spot, Seen], *cells: Cell) -> tuple[Spot, ...]:
    return tuple(spot for spot, what in seen.items() if what.cell in cells)


def _do(action: Action, spots: Iterable[Spot]) -> tuple[Change, ...]:
    return tuple(Change(spot, action) for spot in spots)
