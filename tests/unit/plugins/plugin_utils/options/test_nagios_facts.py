from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import load_catalog
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Nagios, Service
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.nagios_facts import (
    merged_services,
    nagios_facts,
)

SERVICES = load_catalog(str(Path(__file__).resolve().parents[5] / "services"), "lab")
GROUPS = {"all": ["mon", "mon2"], "monitoring": ["mon", "mon2"]}


def service(name: str, **nagios: Any) -> Service:
    return SERVICES[name].model_copy(update={"nagios": Nagios(**nagios) if nagios else None})


def facts(own: Service, beside: dict[str, list[Service]], **hosts: str) -> dict[str, Any] | None:
    def hostvar(host: str, _name: str, default: str) -> str:
        return hosts.get(host, default)

    call: Any = SimpleNamespace(vars={"groups": GROUPS}, hostvar=hostvar)
    return nagios_facts(call, own, {node: [own, *others] for node, others in beside.items()})


def test_a_service_without_nagios() -> None:
    assert facts(service("tradeapi"), {"n1": [service("pricefeed", server="mon")]}) is None


def test_what_a_plan_says() -> None:
    own = service("tradeapi", server="monitoring", services=["http"], length="30m")
    beside = service("pricefeed", server="mon", services=["feed", "http"])
    assert facts(own, {"n1": [], "n6": [beside]}, n1="web-1.example") == {
        "server": "mon",
        "length": "30m",
        "at_failure": "refuse",
        "nodes": {
            "n1": {"host": "web-1.example", "services": ["http"]},
            "n6": {"host": "n6", "services": ["feed", "http"]},
        },
    }


def test_all_services_of_the_host_when_one_of_them_says_so() -> None:
    assert merged_services([service("tradeapi", server="mon", services=["http"]), service("pricefeed")]) == ["http"]
    both = [service("tradeapi", server="mon", services=[]), service("pricefeed", server="mon")]
    assert merged_services(both) is None


def test_what_can_not_be() -> None:
    own = service("tradeapi", server="mon")
    with pytest.raises(Refused, match="not with one Nagios"):
        facts(own, {"n6": [service("pricefeed", server="mon2")]})
    with pytest.raises(BadInput, match="'nowhere' is unknown"):
        facts(service("tradeapi", server="nowhere"), {"n1": []})
    with pytest.raises(BadInput, match="n1, n2 are one host in Nagios: web"):
        facts(own, {"n1": [], "n2": [], "n3": []}, n1="web", n2="web")
