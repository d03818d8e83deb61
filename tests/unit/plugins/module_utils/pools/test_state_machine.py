"""The state machine as a table: cells on two load balancers + intent → the next step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, Seen, Spot, look
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import (
    Action,
    Change,
    Clock,
    Done,
    Intent,
    Phase,
    Refuse,
    Send,
    Wait,
    decide,
    reentry,
    unexplained,
)
from tests.unit.plugins.module_utils import haproxy_rows as shown
from tests.unit.plugins.module_utils.haproxy_rows import MAINTENANCE, ONLINE, pool, state

POOL = pool("n1", "n2")


@pytest.mark.parametrize(
    ("checked", "allowed", "way"), [(False, True, Action.REENTER_UNCHECKED), (True, True, Action.REENTER)]
)
def test_what_is_looked_at_decides_the_way_back(checked: bool, allowed: bool, way: Action) -> None:
    made = state("lb1", {"n1": (shown.MAINT, ("no check", 2, 4))})
    rows = {key: replace(each, checked=checked) for key, each in made.servers.items()}
    what = look(replace(made, servers=rows), replace(POOL, unchecked=allowed), "n1")
    assert (what.cell, what.testable, reentry(what)) == (Cell.TEST, True, way)


def at(load_balancer: str, node: str = "n1") -> Spot:
    return Spot(load_balancer, POOL, node)


def seen(*cells: Cell | Seen, node: str = "n1") -> dict[Spot, Seen]:
    """What lb1, lb2, … show of a node."""
    return {
        at(f"lb{number}", node): cell if isinstance(cell, Seen) else Seen(cell) for number, cell in enumerate(cells, 1)
    }


def sends(phase: Phase, *actions: tuple[Action, str]) -> Send:
    return Send(phase, tuple(Change(at(name), action) for action, name in actions))


BUSY_DRAIN, BUSY_OUT = Seen(Cell.DRAIN, sessions=2), Seen(Cell.OUT, sessions=2)
UP_FOR_TESTS = Seen(Cell.TEST, testable=True)
UNDECIDED_OUT = Seen(Cell.OUT, undecided=2)
OVER = Clock(soft_over=True, hard_over=True)


@pytest.mark.parametrize(
    ("cells", "clock", "step"),
    [
        ([Cell.ON, Cell.ON], Clock(), sends(Phase.TAKE, (Action.DRAIN, "lb1"), (Action.DRAIN, "lb2"))),
        ([Cell.RISING, Cell.DRAIN], Clock(), sends(Phase.TAKE, (Action.DRAIN, "lb1"))),
        ([Cell.ON, Cell.TEST], Clock(), sends(Phase.TAKE, (Action.CLOSE, "lb2"), (Action.DRAIN, "lb1"))),
        ([Cell.DRAIN, Cell.TEST], Clock(), sends(Phase.TAKE, (Action.CLOSE, "lb2"))),
        ([Cell.BOTH, Cell.OUT], Clock(), sends(Phase.TAKE, (Action.CLOSE, "lb1"))),
        ([BUSY_DRAIN, Cell.DRAIN], Clock(), Wait(Phase.DRAINING, (at("lb1"),))),
        ([Seen(Cell.DRAIN, queued=1), Cell.OUT], Clock(), Wait(Phase.DRAINING, (at("lb1"),))),
        ([Seen(Cell.DRAIN, unknown=True), Cell.OUT], Clock(), Wait(Phase.DRAINING, (at("lb1"),))),
        ([BUSY_DRAIN, Cell.OUT], Clock(soft_over=True), sends(Phase.MAINT, (Action.MAINT, "lb1"))),
        ([Cell.DRAIN, Cell.DRAIN], Clock(cookies_stay=True), Wait(Phase.DRAINING, (at("lb1"), at("lb2")))),
        ([BUSY_DRAIN, Cell.OUT], Clock(cookies_stay=True), Wait(Phase.DRAINING, (at("lb1"),))),
        ([BUSY_OUT, Cell.OUT], Clock(cookies_stay=True), Wait(Phase.EMPTYING, (at("lb1"),))),
        ([Cell.OUT], Clock(cookies_stay=True), sends(Phase.OPEN, (Action.OPEN, "lb1"))),
        ([Cell.DRAIN, Cell.DRAIN], Clock(), sends(Phase.MAINT, (Action.MAINT, "lb1"), (Action.MAINT, "lb2"))),
        ([BUSY_OUT, Cell.OUT], Clock(soft_over=True), Wait(Phase.EMPTYING, (at("lb1"),))),
        ([Seen(Cell.OUT, unknown=True)], Clock(), Wait(Phase.EMPTYING, (at("lb1"),))),
        ([Seen(Cell.DRAIN, undecided=1), Cell.OUT], Clock(), Wait(Phase.DRAINING, (at("lb1"),))),
        ([Seen(Cell.OUT, undecided=1), Cell.OUT], Clock(), Wait(Phase.EMPTYING, (at("lb1"),))),
        ([Seen(Cell.TEST, undecided=1), Cell.TEST], Clock(), Done()),
        ([Seen(Cell.OUT, arriving=True, arrivals=1), Cell.OUT], Clock(), Wait(Phase.EMPTYING, (at("lb1"),))),
        ([Cell.TEST, Seen(Cell.TEST, arriving=True, arrivals=1)], Clock(), Wait(Phase.EMPTYING, (at("lb2"),))),
        ([Seen(Cell.TEST, arrivals=1), Cell.TEST], Clock(), Done()),
        ([BUSY_OUT, Cell.OUT], Clock(True, True, cut=True), sends(Phase.EMPTYING, (Action.CUT, "lb1"))),
        ([Cell.OUT, UNDECIDED_OUT], Clock(True, True, cut=True), Wait(Phase.EMPTYING, (at("lb2"),))),
        ([Cell.OUT, Seen(Cell.OUT, unknown=True)], Clock(True, True, cut=True), Wait(Phase.EMPTYING, (at("lb2"),))),
        ([BUSY_OUT, UNDECIDED_OUT], Clock(True, True, cut=True), sends(Phase.EMPTYING, (Action.CUT, "lb1"))),
        ([Seen(Cell.OUT, queued=3), Cell.OUT], Clock(), sends(Phase.OPEN, (Action.OPEN, "lb1"), (Action.OPEN, "lb2"))),
        ([Cell.OUT, Cell.TEST], Clock(), sends(Phase.OPEN, (Action.OPEN, "lb1"))),
        ([Cell.TEST, Cell.TEST], OVER, Done()),
    ],
)
def test_leave(cells: Sequence[Cell | Seen], clock: Clock, step: object) -> None:
    assert decide(seen(*cells), Intent.LEAVE, clock) == step


@pytest.mark.parametrize(
    ("clock", "told"), [(OVER, ""), (Clock(True, True, cut=True, cut_over=True), "though they were cut ")]
)
def test_sessions_at_the_hard_deadline_refuse(clock: Clock, told: str) -> None:
    step = decide(seen(BUSY_OUT, Cell.OUT), Intent.LEAVE, clock)
    assert isinstance(step, Refuse)
    assert step.reason == f"sessions are left {told}at the hard deadline (n1 in shop_online on lb1: 2)"


def test_sessions_that_nobody_tells_are_named_as_such() -> None:
    step = decide(seen(Seen(Cell.OUT, unknown=True)), Intent.LEAVE, OVER)
    assert isinstance(step, Refuse)
    assert "(n1 in shop_online on lb1: 0 and those of an old worker that does not answer)" in step.reason


@pytest.mark.parametrize("clock", [OVER, Clock(True, True, cut=True, cut_over=True)])
def test_requests_that_old_workers_may_still_send_refuse_at_the_hard_deadline(clock: Clock) -> None:
    step = decide(seen(UNDECIDED_OUT, Cell.OUT), Intent.LEAVE, clock)
    assert isinstance(step, Refuse)
    assert step.reason == (
        "old workers may still give customers' requests to nodes that left, at the hard deadline (lb1: 2)"
    )


@pytest.mark.parametrize("cell", [Cell.OUT, Cell.TEST])
def test_customers_who_come_in_spite_of_maint_refuse(cell: Cell) -> None:
    step = decide(seen(Cell.OUT, Seen(cell, arrivals=2)), Intent.LEAVE, Clock())
    assert isinstance(step, Refuse)
    assert step.reason == "customers still reach n1 in shop_online on lb2, which is in MAINT"
    assert "`option persist`" in step.remedy


FREE, UNWATCHED_OUT = Action.REENTER_UNCHECKED, Seen(Cell.OUT, unchecked=True)
PROVED = Clock(proved=frozenset({"n1"}))


@pytest.mark.parametrize(
    ("cells", "clock", "step"),
    [
        ([Cell.ON, Cell.ON], Clock(), Done()),
        ([Cell.TEST, UP_FOR_TESTS], Clock(), Wait(Phase.TESTING, (at("lb1"),))),
        ([UP_FOR_TESTS, UP_FOR_TESTS], Clock(), sends(Phase.CLOSE, (Action.CLOSE, "lb1"), (Action.CLOSE, "lb2"))),
        ([Cell.OUT, Cell.OUT], Clock(), sends(Phase.OPEN, (Action.OPEN, "lb1"), (Action.OPEN, "lb2"))),
        ([Cell.OUT, UP_FOR_TESTS], Clock(), sends(Phase.OPEN, (Action.OPEN, "lb1"))),
        ([Cell.OUT, Cell.TEST], PROVED, sends(Phase.CLOSE, (Action.CLOSE, "lb2"))),
        ([Cell.OUT, Cell.OUT], PROVED, sends(Phase.ENTER, (Action.REENTER, "lb1"), (Action.REENTER, "lb2"))),
        ([Cell.OUT, Cell.ON], Clock(), sends(Phase.ENTER, (Action.REENTER, "lb1"))),
        ([Cell.DRAIN, Cell.RISING], Clock(), sends(Phase.ENTER, (Action.REENTER, "lb1"))),
        ([Cell.BOTH, Cell.ON], Clock(), sends(Phase.CLOSE, (Action.CLOSE, "lb1"))),
        ([Cell.TEST, Cell.ON], Clock(), sends(Phase.CLOSE, (Action.CLOSE, "lb1"))),
        ([Cell.RISING, Cell.ON], Clock(), Wait(Phase.RISING, (at("lb1"),))),
        ([UNWATCHED_OUT, Cell.OUT], PROVED, sends(Phase.ENTER, (FREE, "lb1"), (Action.REENTER, "lb2"))),
        ([Seen(Cell.DRAIN, unchecked=True), Cell.ON], Clock(), sends(Phase.ENTER, (FREE, "lb1"))),
        ([Seen(Cell.RISING, unchecked=True), Cell.ON], Clock(), sends(Phase.ENTER, (FREE, "lb1"))),
        ([Seen(Cell.RISING, unchecked=True), Cell.RISING], Clock(), sends(Phase.ENTER, (FREE, "lb1"))),
    ],
)
def test_join(cells: Sequence[Cell | Seen], clock: Clock, step: object) -> None:
    assert decide(seen(*cells), Intent.JOIN, clock) == step


@pytest.mark.parametrize(("cell", "where"), [(Cell.TEST, "maintenance"), (Cell.RISING, "online")])
def test_a_join_that_takes_too_long_refuses(cell: Cell, where: str) -> None:
    other = UP_FOR_TESTS if cell is Cell.TEST else Cell.ON
    step = decide(seen(cell, other), Intent.JOIN, Clock(wait_over=True))
    assert isinstance(step, Refuse)
    assert step.reason == f"not UP in time in the {where} pool: n1 in shop_online on lb1"


@pytest.mark.parametrize(
    ("cells", "clock", "step"),
    [
        ([Cell.TEST, Cell.BOTH], Clock(), sends(Phase.CLOSE, (Action.CLOSE, "lb1"), (Action.CLOSE, "lb2"))),
        ([Cell.OUT, Cell.ON], Clock(), sends(Phase.ENTER, (Action.REENTER, "lb1"))),
        ([Cell.DRAIN, Cell.ON], Clock(), sends(Phase.ENTER, (Action.REENTER, "lb1"))),
        ([Seen(Cell.DRAIN, drained_by_us=True), Cell.ON], Clock(), sends(Phase.ENTER, (Action.READY, "lb1"))),
        ([Seen(Cell.OUT, drained_by_us=True), Cell.ON], Clock(), sends(Phase.ENTER, (Action.REENTER, "lb1"))),
        ([Cell.RISING, Cell.ON], Clock(), Wait(Phase.RISING, (at("lb1"),))),
        ([Cell.RISING, Cell.ON], Clock(wait_over=True), Done()),
        ([UNWATCHED_OUT, Cell.ON], Clock(), sends(Phase.ENTER, (FREE, "lb1"))),
        (
            [Seen(Cell.DRAIN, drained_by_us=True, unchecked=True), Cell.ON],
            Clock(),
            sends(Phase.ENTER, (Action.READY, "lb1")),
        ),
        ([Cell.ON, Cell.ON], Clock(), Done()),
    ],
)
def test_undo(cells: Sequence[Cell | Seen], clock: Clock, step: object) -> None:
    assert decide(seen(*cells), Intent.UNDO, clock) == step


@pytest.mark.parametrize("intent", list(Intent))
def test_a_state_that_no_move_makes_is_refused_for_the_whole_wave(intent: Intent) -> None:
    step = decide(seen(Cell.ON, Cell.ODD) | seen(Cell.ON, Cell.ON, node="n2"), intent, Clock())
    assert isinstance(step, Refuse)
    assert "n1 in shop_online on lb2" in step.reason


def test_a_wave_is_where_its_last_node_is() -> None:
    ahead, behind = seen(Cell.OUT, Cell.OUT, node="n2"), seen(BUSY_DRAIN, Cell.DRAIN)
    assert decide(ahead | behind, Intent.LEAVE, Clock()) == Wait(Phase.DRAINING, (at("lb1"),))
    assert decide(ahead | seen(Cell.TEST, Cell.TEST), Intent.LEAVE, Clock()) == Send(
        Phase.OPEN, (Change(at("lb1", "n2"), Action.OPEN), Change(at("lb2", "n2"), Action.OPEN))
    )


SOMEWHERE = [cell for cell in Cell if cell is not Cell.ODD]


@pytest.mark.parametrize("intent", list(Intent))
def test_every_combination_of_cells_has_a_next_step(intent: Intent) -> None:
    done = {Intent.LEAVE: {Cell.TEST}, Intent.JOIN: {Cell.ON}, Intent.UNDO: {Cell.ON}}[intent]
    for cells in product(SOMEWHERE, repeat=3):
        step = decide(seen(*cells), intent, Clock())
        assert isinstance(step, Done) == (set(cells) <= done), (cells, step)


@pytest.mark.parametrize("intent", list(Intent))
def test_the_health_of_a_server_is_only_forced_down_where_customers_do_not_come(intent: Intent) -> None:
    for cells, clock in product(product(SOMEWHERE, repeat=3), [Clock(), OVER, PROVED]):
        step = decide(seen(*cells), intent, clock)
        if not isinstance(step, Send):
            continue
        by_name = {f"lb{number}": cell for number, cell in enumerate(cells, 1)}
        for change in step.changes:
            if change.action is Action.REENTER:
                assert by_name[change.spot.load_balancer] in (Cell.OUT, Cell.DRAIN)
            if change.action is Action.OPEN:
                assert set(cells) <= {Cell.OUT, Cell.TEST}, "testers wait until customers are gone everywhere"


def test_changes_are_haproxys_commands() -> None:
    assert Change(at("lb1"), Action.REENTER).commands == (
        f"set server {ONLINE}/n1 state drain",
        f"set server {ONLINE}/n1 health down",
        f"set server {ONLINE}/n1 state ready",
    )
    assert Change(at("lb1"), Action.REENTER_UNCHECKED).commands == (
        f"set server {ONLINE}/n1 health up",
        f"set server {ONLINE}/n1 state ready",
    )
    assert Change(at("lb1"), Action.CLOSE).commands == (f"set server {MAINTENANCE}/n1 state maint",)
    assert Change(at("lb1"), Action.CUT).commands == (f"shutdown sessions server {ONLINE}/n1",)


@pytest.mark.parametrize(
    ("cells", "ours", "stranger"),
    [
        ([Cell.ON, Cell.ON], (), False),
        ([Cell.RISING, Cell.ON], (), False),
        ([Cell.TEST, Cell.TEST], (), True),
        ([Cell.ON, Cell.OUT], (), True),
        ([Cell.DRAIN, Cell.DRAIN], (), True),
        ([Cell.BOTH, Cell.ON], ("n2",), True),
        ([Cell.BOTH, Cell.OUT], ("n1",), False),
        ([Cell.TEST, Cell.TEST], ("n1",), False),
        ([Cell.ON, Cell.ODD], ("n1",), True),
    ],
)
def test_only_our_own_moves_explain_a_node_that_is_not_online(
    cells: Sequence[Cell], ours: Sequence[str], stranger: bool
) -> None:
    refusal = unexplained(seen(*cells), ours)
    assert (refusal is not None) is stranger
    if refusal:
        assert f"{cells[1]} in shop_online on lb2" in refusal.reason


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([Cell.OUT, Cell.OUT], RefusalKind.IN_NEITHER),
        ([Cell.BOTH, Cell.ON], RefusalKind.IN_BOTH),
        ([Cell.BOTH, Cell.OUT], RefusalKind.IN_BOTH),
        ([Cell.OUT, Cell.ON], RefusalKind.FOREIGN),
        ([Cell.TEST, Cell.TEST], RefusalKind.FOREIGN),
        ([Cell.DRAIN, Cell.ON], RefusalKind.FOREIGN),
    ],
)
def test_what_is_unexplained_is_told_by_its_kind(cells: Sequence[Cell], kind: RefusalKind) -> None:
    refusal = unexplained(seen(*cells), ())
    assert refusal is not None and refusal.kind is kind
