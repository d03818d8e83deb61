from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import ServerRow
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.capacity import capacity, drained_healthy, usable
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.floors import Floors
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share
from tests.unit.plugins.module_utils import haproxy_rows as shown
from tests.unit.plugins.module_utils.haproxy_rows import pool, row, state


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (row(), True),
        (row(shown=shown.READY_THOUGH_DISABLED), True),
        (row(shown=shown.JUST_READY), False),
        (row(shown=shown.DOWN), False),
        (row(shown=shown.DRAIN), False),
        (row(shown=shown.MAINT), False),
        (row(shown=shown.STOPPING), False),
        (row(weight=0), False),
        (row(backup=True), False),
        (row(status="no check"), False),
        (row(shown=("UP", 2, 32)), False),
        (row(shown=("UP", 1, 0)), False),
    ],
)
def test_only_a_ready_checked_weighted_server_that_is_up_is_usable(server: ServerRow, expected: bool) -> None:
    assert usable(server) is expected


def test_a_server_without_checks_counts_by_opt_in_only() -> None:
    unchecked = [row(f"n{number}", ("no check", 2, 0), checked=False) for number in (1, 2, 3)]
    assert all(usable(each, unchecked=True) for each in unchecked)
    assert not usable(row(shown=("no check", 2, 8)), unchecked=True)
    assert capacity(unchecked, ["n1"], Share.parse("3")).given == 0
    now = capacity(unchecked, ["n1"], Share.parse("3"), unchecked=True)
    assert (now.usable, now.given, now.left, now.kept) == (3, 1, 2, False)


def rows(up: int, down: int = 0) -> list[ServerRow]:
    return [row(f"n{number}", shown.READY if number <= up else shown.DOWN) for number in range(1, up + down + 1)]


@pytest.mark.parametrize(
    ("up", "down", "wave", "floor", "kept"),
    [
        (6, 0, ["n1", "n2"], "60%", True),
        (6, 0, ["n1", "n2", "n3"], "60%", False),
        (5, 1, ["n1", "n2"], "60%", False),
        (5, 1, ["n1", "n6"], "60%", True),
        (2, 4, ["n5", "n6"], "60%", True),
        (2, 4, ["n1"], "60%", False),
        (1, 0, ["n1"], "0", True),
        (1, 0, ["n1"], "1", False),
        (3, 0, [], "100%", True),
    ],
)
def test_the_floor_counts_configured_servers_and_what_the_wave_takes(
    up: int, down: int, wave: list[str], floor: str, kept: bool
) -> None:
    assert capacity(rows(up, down), wave, Share.parse(floor)).kept is kept


def test_what_was_taken_before_still_counts_as_taken() -> None:
    draining = [row("n1", shown.DRAIN), *(row(f"n{number}") for number in range(2, 5)), row("n5", shown.DOWN)]
    assert capacity(draining, ["n1"], Share.parse("4")).kept
    now = capacity(draining, ["n1"], Share.parse("4"), taken=["n1"])
    assert (now.left, now.usable, now.floor, now.kept) == (3, 4, 4, False)


def test_the_floor_of_a_pool_that_allows_it_counts_servers_without_checks() -> None:
    made = state("lb1", dict.fromkeys(("n1", "n2", "n3"), (("no check", 2, 0), shown.DISABLED)))
    allowing = replace(pool("n1", floor="3"), unchecked=True)
    broken = Floors([allowing]).broken({"lb1": made})
    assert broken is not None and broken.kind is RefusalKind.FLOOR
    assert "would keep 2 of 3 usable servers without n1" in broken.reason
    assert Floors([replace(allowing, floor=Share.parse("2"))]).broken({"lb1": made}) is None


def test_a_server_in_doubt_is_not_counted_on_and_still_given_away() -> None:
    doubtful = [row("n1", shown.JUST_READY), *(row(f"n{number}") for number in range(2, 5))]
    now = capacity(doubtful, ["n1"], Share.parse("100%"))
    assert (now.left, now.given, now.kept) == (3, 1, False)
    assert not capacity(doubtful, ["n2"], Share.parse("3")).kept
    assert capacity(doubtful, ["n1"], Share.parse("3")).kept


def test_a_drain_of_a_healthy_server_can_be_seen() -> None:
    assert drained_healthy(row(shown=shown.DRAIN))
    assert not drained_healthy(row(shown=shown.DRAIN_DEAD))
    assert not drained_healthy(row(shown=shown.MAINT))


def test_each_load_balancer_is_asked_for_its_own_floor() -> None:
    fine = state("lb1", dict.fromkeys(("n1", "n2", "n3"), shown.ON))
    worse = state("lb2", {"n1": shown.ON, "n2": shown.ON, "n3": shown.RISING})
    assert Floors([pool("n1", floor="2")]).broken({"lb1": fine}) is None
    broken = Floors([pool("n1", floor="2")]).broken({"lb1": fine, "lb2": worse})
    assert broken is not None
    assert broken.reason == (
        "shop_online on lb2 would keep 1 of 2 usable servers without n1; min_online 2 of 3 configured ones is 2"
    )
    assert "min_online" in broken.remedy


def test_a_floor_that_breaks_while_the_wave_is_in_maint_is_seen_from_memory() -> None:
    floors = Floors([pool("n1", floor="2")])
    assert floors.broken({"lb1": state("lb1", dict.fromkeys(("n1", "n2", "n3"), shown.ON))}) is None
    later = state("lb1", {"n1": shown.OUT, "n2": shown.ON, "n3": shown.RISING})
    assert floors.broken({"lb1": later}) is not None
    assert Floors([pool("n1", floor="2")]).broken({"lb1": later}) is None
