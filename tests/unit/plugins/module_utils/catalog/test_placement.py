from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import load_catalog
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.placement import Placement, place
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused

CATALOG = load_catalog(str(Path(__file__).resolve().parents[5] / "services"), "lab")
GROUPS: dict[str, list[str]] = {
    "tradeapi": ["n1", "n6"],
    "pricefeed": ["n6", "p1"],
    "edge": ["lb1", "lb2"],
    "all": ["n6"],
}


def placed(name: str = "tradeapi", **changes: Any) -> Placement:
    catalog = {**CATALOG, "tradeapi": CATALOG["tradeapi"].model_copy(update=changes)}
    return place(catalog[name], catalog, GROUPS)[0]


def test_a_node_has_every_service_that_a_puppet_run_there_concerns() -> None:
    services = placed().services
    assert [service.name for service in services["n1"]] == ["tradeapi"]
    assert [service.name for service in services["n6"]] == ["tradeapi", "pricefeed"]


def test_pools_move_with_just_the_nodes_that_host_them() -> None:
    moves = placed().moves(["n1", "n6"])
    assert [(move.pool.online, move.nodes) for move in moves] == [
        ("tradeapi_online", ("n1", "n6")),
        ("pricefeed_online", ("n6",)),
    ]
    assert [move.pool.online for move in placed().moves(["n1"])] == ["tradeapi_online"]


def test_a_service_that_does_not_move_with_it_refuses_and_names_the_key() -> None:
    with pytest.raises(Refused) as refused:
        placed(moves_with=[])
    assert "n6 also hosts pricefeed" in str(refused.value)
    assert "moves_with: [pricefeed]" in refused.value.remedy


@pytest.mark.parametrize("group", ["nodes", "load_balancers"])
def test_an_unknown_group_names_the_key(group: str) -> None:
    site = CATALOG["tradeapi"].sites[0].model_copy(update={group: "nowhere"})
    with pytest.raises(BadInput) as error:
        placed(sites=[site])
    assert "inventory group 'nowhere' is unknown or empty" in str(error.value)
    assert error.value.where == f"tradeapi: sites.lab.{group}"


def test_a_node_in_two_sites_is_refused() -> None:
    site = CATALOG["tradeapi"].sites[0]
    with pytest.raises(BadInput) as error:
        placed(sites=[site, site.model_copy(update={"name": "other", "nodes": "n6"})])
    assert "n6 is in two sites of tradeapi, lab and other" in str(error.value)
    assert error.value.where == "tradeapi: sites.other.nodes"


def test_services_on_one_node_need_the_same_load_balancers() -> None:
    groups = {**GROUPS, "other": ["lb9"]}
    site = CATALOG["pricefeed"].sites[0].model_copy(update={"load_balancers": "other"})
    catalog = {**CATALOG, "pricefeed": CATALOG["pricefeed"].model_copy(update={"sites": [site]})}
    with pytest.raises(Refused, match="share n6 but not their load balancers"):
        place(catalog["tradeapi"], catalog, groups)
