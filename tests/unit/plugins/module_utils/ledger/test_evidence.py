from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.evidence import planned_options, require_planned
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.arguments import argument_spec, defaults_of

VERSION = {"path": "$.version", "value": "1.1.0"}
URL = "http://n1/health"
CHECK: dict[str, Any] = {
    "release": {"url": URL, "version": VERSION, "digest": None, "timeout": "1m"},
    "health": {
        "url": URL,
        "in_a_row": 3,
        "interval": "500ms",
        "timeout": "1m",
        "expect": [{"path": "$.ok", "value": True}],
    },
    "nunit": {
        "box": "testbox",
        "url": "http://lb1:8090",
        "aim": {"by": "header", "header": "X-Node", "served_by": "X-Served-By"},
        "probe": {"path": "/health", "version": "$.version"},
        "artifact": {"url": "http://a/1", "sha256": "ab" * 32},
        "assemblies": ["Smoke.dll"],
        "min_tests": 5,
        "allowed_failures": 0,
        "required_tests": ["S.A"],
        "categories": {"include": [], "exclude": ["Slow"]},
        "quarantine": [{"test": "S.B", "until": "2026-12-31", "reason": "TRADE-117"}],
        "timeout": "1m",
    },
    "warmup": {"urls": ["/quotes"], "until": {"p95": "200ms"}, "timeout": "1m"},
}
PLAN = {"nodes": {"n1": {"checks": {"tradeapi": CHECK}}}}
# As the roles ask.
ASKED: dict[str, dict[str, Any]] = {
    "release": {"url": URL, "version": VERSION, "timeout": "1m", "in_a_row": 1, "step": "release"},
    "health": CHECK["health"] | {"step": "health"},
    "nunit": CHECK["nunit"] | {"version": "1.1.0"},
    "warmup": {"url": URL, "in_a_row": 1, "timeout": "1m", "warmup": CHECK["warmup"], "step": "warmup"},
}


def require(step: str, options: dict[str, Any], node: str = "n1", service: str = "tradeapi") -> None:
    """As the action asks, with its arguments validated by its documentation."""
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

    module = "nunit" if step == "nunit" else "health_check"
    validated = ArgumentSpecValidator(argument_spec(module)).validate({"deployment": "d1", **options})
    assert not validated.error_messages
    require_planned(PLAN, node, service, step, validated.validated_parameters, defaults_of(module))


@pytest.mark.parametrize("step", ASKED)
def test_the_planned_checks_are_evidence(step: str) -> None:
    require(step, ASKED[step])


@pytest.mark.parametrize(
    ("step", "free"),
    [
        ("release", {"timeout": "9m", "service": "tradeapi", "node": "n1"}),
        ("warmup", {"timeout": "9m", "warmup": CHECK["warmup"] | {"timeout": "9m"}}),
        ("nunit", {"timeout": "9m", "queue_timeout": "1h", "save_to": "/tmp/n1.xml", "work_dir": "/srv/t"}),
    ],
)
def test_how_long_was_waited_and_where_results_go_is_free(step: str, free: dict[str, Any]) -> None:
    require(step, ASKED[step] | free)


@pytest.mark.parametrize(
    ("step", "change", "told"),
    [
        ("release", {"url": "http://n2/health"}, "url of this release check"),
        ("release", {"version": {"path": "$.version", "value": "1.0.0"}}, "version.value of"),
        ("release", {"version": {"path": "$.other", "value": "1.1.0"}}, "version.path of"),
        ("release", {"digest": {"path": "$.digest", "value": "cd"}}, "digest of"),
        ("health", {"in_a_row": 1}, "in_a_row of"),
        ("health", {"interval": "0ms"}, "interval of"),
        ("health", {"expect": []}, "expect of"),
        ("health", {"expect": [{"path": "$.ok", "value": 1}]}, "expect of"),
        ("health", {"status": [200, 500]}, "status of"),
        ("health", {"status": []}, "status of"),
        ("health", {"validate_certs": False}, "validate_certs of"),
        ("health", {"ca_file": "/tmp/ca.pem"}, "ca_file of"),
        ("health", {"headers": {"Host": "n2"}}, "headers of"),
        ("health", {"request_timeout": "5m"}, "request_timeout of"),
        ("health", {"pid": "$.other"}, "pid of"),
        ("health", {"status": [500], "headers": {"timeout": "1"}}, "headers, status of"),
        ("health", {"warmup": {"urls": ["/"], "until": {"max": "1h"}}}, "warmup of"),
        ("warmup", {"url": "http://n2/health"}, "url of"),
        ("warmup", {"warmup": CHECK["warmup"] | {"batch": 1}}, "warmup.batch of"),
        ("warmup", {"warmup": CHECK["warmup"] | {"urls": ["/health"]}}, "warmup.urls of"),
        ("warmup", {"warmup": CHECK["warmup"] | {"until": {"p95": "1h"}}}, "warmup.until.p95 of"),
        ("warmup", {"validate_certs": False}, "validate_certs of"),
        ("nunit", {"min_tests": 1}, "min_tests of"),
        ("nunit", {"allowed_failures": 5}, "allowed_failures of"),
        ("nunit", {"required_tests": []}, "required_tests of"),
        ("nunit", {"categories": {"exclude": ["Slow", "Network"]}}, "categories.exclude of"),
        ("nunit", {"categories": {"include": ["Fast"], "exclude": ["Slow"]}}, "categories.include of"),
        ("nunit", {"quarantine": [CHECK["nunit"]["quarantine"][0] | {"until": "2027-12-31"}]}, "quarantine of"),
        ("nunit", {"version": "1.0.0"}, "version of"),
        ("nunit", {"box": "other"}, "box of"),
        ("nunit", {"program": ["/bin/cp", "good.xml", "results.xml"]}, "program of"),
        ("nunit", {"runner": "vstest"}, "runner of"),
        ("nunit", {"secrets": {"LD_PRELOAD": "other"}}, "secrets of"),
        ("nunit", {"log": {"files": {"lb1": "/tmp/made.log"}}}, "log of"),
        ("nunit", {"environment": {"LD_PRELOAD": "/tmp/x.so"}}, "environment of"),
        ("nunit", {"aim": {"by": "header", "header": "X-Other"}}, "aim.header of"),
        ("nunit", {"artifact": {"url": "http://a/1", "sha256": "cd" * 32}}, "artifact.sha256 of"),
        ("nunit", {"probe": CHECK["nunit"]["probe"] | {"digest": "$.digest"}}, "probe.digest of"),
    ],
)
def test_another_check_is_refused(step: str, change: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused) as refused:
        require(step, ASKED[step] | change)
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize(("step", "node", "service"), [("release", "n2", "tradeapi"), ("release", "n1", "pricefeed")])
def test_a_check_that_is_not_in_the_plan_is_refused(step: str, node: str, service: str) -> None:
    with pytest.raises(Refused, match=f"no {step} check of {service} on {node}"):
        require(step, ASKED[step], node, service)


def test_a_step_that_the_plan_does_not_have_is_refused() -> None:
    with pytest.raises(Refused, match="no observe check of tradeapi on n1"):
        require_planned(PLAN, "n1", "tradeapi", "observe", {}, {})


def test_an_unplanned_option_with_suboptions_has_their_defaults() -> None:
    plan = {"nodes": {"n1": {"checks": {"s": {"nunit": {"url": "u"}, "release": {"version": VERSION}}}}}}
    asked: dict[str, Any] = {"url": "u", "version": "1.1.0", "probe": {"path": "/health"}, "other": None}
    defaults = {"probe": {"path": "/health"}, "other": {"a": 1}}
    require_planned(plan, "n1", "s", "nunit", asked, defaults)
    with pytest.raises(Refused, match="probe of"):
        require_planned(plan, "n1", "s", "nunit", asked | {"probe": {"path": "/static"}}, defaults)


@pytest.mark.parametrize("step", ASKED)
def test_the_options_of_a_planned_check_are_the_planned_ones(step: str) -> None:
    options = planned_options(PLAN, "n1", "tradeapi", step)
    require(step, options | ({} if step == "nunit" else {"step": step}))
    assert None not in options.values()
    assert options.get("in_a_row") == {"release": 1, "health": 3, "warmup": 1, "nunit": None}[step]
    assert options["timeout"] == "1m"


def test_a_check_that_is_not_planned_has_no_options() -> None:
    with pytest.raises(Refused, match="the deployment's plan has no nunit check of tradeapi on n2"):
        planned_options(PLAN, "n2", "tradeapi", "nunit")
