"""Which port of the maintenance front end reaches a node."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import load_catalog
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Service
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.plan_facts import node_port

SERVICE = load_catalog(str(Path(__file__).resolve().parents[5] / "services"), "lab")["tradeapi"]


def written(**haproxy: Any) -> Service:
    described = SERVICE.model_dump(mode="json")
    described["pools"][0]["haproxy"] = haproxy
    return Service.model_validate(described)


def call(**ports: Any) -> Call:
    told = {"tidegate_node_ports": ports}
    groups = {"tradeapi": ["n1", "n2", "n6"], "all": ["n1", "n2", "n6"]}
    double = SimpleNamespace(vars={"groups": groups}, hostvar=lambda _host, name, default=None: told.get(name, default))
    return cast("Call", double)


@pytest.mark.parametrize(("host", "port"), [("n1", 9100), ("n2", 9101), ("n6", 9102)])
def test_ports_are_counted_as_the_role_counts_them(host: str, port: int) -> None:
    assert node_port(call(), written(node_ports=9100), host) == port


def test_what_the_inventory_says_goes_before() -> None:
    assert node_port(call(tradeapi=9333), written(node_ports=9100), "n1") == 9333
    assert node_port(call(tradeapi=9333), SERVICE, "n1") == 9333


@pytest.mark.parametrize("service", [SERVICE, written(node_ports=None), written(node_ports=9100)])
def test_nobody_who_says_it_is_told(service: Service) -> None:
    host = "elsewhere" if service.pools[0].haproxy and service.pools[0].haproxy.node_ports else "n1"
    with pytest.raises(BadInput, match="which port of the maintenance front end"):
        node_port(call(), service, host)
