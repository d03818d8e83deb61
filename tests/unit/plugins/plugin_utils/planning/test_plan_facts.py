from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import load_catalog
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Drain
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.modules import haproxy_pool
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.survey import Look
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.plan_facts import (
    for_plays,
    for_wave,
    require_reached,
    step_facts,
)

SERVICES = Path(__file__).resolve().parents[5] / "services"

PLAN: dict[str, Any] = {
    "deployment": "d1",
    "order": ["n1"],
    "sizes": [1, 1],
    "waves": [{"number": 1, "nodes": ["n1"]}, {"number": 2, "nodes": ["n2"]}],
    "releases": {"n1": "1.0.0"},
    "puppet": {"pin": {"s::version": "1.1.0"}},
    "nodes": {
        "n1": {
            "checks": {
                "s": {"release": {"url": "u"}, "health": {"url": "u"}, "nunit": {"box": "b"}, "warmup": None},
                "beside": {"release": {"url": "u"}, "health": {"url": "u"}, "nunit": None, "warmup": {"urls": ["/"]}},
            }
        }
    },
}


def test_plays_get_nothing_about_single_nodes() -> None:
    assert for_plays(PLAN) == {
        "deployment": "d1",
        "downtime": False,
        "order": ["n1"],
        "sizes": [1, 1],
        "puppet": {"pin": {"s::version": "1.1.0"}},
        "waves": PLAN["waves"],
    }


def test_a_waves_plays_get_their_wave_alone() -> None:
    assert for_wave(PLAN, 2) == {
        "deployment": "d1",
        "downtime": False,
        "puppet": {"pin": {"s::version": "1.1.0"}},
        "waves": [{"number": 2, "nodes": ["n2"]}],
    }


def test_plays_are_told_whether_there_are_downtimes_but_not_which() -> None:
    told = for_wave(PLAN | {"nagios": {"server": "mon", "nodes": {"n1": {}}}}, 1)
    assert told["downtime"] is True
    assert "nagios" not in told


def test_the_plan_that_is_recorded_stays_whole() -> None:
    for_plays(PLAN)
    assert PLAN["nodes"]["n1"]["checks"]["s"]["nunit"] == {"box": "b"}
    assert "releases" in PLAN


def test_a_wave_drains_as_the_descriptor_says() -> None:
    service = load_catalog(str(SERVICES), "lab")["tradeapi"]
    drain = step_facts(service.model_copy(update={"drain": Drain(at_hard="cut", sticky="wait")}))["drain"]
    assert drain == {"soft": "30s", "hard": "2m", "at_hard": "cut", "sticky": "wait"}
    options = yaml.safe_load(haproxy_pool.DOCUMENTATION)["options"]["drain"]["suboptions"]
    assert drain.keys() == options.keys() == Drain.model_fields.keys()


@pytest.mark.parametrize("left_out", ["n1", "n2"])
def test_a_node_that_nobody_reaches_has_no_pin_of_its_own_to_keep_it_where_it_is(left_out: str) -> None:
    service = load_catalog(str(SERVICES), "lab")["tradeapi"]
    looks = {"n1": Look({}, {}), "n2": Look({}, {}, unreachable="no route")}
    refused = pytest.raises(Refused, match=r"n2 is left out and can't be reached.*\(no route\).*to hiera")
    with refused if left_out == "n2" else nullcontext():
        require_reached(service, [left_out], looks)
