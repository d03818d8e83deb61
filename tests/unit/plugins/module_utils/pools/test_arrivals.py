from __future__ import annotations

from collections.abc import Sequence

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.pools.arrivals import Arrivals
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, Seen, Spot
from tests.unit.plugins.module_utils.haproxy_rows import pool, row

HERE = Spot("lb1", pool(), "n1")
Look = tuple[Cell, int, int]


@pytest.mark.parametrize(
    ("looks", "arrivals"),
    [
        ([(Cell.OUT, 50, 0), (Cell.OUT, 50, 0), (Cell.TEST, 50, 0)], [0, 0, 0]),
        ([(Cell.OUT, 50, 0), (Cell.OUT, 51, 1), (Cell.TEST, 53, 1), (Cell.TEST, 53, 0)], [0, 1, 2, 2]),
        # Two in flight are tried again: that is two more, and no more.
        ([(Cell.OUT, 50, 2), (Cell.OUT, 51, 2), (Cell.OUT, 52, 2), (Cell.OUT, 53, 3)], [0, 0, 0, 1]),
        # HAProxy began anew in between, or somebody cleared its counters.
        ([(Cell.OUT, 50, 0), (Cell.OUT, 0, 0), (Cell.OUT, 0, 0)], [0, 0, 0]),
        ([(Cell.OUT, 50, 0), (Cell.OUT, 0, 0), (Cell.OUT, 3, 0), (Cell.OUT, 4, 1)], [0, 0, 1, 2]),
        ([(Cell.DRAIN, 50, 0), (Cell.DRAIN, 60, 1), (Cell.OUT, 60, 0), (Cell.OUT, 60, 0)], [0, 0, 0, 0]),
        ([(Cell.OUT, 50, 0), (Cell.OUT, 51, 0), (Cell.RISING, 52, 0), (Cell.OUT, 60, 0)], [0, 1, 0, 0]),
    ],
)
def test_new_sessions_in_maint_are_counted_by_looks(looks: Sequence[Look], arrivals: Sequence[int]) -> None:
    counting = Arrivals()
    seen = [counting.told(HERE, Seen(cell), row(begun=begun, sessions=held)) for cell, begun, held in looks]
    assert [what.arrivals for what in seen] == list(arrivals)
    assert [what.arriving for what in seen] == [
        what.arrivals > before for what, before in zip(seen, [0, *arrivals], strict=False)
    ]
