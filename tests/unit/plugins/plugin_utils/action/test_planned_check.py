from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.planned_check import (
    fill_in,
    given_to,
    planned_parts,
)

URL = "http://n1/health"
CHECK: dict[str, dict[str, Any]] = {
    "release": {"url": URL, "version": {"path": "$.version", "value": "1"}, "digest": None, "timeout": "1m"},
    "health": {"url": URL, "in_a_row": 4, "interval": "1s", "timeout": "1m", "expect": []},
    "warmup": {"urls": ["/"], "until": {"p95": "1s"}, "timeout": "30s"},
}


def called(args: dict[str, Any], check: bool = False) -> Call:
    """A call on n1 as far as filling in looks at it, with a plan of one service."""
    record = SimpleNamespace(plan={"nodes": {"n1": {"checks": {"s": CHECK}}}}, deployment=SimpleNamespace(service="s"))
    call = SimpleNamespace(
        args=args, deployment_id=args.get("deployment", ""), check=check, covered=["n1"], ledger=record
    )
    return cast("Call", call)


def filled(given: dict[str, Any], step: str, check: bool = False) -> dict[str, Any]:
    call = called(dict(given), check)
    fill_in(call, "health_check", step, given, ["url"])
    return call.args


def test_what_is_not_given_comes_from_the_plan_with_the_documented_defaults() -> None:
    args = filled({"deployment": "d1", "step": "warmup"}, "warmup")
    assert (args["url"], args["in_a_row"], args["timeout"]) == (URL, 1, "30s")
    assert args["warmup"] == {**CHECK["warmup"], "batch": 20, "concurrency": 4}
    assert args["request_timeout"] == "5s"


def test_what_is_given_stays_so_that_it_can_be_refused() -> None:
    assert filled({"deployment": "d1", "step": "health", "in_a_row": 1}, "health")["in_a_row"] == 1


def test_options_with_a_url_are_left_as_they_are() -> None:
    given = {"deployment": "d1", "url": "http://other/"}
    assert filled(given, "health") == given


@pytest.mark.parametrize("given", [{}, {"step": "health"}])
def test_without_a_deployment_a_url_must_be_given(given: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="url of this health check is not given"):
        filled(given, "health")


def test_check_mode_has_no_deployment_to_look_at() -> None:
    with pytest.raises(BadInput, match="url of this health check is not given"):
        filled({"deployment": "d1"}, "health", check=True)


def test_a_service_that_is_not_planned_is_refused() -> None:
    with pytest.raises(Refused, match="no health check of other on n1"):
        filled({"deployment": "d1", "service": "other"}, "health")


def test_an_option_that_the_documentation_does_not_take_is_bad_input() -> None:
    with pytest.raises(BadInput, match="in_a_row"):
        filled({"deployment": "d1", "in_a_row": "many"}, "health")


PLAN = {"n1": {"checks": {"s": CHECK, "beside": {**CHECK, "warmup": None}}}, "n2": {"checks": {"s": CHECK}}}


class Whole:
    """A call of several nodes with a plan, as far as it is divided."""

    check, deployment_id = False, "d1"

    def __init__(self, **args: Any) -> None:
        self.args: dict[str, Any] = {"node": None, "service": None, "url": None, "step": "ready"} | args
        self.ledger = SimpleNamespace(plan={"nodes": PLAN})

    def part(self, node: str, **arguments: Any) -> Any:
        return SimpleNamespace(host=node, args={k: v for k, v in self.args.items() if k != "nodes"} | arguments)


def divided(whole: Any, *steps: str) -> list[tuple[str, str, str]]:
    parts = planned_parts(whole, steps)
    assert parts is not None
    return [(part.host, part.args["service"], part.args["step"]) for part in parts]


def test_a_part_for_each_step_of_each_service_that_the_plan_checks_on_each_node() -> None:
    assert divided(Whole(nodes=["n1", "n2"]), "release", "health") == [
        ("n1", "s", "release"),
        ("n1", "s", "health"),
        ("n1", "beside", "release"),
        ("n1", "beside", "health"),
        ("n2", "s", "release"),
        ("n2", "s", "health"),
    ]
    assert divided(Whole(nodes=["n1"]), "warmup") == [("n1", "s", "warmup")]
    assert divided(Whole(nodes=["n1"]), "nunit") == []


def test_without_nodes_there_are_no_parts() -> None:
    assert planned_parts(cast("Any", Whole(nodes=None)), ["health"]) is None


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"nodes": []}, "nodes is"),
        ({"nodes": ["n1", "n1"]}, "nodes is"),
        ({"nodes": ["n1"], "node": "n2"}, "node is for one node"),
        ({"nodes": ["n1"], "service": "s", "url": "http://n1/"}, "service, url is for one node"),
        ({"nodes": ["n1"], "save_to": "/tmp/x"}, "save_to is for one node"),
    ],
)
def test_what_is_for_one_node_can_not_stand_beside_several(args: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        planned_parts(cast("Any", Whole(**args)), ["health"])


def test_nodes_are_those_of_an_open_deployments_plan() -> None:
    with pytest.raises(Refused, match="n9 is not in the plan of d1"):
        planned_parts(cast("Any", Whole(nodes=["n1", "n9"])), ["health"])
    whole = Whole(nodes=["n1"])
    whole.check = True
    with pytest.raises(BadInput, match="open deployment's plan"):
        planned_parts(cast("Any", whole), ["health"])


def test_to_a_part_only_what_makes_it_one_was_given() -> None:
    task = {"deployment": "d1", "step": "ready", "nodes": ["n1", "n2"]}
    whole = Whole(nodes=["n1"], step="ready")
    assert given_to(cast("Any", whole), task) == task
    part = whole.part("n1", service="s", step="health")
    assert given_to(part, task) == {"deployment": "d1", "service": "s", "step": "health"}
