from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.plugin_utils.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planned_check import fill_in

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
