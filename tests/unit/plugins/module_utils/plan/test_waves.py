from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.waves import PoolView, blocking, cut_waves, fitting
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share

SIX = ["n1", "n2", "n3", "n4", "n5", "n6"]
BOTH = frozenset({"n6", "p1"})
SIZES = [Share.parse(size) for size in (1, "25%", "100%")]


def pool(usable: list[str], min_online: str | int = "60%", configured: int = 6, lb: str = "lb1") -> PoolView:
    servers = frozenset(f"n{number}" for number in range(1, configured + 1))
    return PoolView("tradeapi", "tradeapi_online", lb, Share.parse(min_online), servers, frozenset(usable))


def sizes(nodes: list[str], *pools: PoolView) -> list[int]:
    return [len(wave.nodes) for wave in cut_waves(nodes, SIZES, 6, pools)]


def test_a_descriptors_sizes_are_ceilings_and_the_floor_decides() -> None:
    assert sizes(SIX, pool(SIX)) == [1, 1, 2, 2]


def test_without_a_floor_the_last_size_takes_the_rest() -> None:
    assert sizes(SIX, pool(SIX, 0)) == [1, 1, 4]


def test_a_node_that_no_load_balancer_can_use_takes_nothing_from_the_floor() -> None:
    # Four usable of six is the floor itself: the two that are down may go all the same.
    everything_at_once = [Share.parse("100%")]
    assert [wave.nodes for wave in cut_waves(["n5", "n6"], everything_at_once, 6, [pool(SIX[:4])])] == [("n5", "n6")]


def test_the_poorest_load_balancer_decides() -> None:
    waves = cut_waves(SIX, [Share.parse("100%")], 6, [pool(SIX), pool(SIX[:5], lb="lb2")])
    assert [len(wave.nodes) for wave in waves] == [1, 1, 1, 1, 2]
    assert "lb2" in waves[0].limited_by


def test_it_is_refused_when_not_even_one_node_may_leave() -> None:
    with pytest.raises(Refused) as refused:
        sizes(SIX, pool(SIX, "100%"))
    assert "keeps 5 of 6 usable servers without n1, and min_online 100% asks for 6" in str(refused.value)
    assert "set min_online of tradeapi to 83% or less" in str(refused.value)
    assert """-e '{"exclude": ["n1"]}'""" in str(refused.value)
    assert refused.value.where == "tradeapi: min_online"


def test_the_floor_of_a_service_beside_it_counts_too() -> None:
    feed = PoolView("pricefeed", "pricefeed_online", "lb1", Share.parse("100%"), BOTH, BOTH)
    assert [wave.nodes for wave in cut_waves(SIX[:5], [Share.parse(3)], 6, [pool(SIX, 0), feed])] == [
        ("n1", "n2", "n3"),
        ("n4", "n5"),
    ]
    with pytest.raises(Refused, match="pricefeed_online on lb1"):
        cut_waves(["n6"], SIZES, 6, [pool(SIX), feed])


@given(
    st.integers(1, 12),
    st.integers(0, 100),
    st.lists(st.integers(0, 11), unique=True),
    st.lists(st.integers(1, 100), min_size=1, max_size=4),
)
def test_no_wave_ever_breaks_a_floor_and_every_node_goes_once(
    total: int, percent: int, down: list[int], shares: list[int]
) -> None:
    nodes = [f"n{number + 1}" for number in range(total)]
    usable = [node for number, node in enumerate(nodes) if number not in down]
    view = pool(usable, f"{percent}%", total)
    try:
        waves = cut_waves(nodes, [Share.parse(f"{share}%") for share in shares], total, [view])
    except Refused:
        assert any(not view.allows([node]) for node in nodes)
        return
    assert [node for wave in waves for node in wave.nodes] == nodes
    for wave in waves:
        assert view.allows(wave.nodes)
        assert 1 <= len(wave.nodes) <= wave.asked
        view = view.after(wave.nodes)


def test_nodes_that_a_held_wave_left_out_make_room_once_they_have_joined() -> None:
    # n1 and n2 are held, so four of six are the floor itself: n3 may leave only after they are back.
    waves = cut_waves(["n1", "n2", "n3"], [Share.parse("100%")], 6, [pool(SIX[2:])])
    assert [wave.nodes for wave in waves] == [("n1", "n2"), ("n3",)]
    with pytest.raises(Refused, match="without n3"):
        cut_waves(["n3"], SIZES, 6, [pool(SIX[2:])])


def test_a_node_in_doubt_counts_for_no_floor_and_may_not_leave_below_it() -> None:
    """Customers' requests still go to it, since HAProxy takes it out only after a second failed check."""
    servers = frozenset({"n1", "n2", "n3", "n4", "n5"})
    view = PoolView("s", "s_online", "lb1", Share.parse("60%"), servers, frozenset({"n1", "n2"}), frozenset({"n3"}))
    assert not view.allows(["n3"])
    assert view.allows(["n4", "n5"])
    assert view.after(["n3", "n4", "n5"]).allows(["n3"])


def test_of_nodes_that_do_not_fit_together_those_that_do_are_named() -> None:
    pools = [pool(SIX[:5]), pool(SIX, lb="lb2")]
    full = blocking(pools, ["n1", "n2", "n3"])
    assert full is not None
    assert full.load_balancer == "lb1"
    assert fitting(pools, ["n1", "n2", "n6"]) == ["n1", "n6"]
    assert blocking(pools, ["n1", "n6"]) is None
