from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, Seen, Spot
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_report import (
    MoveReport,
    Stuck,
    Trace,
    Undone,
    failed,
    refused,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Action, Intent, Refuse
from tests.unit.plugins.module_utils.haproxy_rows import pool

HERE, THERE = Spot("lb1", pool(), "n1"), Spot("lb2", pool(), "n1")
ACCESSES = {name: AdminAccess(name, f"/run/{name}.sock", "/m") for name in ("lb1", "lb2")}
DRAINED = Seen(Cell.DRAIN, drained_by_us=True)


@pytest.mark.parametrize(
    ("intent", "trace", "repair"),
    [
        (Intent.LEAVE, Trace(Seen(Cell.ON)), ()),
        (Intent.LEAVE, Trace(Seen(Cell.RISING)), ()),
        (Intent.LEAVE, Trace(DRAINED), (Action.READY,)),
        (Intent.LEAVE, Trace(Seen(Cell.DRAIN)), (Action.REENTER,)),
        (Intent.LEAVE, Trace(Seen(Cell.OUT)), (Action.REENTER,)),
        (Intent.LEAVE, Trace(Seen(Cell.TEST)), (Action.CLOSE, Action.REENTER)),
        (Intent.LEAVE, Trace(Seen(Cell.ON), (), silent=True), ()),
        (Intent.LEAVE, Trace(Seen(Cell.ON), (Action.DRAIN,), silent=True), (Action.READY,)),
        (Intent.LEAVE, Trace(DRAINED, (Action.DRAIN, Action.MAINT), silent=True), (Action.REENTER,)),
        (
            Intent.LEAVE,
            Trace(Seen(Cell.OUT), (Action.DRAIN, Action.MAINT, Action.OPEN), silent=True),
            (Action.CLOSE, Action.REENTER),
        ),
        (Intent.JOIN, Trace(Seen(Cell.TEST)), ()),
        (Intent.JOIN, Trace(Seen(Cell.OUT)), ()),
        (Intent.JOIN, Trace(Seen(Cell.ON)), (Action.MAINT,)),
        (Intent.JOIN, Trace(Seen(Cell.DRAIN)), (Action.MAINT,)),
        (Intent.JOIN, Trace(Seen(Cell.BOTH)), (Action.MAINT,)),
        (Intent.JOIN, Trace(Seen(Cell.TEST), (), silent=True), ()),
        (Intent.JOIN, Trace(Seen(Cell.OUT), (Action.CLOSE, Action.REENTER), silent=True), (Action.MAINT,)),
    ],
)
def test_what_a_person_has_to_send(intent: Intent, trace: Trace, repair: tuple[Action, ...]) -> None:
    assert trace.repair(intent) == repair


def test_everything_restored_is_undone() -> None:
    error = failed(Intent.LEAVE, Refuse("why", "Do this"), {HERE: Trace(Seen(Cell.ON))}, ACCESSES)
    assert isinstance(error, Undone)
    assert str(error) == "why; online again: n1 in shop_online on lb1. Do this. Then run again"


def test_what_is_not_restored_is_named_with_place_and_command() -> None:
    traces = {HERE: Trace(Seen(Cell.ON)), THERE: Trace(DRAINED, (Action.DRAIN,), silent=True)}
    error = failed(Intent.LEAVE, Refuse("lb2 is silent"), traces, ACCESSES)
    assert isinstance(error, Stuck)
    assert str(error) == (
        "lb2 is silent; online again: n1 in shop_online on lb1; NOT online again: n1 in shop_online on lb2 "
        "(lb2, /run/lb2.sock). As soon as it answers, run on lb2: "
        "echo 'set server shop_online/n1 state ready' | socat - UNIX-CONNECT:/run/lb2.sock. Then run again"
    )


def test_a_load_balancer_that_answers_is_not_waited_for() -> None:
    traces = {HERE: Trace(Seen(Cell.ODD), (Action.DRAIN,))}
    error = failed(Intent.LEAVE, Refuse("it is odd"), traces, ACCESSES)
    assert isinstance(error, Stuck)
    assert error.remedy.startswith("Run on lb1: echo ")


def test_refusals_are_told_together_and_remedies_once() -> None:
    error = refused([Refuse(f"reason {number}", "the same remedy") for number in range(7)])
    assert str(error) == (
        "reason 0; reason 1; reason 2; reason 3; reason 4; and 2 more; nothing was touched. the same remedy"
    )


def test_the_first_reading_is_before_and_the_last_is_after() -> None:
    report = MoveReport()
    for cell in (Cell.ON, Cell.DRAIN, Cell.TEST):
        report.seen({HERE: Seen(cell)})
    assert (report.before, report.after) == ({HERE: Cell.ON}, {HERE: Cell.TEST})


def test_a_node_is_drained_when_it_is_on_all_load_balancers() -> None:
    report = MoveReport()
    report.seen({HERE: Seen(Cell.ON), THERE: Seen(Cell.ON)})
    report.drained({HERE: DRAINED, THERE: Seen(Cell.ON)}, 1)
    report.drained({HERE: DRAINED, THERE: Seen(Cell.DRAIN, sessions=1)}, 2)
    assert report.drained_seconds == {}
    report.drained({HERE: DRAINED, THERE: DRAINED}, 3.04)
    report.drained({HERE: DRAINED, THERE: DRAINED}, 9)
    assert report.drained_seconds == {"n1": 3.0}


def test_a_node_to_which_cookies_bring_customers_back_is_not_drained_before_maint() -> None:
    report = MoveReport()
    report.seen({HERE: Seen(Cell.ON)})
    report.drained({HERE: DRAINED}, 1, more_may_come=True)
    assert report.drained_seconds == {}
    report.drained({HERE: Seen(Cell.OUT)}, 5, more_may_come=True)
    assert report.drained_seconds == {"n1": 5}


def test_a_node_that_was_out_before_was_not_drained() -> None:
    report = MoveReport()
    report.seen({HERE: Seen(Cell.TEST)})
    report.drained({HERE: Seen(Cell.TEST)}, 0)
    assert report.drained_seconds == {}
