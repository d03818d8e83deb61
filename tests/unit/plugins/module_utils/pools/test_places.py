from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState, OldWorker
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, classify
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.places import (
    PoolSeen,
    is_out,
    place_of,
    pool_values,
    pools_table,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share
from tests.unit.plugins.module_utils import haproxy_rows as shown
from tests.unit.plugins.module_utils.haproxy_rows import MAINTENANCE, ONLINE, row, state

POOL = PoolSeen(
    service="shop",
    site="east",
    online=ONLINE,
    maintenance=MAINTENANCE,
    min_online=Share.parse("60%"),
    nodes=("n1", "n2", "n3"),
    taken_by={"n1": "ann by hand", "n2": "bob by hand"},
)
GONE = Unreachable("no route", where="lb2")
# Ready, drained, in MAINT; then drained in MAINT, and what no move does: tracked, drained by tracking, not resolved.
ROWS = (
    *(shown.READY, shown.JUST_READY, shown.DOWN, shown.READY_THOUGH_DISABLED, shown.STOPPING),
    *(shown.DRAIN, shown.DRAIN_DEAD, shown.MAINT, shown.DISABLED),
    *(("MAINT", 0, 9), ("MAINT", 0, 2), ("DRAIN", 2, 16), ("MAINT", 0, 32)),
)


def seen() -> LoadBalancerState:
    busy = OldWorker(41, {(ONLINE, "n1"): 2, (MAINTENANCE, "n1"): 1, (ONLINE, "n2"): 1})
    return state("lb1", {"n1": shown.ON, "n2": shown.TEST, "n3": shown.OUT}, busy)


@pytest.mark.parametrize(
    ("entries", "place"),
    [
        (shown.ON, "online"),
        (shown.RISING, "online, but DOWN"),
        (shown.TEST, "maintenance"),
        ((shown.DRAIN, shown.READY_THOUGH_DISABLED), "maintenance (DRAIN)"),
        (shown.OUT, "out (MAINT)"),
        (shown.DRAINED, "out (DRAIN)"),
    ],
)
def test_a_node_has_one_place(entries: tuple[tuple[str, int, int], tuple[str, int, int]], place: str) -> None:
    assert place_of(state("lb1", {"n1": entries}), ONLINE, MAINTENANCE, "n1") == place


@pytest.mark.parametrize("online", ROWS)
def test_a_place_is_what_the_cell_of_a_move_says(online: tuple[str, int, int]) -> None:
    """But for BOTH and ODD, which are no places that a move leaves a node in."""
    for maintenance, weight in product(ROWS, (0, 1)):
        here, there = row("n1", online, weight=weight), row("n1", maintenance, MAINTENANCE)
        shows = replace(seen(), servers={here.key: here, there.key: there})
        place = place_of(shows, ONLINE, MAINTENANCE, "n1")
        match classify(here, there):
            case Cell.ON | Cell.RISING:
                assert place.split(",")[0] == "online"
            case Cell.OUT | Cell.DRAIN:
                assert place == f"out ({online[0]})"
            case Cell.TEST:
                assert place == "maintenance"


def test_a_node_that_is_not_in_both_is_missing_and_silence_is_no_place() -> None:
    assert place_of(seen(), ONLINE, "other", "n1") == "missing"
    assert place_of(GONE, ONLINE, MAINTENANCE, "n1") == "unknown"


def test_a_pool_is_told_with_what_its_floor_leaves() -> None:
    [told] = pool_values(POOL, {"lb1": seen()})
    assert {key: told[key] for key in ("service", "site", "load_balancer", "min_online")} == {
        "service": "shop",
        "site": "east",
        "load_balancer": "lb1",
        "min_online": "60%",
    }
    assert (told["configured"], told["usable"], told["floor"], told["problem"]) == (3, 1, 2, "")
    assert told["nodes"][1] == {
        "name": "n2",
        "place": "maintenance",
        "taken_by": "bob by hand",
        "online": {"status": "MAINT", "admin": ["forced_maint"], "weight": 1, "sessions": 1},
        "maintenance": {"status": "UP", "admin": ["disabled_in_config"], "weight": 1, "sessions": 0},
    }


def test_nobody_took_out_what_is_online() -> None:
    [told] = pool_values(POOL, {"lb1": seen()})
    assert [node["taken_by"] for node in told["nodes"]] == ["", "bob by hand", ""]


def test_a_silent_load_balancer_is_told_as_such() -> None:
    [told] = pool_values(POOL, {"lb2": GONE})
    assert (told["configured"], told["usable"], told["floor"], told["problem"]) == (None, None, None, "no route (lb2).")
    assert told["nodes"][0] == {"name": "n1", "place": "unknown", "taken_by": "ann by hand", "online": None} | {
        "maintenance": None
    }


def test_the_table_has_a_column_a_load_balancer() -> None:
    assert pools_table(pool_values(POOL, {"lb1": seen(), "lb2": GONE})) == [
        "shop at east: shop_online and shop_maintenance, min_online 60%",
        "  node  lb1: 1 of 3 usable, floor 2  lb2: no answer",
        "  n1    online, 3 sessions           unknown         taken out by ann by hand",
        "  n2    maintenance, 1 session       unknown         taken out by bob by hand",
        "  n3    out (MAINT)                  unknown",
        "  lb2 did not answer: no route (lb2).",
    ]


def test_each_pool_of_each_service_has_a_table_of_its_own() -> None:
    other = replace(POOL, service="other", nodes=("n3",))
    lines = pools_table([*pool_values(POOL, {"lb1": seen()}), *pool_values(other, {"lb1": seen()})])
    assert [line for line in lines if not line.startswith(" ")] == [
        "shop at east: shop_online and shop_maintenance, min_online 60%",
        "other at east: shop_online and shop_maintenance, min_online 60%",
    ]


def test_a_node_of_two_pools_is_out_only_where_one_of_them_has_it_out() -> None:
    assert not is_out({"lb1": ["online", "online"], "lb2": ["online", "online"]})
    assert is_out({"lb1": ["online", "online"], "lb2": ["online", "out (MAINT)"]})
    assert not is_out({})
