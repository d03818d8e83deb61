"""Moves with one thing wrong each, as somebody could write them: the walks must find every one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.pools import capacity, moves
from ansible_collections.tidegate.delivery.plugins.module_utils.pools import cells as pool_cells
from ansible_collections.tidegate.delivery.plugins.module_utils.pools import state_machine as pools
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, Seen, Spot
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.floors import Floors
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.lookout import Failed
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_report import refused
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.moves import Move
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import (
    Action,
    Change,
    Clock,
    Done,
    Intent,
    Phase,
    Refuse,
    Send,
    Step,
    unexplained,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share

Mutant = Callable[[pytest.MonkeyPatch], None]


def _commands_of(patch: pytest.MonkeyPatch, action: Action, texts: Sequence[str]) -> None:
    """Have an action send other commands."""
    original = Change.commands.fget  # type: ignore[attr-defined]

    def commands(self: Change) -> tuple[str, ...]:
        if self.action is not action:
            return tuple(original(self))
        pool, node = self.spot.pool, self.spot.node
        names = {"on": f"{pool.online}/{node}", "test": f"{pool.maintenance}/{node}"}
        return tuple(text.format(**names) for text in texts)

    patch.setattr(Change, "commands", property(commands))


def no_safe_reentry(patch: pytest.MonkeyPatch) -> None:
    """Back online by a bare `ready`: customers come before the first check."""
    _commands_of(patch, Action.REENTER, ["set server {on} state ready"])


def no_look_at_the_floor(patch: pytest.MonkeyPatch) -> None:
    """Whatever is left online, the wave leaves."""
    patch.setattr(Floors, "broken", lambda *_: None)


def floor_looked_at_once(patch: pytest.MonkeyPatch) -> None:
    """Only before the leave, not while customers are still answered."""
    patch.setattr(Move, "_watch", lambda *_: None)


def floor_rounded_down(patch: pytest.MonkeyPatch) -> None:
    """One server fewer than asked for stays."""
    original = Share.at_least
    patch.setattr(Share, "at_least", lambda self, total: original(self, total) - 1)


def undo_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A leave that fails stays where it was."""

    def give_up(_self: Move, _intent: Intent, why: Failed, *_rest: Any) -> DomainError:
        return refused([why.refusal])

    patch.setattr(Move, "_give_up", give_up)


def undo_by_bare_ready(patch: pytest.MonkeyPatch) -> None:
    """What was in MAINT comes back at once, whether it is well or not."""
    _commands_of(patch, Action.REENTER, ["set server {on} state ready"])
    patch.setattr(pools, "_way_back", lambda _what: Action.READY)


def answers_believed(patch: pytest.MonkeyPatch) -> None:
    """Sent is done: nothing is read back after the last batch of a move."""
    last = (Phase.OPEN, Phase.ENTER)
    send, see = Move._send, pools.decide

    def sending(self: Move, step: Send, states: Any, seen: Any) -> Any:
        if step.phase in last:
            patch.setattr(moves, "decide", done)
        return send(self, step, states, seen)

    def done(_seen: Mapping[Spot, Seen], _intent: Intent, _clock: Clock) -> Step:
        patch.setattr(moves, "decide", see)
        return Done()

    patch.setattr(Move, "_send", sending)


def a_load_balancer_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Only the first one is moved on."""
    original = Move.__init__

    def init(self: Move, admins: Mapping[str, Any], *rest: Any) -> None:
        original(self, dict(list(admins.items())[:1]), *rest)

    patch.setattr(Move, "__init__", init)


def state_not_saved(patch: pytest.MonkeyPatch) -> None:
    """A crash or a reload brings the servers back to what was saved before."""
    original = Move._batch
    patch.setattr(Move, "_batch", lambda *rest: replace(original(*rest), save=()))
    patch.setattr(Move, "_save", lambda *_: True)


def sessions_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    """A leave is done while customers are still answered."""
    patch.setattr(Seen, "serving", property(lambda _self: False))
    patch.setattr(Seen, "busy", property(lambda _self: False))


def open_for_tests_too_early(patch: pytest.MonkeyPatch) -> None:
    """Testers come while customers still do: the node is in both pools."""
    _commands_of(patch, Action.DRAIN, ["set server {on} state drain", "set server {test} state ready"])


def someone_elses_nodes_taken(patch: pytest.MonkeyPatch) -> None:
    """Nodes that a colleague took out are brought back by us."""
    patch.setattr(moves, "unexplained", lambda _seen, _ours: None)


def one_failure_is_the_end(patch: pytest.MonkeyPatch) -> None:
    """A lost answer counts as refused: it is neither retried nor read back."""
    note = Move._note

    def noting(self: Move, name: str, changes: Sequence[Change], answer: Any) -> Refuse | None:
        found = note(self, name, changes, answer)
        return Refuse(f"{name} failed") if isinstance(answer, DomainError) else found

    patch.setattr(Move, "_note", noting)


def our_own_moves_not_recognised(patch: pytest.MonkeyPatch) -> None:
    """What a killed controller left is taken for somebody else's."""
    patch.setattr(moves, "unexplained", lambda seen, _ours: unexplained(seen, ()))


def rising_counts_as_online(patch: pytest.MonkeyPatch) -> None:
    """A join is done before the checks have passed."""
    original = pool_cells.classify

    def classify(*rows: Any, **options: Any) -> Cell:
        cell = original(*rows, **options)
        return Cell.ON if cell is Cell.RISING else cell

    patch.setattr(pool_cells, "classify", classify)


def the_ill_count_as_usable(patch: pytest.MonkeyPatch) -> None:
    """The floor is kept by servers that get no customers."""
    patch.setattr(capacity, "usable", lambda row, **_: not row.admin.effective)


def floor_of_one_load_balancer(patch: pytest.MonkeyPatch) -> None:
    """What the others show is not looked at."""
    original = Floors.broken
    patch.setattr(Floors, "broken", lambda self, states: original(self, dict(list(states.items())[:1])))


def _clock(patch: pytest.MonkeyPatch, changed: Callable[[Clock], Clock]) -> None:
    original = Move._clock_at
    patch.setattr(Move, "_clock_at", lambda self, *rest: changed(original(self, *rest)))


def cut_although_told_to_fail(patch: pytest.MonkeyPatch) -> None:
    """At the hard deadline customers are always cut off."""
    _clock(patch, lambda clock: replace(clock, cut=True))


def hard_deadline_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A leave waits for its last customer for ever."""
    _clock(patch, lambda clock: replace(clock, hard_over=False))


def undone_on_one_load_balancer(patch: pytest.MonkeyPatch) -> None:
    """The others stay as they were when the leave failed."""
    original = Move._drive

    def drive(self: Move, intent: Intent, names: Sequence[str]) -> None:
        original(self, intent, names[:1] if intent is Intent.UNDO else names)

    patch.setattr(Move, "_drive", drive)


def old_workers_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A leave is done while customers from before a reload are still answered."""
    patch.setattr(LoadBalancerState, "sessions", lambda self, key: self.servers[key].sessions)


MUTANTS: Mapping[str, Mutant] = {
    mutant.__name__: mutant
    for mutant in (
        no_safe_reentry,
        no_look_at_the_floor,
        floor_looked_at_once,
        floor_rounded_down,
        undo_forgotten,
        undo_by_bare_ready,
        answers_believed,
        a_load_balancer_forgotten,
        state_not_saved,
        sessions_not_waited_for,
        open_for_tests_too_early,
        someone_elses_nodes_taken,
        one_failure_is_the_end,
        our_own_moves_not_recognised,
        rising_counts_as_online,
        the_ill_count_as_usable,
        floor_of_one_load_balancer,
        cut_although_told_to_fail,
        hard_deadline_forgotten,
        undone_on_one_load_balancer,
        old_workers_forgotten,
    )
}
