"""What a plan sees of pools whose servers HAProxy does not check, and of freezes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import load_catalog
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.placement import Placement, place
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.history import History
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import Plan, PlannedWave, Served, Standing
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.freeze import Freeze, reason_text
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking import proof
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.survey import Look, require_fit, site_view
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.plan_facts import wave_facts
from tests.unit.plugins.module_utils import haproxy_rows as shown
from tests.unit.plugins.module_utils.haproxy_rows import MAINTENANCE, ONLINE, state

CATALOG = load_catalog(str(Path(__file__).resolve().parents[5] / "services"), "lab")
NODES = ("n1", "n2")


def placed(unchecked: str) -> Placement:
    trade = CATALOG["tradeapi"]
    names = {"online": ONLINE, "maintenance": MAINTENANCE, "unchecked": unchecked}
    service = trade.model_copy(update={"pools": [trade.pools[0].model_copy(update=names)]})
    return place(service, {"tradeapi": service}, {"tradeapi": NODES, "edge": ["lb1"]})[0]


@pytest.fixture
def states() -> dict[str, LoadBalancerState]:
    made = state("lb1", dict.fromkeys(NODES, (("no check", 2, 0), shown.DISABLED)))
    return {"lb1": replace(made, servers={key: replace(row, checked=False) for key, row in made.servers.items()})}


def test_a_plan_counts_servers_without_checks_where_the_pool_allows_them(states: dict[str, LoadBalancerState]) -> None:
    placement = placed("allow")
    require_fit(placement, states)
    looks = {name: Look({"tradeapi": Served()}, {}) for name in NODES}
    site = site_view(placement, states, looks, History({}, {}))
    assert {node.standing for node in site.nodes} == {Standing.ONLINE}
    assert site.pools[0].usable == {*NODES}


@pytest.mark.parametrize(("ours", "foreign"), [(True, ""), (False, "deployment d1 of shop")])
def test_a_freeze_of_another_ledgers_deployment_is_somebody_elses(
    states: dict[str, LoadBalancerState], ours: bool, foreign: str
) -> None:
    freeze = Freeze(reason_text("d1", "shop", "ann"))
    looks = {name: Look({"tradeapi": Served()}, {}, freeze=freeze, ours=ours) for name in NODES}
    for node in site_view(placed("allow"), states, looks, History({}, {})).nodes:
        assert node.our_freeze == ("d1" if ours else "")
        assert foreign in node.foreign_freeze and bool(node.foreign_freeze) is not ours


def test_a_plan_refuses_them_where_it_does_not(states: dict[str, LoadBalancerState]) -> None:
    with pytest.raises(Refused, match=f"{ONLINE}/n1 has no health check that runs: .* \\(and 3 more like it\\)"):
        require_fit(placed("refuse"), states)


@pytest.mark.parametrize("unchecked", ["allow", "refuse"])
def test_a_wave_carries_what_its_pools_allow(unchecked: str) -> None:
    wave = PlannedWave("lab", ("lb1",), ("n1",), asked=1)
    [told] = wave_facts(Plan((), (wave,)), {"lab": placed(unchecked)})
    assert [(pool["online"], pool["unchecked"]) for pool in told["pools"]] == [(ONLINE, unchecked)]


@pytest.mark.parametrize(
    ("unchecked", "problems"), [("allow", []), ("refuse", ["n1 is no check in shop_online on lb1"])]
)
def test_a_wave_without_checks_is_online_where_the_pool_allows_it(
    states: dict[str, LoadBalancerState], unchecked: str, problems: list[str]
) -> None:
    pool = {"online": ONLINE, "nodes": ["n1"], "unchecked": unchecked}
    assert proof._not_online("lb1", states["lb1"], {"pools": [pool]}) == problems
