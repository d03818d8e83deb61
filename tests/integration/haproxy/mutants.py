"""Moves with one thing wrong each, as somebody could write them: the walks must find every one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils import moves, pools
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.floors import Floors
from ansible_collections.tidegate.delivery.plugins.module_utils.move_report import refused
from ansible_collections.tidegate.delivery.plugins.module_utils.moves import Failed, Move
from ansible_collections.tidegate.delivery.plugins.module_utils.pools import (
    Action,
    Change,
    Clock,
    Done,
    Intent,
    Phase,
    Refuse,
    Seen,
    Send,
    Spot,
    Step,
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

    def give_up(_self: Move, _intent: Intent, why: Failed) -> DomainError:
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
    )
}
