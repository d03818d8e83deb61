from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.planned import (
    require_planned_move,
    require_planned_pin,
    require_planned_raise,
    require_planned_repair,
    require_planned_thaw,
)

POOL = {"online": "s_online", "maintenance": "s_maintenance", "min_online": "60%", "nodes": ["n1", "n2"]}
PIN = {"s::version": "1.1.0"}
PLAN: dict[str, Any] = {
    "waves": [{"number": 1, "nodes": ["n1", "n2"], "load_balancers": ["lb1", "lb2"], "pools": [POOL]}],
    "drain": {"soft": "30s", "hard": "2m", "at_hard": "fail", "sticky": "move"},
    "puppet": {"servers": ["ps1"], "pin": PIN, "keep": {"n3": {"s::version": "1.0.0"}}, "unpin": ["n1", "n2"]},
}
MOVE: dict[str, Any] = {
    "nodes": ["n2", "n1"],
    "load_balancers": ["lb2", "lb1"],
    "pools": [{**POOL, "nodes": None}],
    "drain": {"soft": "30s", "hard": "2m", "at_hard": "fail", "sticky": "move"},
}
SET: dict[str, Any] = {"state": "pinned", "servers": ["ps1"], "nodes": ["n1", "n2"], "values": PIN}


def test_the_planned_move_in_any_order() -> None:
    require_planned_move(PLAN, **MOVE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nodes": ["n1"]}, "n1 is no wave of the plan"),
        ({"nodes": ["n1", "n2", "n3"]}, "is no wave of the plan"),
        ({"load_balancers": ["lb1"]}, "load_balancers is lb1, planned are lb1, lb2"),
        ({"without": ["lb2"]}, "without is lb2, planned is none"),
        ({"pools": [{**POOL, "min_online": "0"}]}, "min_online"),
        ({"pools": [{**POOL, "online": "other"}]}, "pools"),
        ({"pools": [{**POOL, "nodes": ["n1"]}]}, "pools"),
        ({"pools": [{**POOL, "unchecked": "allow"}]}, "pools"),
        ({"pools": []}, "pools"),
        ({"drain": {"soft": "30s", "hard": "2m", "at_hard": "cut", "sticky": "move"}}, "drain"),
        ({"drain": {"soft": "30s", "hard": "2m", "at_hard": "fail", "sticky": "wait"}}, "drain"),
    ],
)
def test_any_other_move_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        require_planned_move(PLAN, **{**MOVE, **change})


def test_a_load_balancer_is_left_out_as_planned_or_not_at_all() -> None:
    plan = {**PLAN, "waves": [{**PLAN["waves"][0], "without": ["lb2"]}]}
    require_planned_move(plan, **MOVE, without=["lb2"])
    with pytest.raises(Refused, match="without is none, planned is lb2"):
        require_planned_move(plan, **MOVE)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"nodes": ["n3"], "values": {"s::version": "1.0.0"}},
        {"state": "raised", "nodes": []},
        {"state": "absent"},
    ],
)
def test_the_planned_pins(change: dict[str, Any]) -> None:
    require_planned_pin(PLAN, **{**SET, **change})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"values": {**PIN, "profile::sudo": "ALL"}}, "profile::sudo"),
        ({"values": {"s::version": "1.2.0"}}, "planned are"),
        ({"values": {}}, "planned are"),
        ({"nodes": ["n9"]}, "no pin to be pinned for n9"),
        ({"nodes": ["n3"]}, "planned are"),
        ({"servers": ["ps1", "ps2"]}, "servers is ps1, ps2"),
        ({"state": "raised", "nodes": [], "values": {"s::version": "9"}}, "planned are"),
        ({"state": "absent", "nodes": ["n3"]}, "no pin to be absent for n3"),
    ],
)
def test_any_other_pin_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        require_planned_pin(PLAN, **{**SET, **change})


@pytest.mark.parametrize(
    ("intent", "state", "refused"),
    [
        ("repair", "repaired", False),
        ("repair", "maintenance", True),
        ("repair", "online", True),
        ("leave", "repaired", True),
        ("deploy", "maintenance", False),
    ],
)
def test_a_repair_is_one_only_by_its_plan(intent: str, state: str, refused: bool) -> None:
    with pytest.raises(Refused) if refused else nullcontext():
        require_planned_repair({"intent": intent}, state)


@pytest.mark.parametrize(
    ("state", "nodes", "said"),
    [
        ("thawed", ["n1"], ""),
        ("thawed", ["n1", "n2"], "n2 is not to be thawed"),
        ("frozen", ["n1"], "state is frozen, and the plan is for thaw"),
    ],
)
def test_a_thaw_thaws_what_is_planned(state: str, nodes: list[str], said: str) -> None:
    plan = {"intent": "thaw", "frozen": {"n1": "d0"}}
    with pytest.raises(Refused, match=said) if said else nullcontext():
        require_planned_thaw(plan, state, nodes)
    require_planned_thaw({"intent": "deploy"}, state, nodes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"nodes": ["n1"]}, "the pins of n1, n2 go"),
        ({"servers": ["ps2"]}, "servers is ps2"),
        ({"values": {"s::version": "9"}}, "values are"),
    ],
)
def test_what_the_sites_command_is_asked_for_is_planned(change: dict[str, Any], said: str) -> None:
    plan = {**PLAN, "puppet": {**PLAN["puppet"], "common": "command"}}
    request = {"servers": ["ps1"], "nodes": ["n2", "n1"], "values": PIN, **change}
    with pytest.raises(Refused, match=said) if said else nullcontext():
        require_planned_raise(plan, **request)
    with pytest.raises(Refused, match="raised in our layer"):
        require_planned_raise(PLAN, **request)
    with pytest.raises(Refused, match="by the site's command"):
        require_planned_pin(plan, "raised", ["ps1"], [], PIN)


def test_what_opens_a_service_is_pinned_with_it_and_taken_back_from_every_node() -> None:
    opening = {"s::deployment": "d1"}
    plan = {**PLAN, "puppet": {**PLAN["puppet"], "open": opening}}
    require_planned_pin(plan, **{**SET, "values": {**PIN, **opening}})
    require_planned_pin(plan, **{**SET, "state": "absent", "values": {**PIN, **opening}})
    require_planned_pin(plan, **{**SET, "state": "sealed", "values": opening})
    require_planned_pin(plan, **{**SET, "state": "sealed", "nodes": ["n1", "n2", "n3"], "values": opening})
    require_planned_pin(plan, **{**SET, "nodes": ["n3"], "values": {"s::version": "1.0.0"}})
    for refused in (
        {"values": PIN},
        {"state": "sealed", "values": PIN},
        {"state": "sealed", "nodes": ["n4"], "values": opening},
        {"state": "raised", "nodes": [], "values": {**PIN, **opening}},
    ):
        with pytest.raises(Refused):
            require_planned_pin(plan, **{**SET, **refused})
    with pytest.raises(Refused, match="no pin to be sealed"):
        require_planned_pin(PLAN, **{**SET, "state": "sealed", "values": {}})


def test_pins_are_where_the_plan_has_them() -> None:
    by_fact = {**PLAN, "puppet": {**PLAN["puppet"], "place": "fact"}}
    require_planned_pin(by_fact, **{**SET, "servers": [], "place": "fact"})
    require_planned_pin(by_fact, "raised", ["ps1"], [], PIN)
    for plan, place in ((by_fact, "hiera"), (PLAN, "fact")):
        with pytest.raises(Refused, match=f"place is {place}"):
            require_planned_pin(plan, **{**SET, "place": place})
