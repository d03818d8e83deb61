"""A descriptor's health check becomes options that the module takes, and that its own plan does not refuse."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service_health import Health
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import Clock
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.evidence import planned_options, require_planned
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.arguments import argument_spec, defaults_of
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.health_facts import health_facts
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.health_options import (
    _expectation,
    needs_node,
    probe_of,
)

WORDS = {
    "node": "10.0.0.1", "name": "n1", "load_balancer": "10.0.0.9", "service": "trade", "environment": "qa",
    "version": "2.0",
}  # fmt: skip
HEALTH = Health.model_validate(
    {
        "url": "http://{node}:8080/health",
        "started": "$.started",
        "expect": {"$.status": "ok"},
        "components": {"path": "$.entries"},
        "checks": [
            {"name": "edge", "http": {"url": "http://{load_balancer}:8090/health", "aim": {}}},
            {"name": "port", "tcp": {"port": 8082}},
            {"name": "queue", "command": {"argv": ["queue", "--of={service}", "{ print }"]}},
            {"name": "disk", "nagios": {"argv": ["check_disk", "-p", "/"], "perfdata": {"/": "10:"}}},
            {
                "name": "through",
                "nagios": {
                    "argv": ["check_http", "-I", "{load_balancer}", "-k", "X-Tidegate-Node: {name}", "-s", "{version}"],
                    "run_on": "controller",
                    "url": "http://{load_balancer}:8090/health",
                    "aim": {},
                },
            },
            {"name": "running", "service": {"name": "trade", "accept": ["running", "paused"]}},
            {"name": "restarted", "process": {"port": 8080}},
        ],
    }
)


def validated(options: dict[str, Any]) -> dict[str, Any]:
    result = ArgumentSpecValidator(argument_spec("health_check")).validate(options)
    assert result.error_messages == []
    return dict(result.validated_parameters)


def planned() -> dict[str, Any]:
    return {"nodes": {"n1": {"checks": {"trade": {"health": health_facts(HEALTH, WORDS)}}}}}


def test_placeholders_are_filled_in() -> None:
    facts = health_facts(HEALTH, WORDS)
    assert facts["url"] == "http://10.0.0.1:8080/health"
    checks = {check["name"]: check for check in facts["checks"]}
    assert checks["edge"]["http"]["url"] == "http://10.0.0.9:8090/health"
    assert checks["port"]["tcp"]["address"] == "10.0.0.1"
    assert checks["queue"]["command"]["argv"] == ["queue", "--of=trade", "{ print }"]
    assert checks["through"]["nagios"]["argv"][2:5] == ["10.0.0.9", "-k", "X-Tidegate-Node: n1"]
    assert checks["running"]["service"] == {"name": "trade", "accept": ["running", "paused"]}
    assert checks["restarted"]["process"] == {
        "unit": None, "pid_file": None, "port": 8080, "address": "10.0.0.1", "after": "deployment",
    }  # fmt: skip


def test_a_service_beside_the_deployed_one_need_not_have_been_restarted() -> None:
    facts = health_facts(HEALTH, WORDS, deployed=False)
    assert facts["started"] is None
    assert [check["process"]["after"] for check in facts["checks"] if check["process"]] == [None]


def test_the_planned_options_are_what_the_plan_says_and_anything_easier_is_not() -> None:
    plan = planned()
    args = validated(planned_options(plan, "n1", "trade", "health"))
    require_planned(plan, "n1", "trade", "health", args, defaults_of("health_check"))
    easier = {**args, "checks": args["checks"][1:]}
    with pytest.raises(Refused, match="checks of this health check"):
        require_planned(plan, "n1", "trade", "health", easier, defaults_of("health_check"))
    for key, value in (("components", None), ("started", None), ("status", [200, 500])):
        with pytest.raises(Refused, match=f"{key}.* of this health check"):
            require_planned(plan, "n1", "trade", "health", args | {key: value}, defaults_of("health_check"))


def call(options: dict[str, Any], deployment: str = "d1", began: str = "2026-01-31T12:00:00Z") -> Call:
    """A call on n1 as far as what is asked looks at it."""
    record = SimpleNamespace(puppet_began={"n1": began} if began else {})
    args = validated(options)
    return cast(
        "Call",
        SimpleNamespace(
            args=args,
            covered=["n1"],
            deployment_id=deployment,
            ledger=record,
            stopping=NEVER,
            nodes=lambda names: {"n1": None},
        ),
    )


def test_since_the_deployment_is_since_puppet_first_ran_there() -> None:
    started = _expectation(call(health_facts(HEALTH, WORDS))).started
    assert started is not None
    assert (started.after, started.clock) == (1769860800.0, Clock.CONTROLLER)


def test_where_puppet_changed_nothing_nothing_had_to_be_started_anew() -> None:
    assert _expectation(call(health_facts(HEALTH, WORDS), began="")).started is None


def test_a_connection_to_the_node_is_needed_only_for_what_runs_there() -> None:
    checks = health_facts(HEALTH, WORDS)["checks"]
    assert [needs_node({"checks": [check]}) for check in checks] == [False, False, True, True, False, True, True]


@pytest.mark.parametrize(
    ("check", "told"),
    [
        ({}, "it is of no kind (checks.a: kind). Give one of http, tcp, command, nagios, service, process"),
        ({"command": {"argv": ["x"]}, "tcp": {"address": "n1", "port": 1}}, "it is tcp and command"),
        ({"nagios": {"argv": ["x"], "perfdata": {"a": "5%"}}}, "'5%' is not a threshold range"),
        ({"nagios": {"argv": ["x"], "url": "http://lb/"}}, "a plugin on the node does not go through"),
        ({"nagios": {"argv": ["x"], "run_on": "controller", "url": "http://lb/"}}, "it has one of url and aim"),
        ({"command": {"argv": ["x"], "output": "("}}, "it is no regular expression"),
        ({"command": {"argv": ["x"], "exit_codes": []}}, "no exit code is accepted"),
        ({"process": {}}, "it names not one process"),
        ({"process": {"after": "1"}}, "it names not one process"),
        ({"process": {"port": 1, "after": "yesterday"}}, "'yesterday' is not a time"),
        ({"tcp": {"address": "n1", "port": 0}}, "'n1' port 0 can't be connected to (checks.a: tcp)"),
        ({"http": {"url": "n1:80"}}, "'n1:80' can't be asked"),
    ],
)
def test_what_proves_nothing_is_refused(check: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput) as error:
        probe_of(call({"checks": [{"name": "a", **check}]}))
    assert told in str(error.value)


def test_two_checks_of_one_name_are_refused() -> None:
    with pytest.raises(BadInput, match="there are 2 checks of 1 names"):
        probe_of(call({"checks": [{"name": "a", "tcp": {"address": "n1", "port": 1}}] * 2}))


def test_since_a_deployment_needs_one() -> None:
    with pytest.raises(BadInput, match="there is no deployment since which"):
        probe_of(call({"checks": [{"name": "a", "process": {"port": 1, "after": "deployment"}}]}, deployment=""))
