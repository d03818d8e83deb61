"""The cell of a node as a table: what two rows of one load balancer and its old workers make of it."""

from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import OldWorker
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, Seen, classify, look
from tests.unit.plugins.module_utils import haproxy_rows as shown
from tests.unit.plugins.module_utils.haproxy_rows import MAINTENANCE, ONLINE, pool, row, state

Shown = tuple[str, int, int]


@pytest.mark.parametrize(
    ("online", "maintenance", "cell"),
    [
        (shown.READY, shown.DISABLED, Cell.ON),
        (shown.READY_THOUGH_DISABLED, shown.MAINT, Cell.ON),
        (shown.JUST_READY, shown.DISABLED, Cell.RISING),
        (shown.DOWN, shown.DISABLED, Cell.RISING),
        (shown.STOPPING, shown.DISABLED, Cell.RISING),
        (shown.DRAIN, shown.DISABLED, Cell.DRAIN),
        (shown.DRAIN_DEAD, shown.MAINT, Cell.DRAIN),
        (shown.MAINT, shown.DISABLED, Cell.OUT),
        (("MAINT", 0, 9), shown.DISABLED, Cell.OUT),
        (shown.DISABLED, shown.READY, Cell.TEST),
        (shown.MAINT, ("DOWN", 0, 4), Cell.TEST),
        (shown.READY, shown.READY, Cell.BOTH),
        (shown.DRAIN, shown.READY_THOUGH_DISABLED, Cell.BOTH),
        (("MAINT", 0, 2), shown.DISABLED, Cell.ODD),
        (("DRAIN", 2, 16), shown.DISABLED, Cell.ODD),
        (shown.READY, ("MAINT", 0, 32), Cell.ODD),
        (shown.READY, shown.DRAIN, Cell.ODD),
    ],
)
def test_two_rows_make_a_cell(online: Shown, maintenance: Shown, cell: Cell) -> None:
    assert classify(row(shown=online), row(shown=maintenance, backend=MAINTENANCE)) is cell


UNCHECKED, UNCHECKED_DOWN = ("no check", 2, 0), ("DOWN", 0, 0)


@pytest.mark.parametrize(
    ("online", "allowed", "cell"),
    [
        (UNCHECKED, True, Cell.ON),
        (("no check", 2, 4), True, Cell.ON),
        (UNCHECKED, False, Cell.RISING),
        (UNCHECKED_DOWN, True, Cell.RISING),
        (shown.DRAIN, True, Cell.DRAIN),
        (shown.MAINT, True, Cell.OUT),
    ],
)
def test_a_server_without_checks_is_on_by_opt_in_only(online: Shown, allowed: bool, cell: Cell) -> None:
    assert classify(row(shown=online), row(shown=shown.DISABLED, backend=MAINTENANCE), unchecked=allowed) is cell


def test_looking_adds_old_workers_and_admits_what_they_do_not_tell() -> None:
    asked = OldWorker(5, {(ONLINE, "n1"): 2})
    assert look(state("lb1", {"n1": shown.OUT}, asked), pool(), "n1") == Seen(Cell.OUT, sessions=2)
    assert look(state("lb1", {"n1": shown.OUT}, OldWorker(5, None)), pool(), "n1").serving
    assert look(state("lb1", {"n1": shown.OUT}, OldWorker(5, {}, undecided=1)), pool(), "n1").serving
    assert look(state("lb1", {"n1": shown.TEST}), pool(), "n1").testable
