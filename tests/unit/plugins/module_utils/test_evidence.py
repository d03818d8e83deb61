from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.evidence import require_planned

CHECK: dict[str, Any] = {
    "release": {"url": "http://n1/health", "version": {"path": "$.version", "value": "1.1.0"}, "digest": None,
                "timeout": "1m"},
    "nunit": {"url": "http://lb1:8090", "aim": {"by": "header"}, "min_tests": 5},
    "health": {"url": "http://n1/health"},
    "warmup": {"urls": ["/quotes"]},
}  # fmt: skip
PLAN = {"nodes": {"n1": {"checks": {"tradeapi": CHECK}}}}
RELEASE = {"url": "http://n1/health", "version": {"path": "$.version", "value": "1.1.0"}, "timeout": "5m", "step": "x"}
TESTS = {"url": "http://lb1:8090", "aim": {"by": "header", "header": "X"}, "min_tests": 5, "version": "1.1.0"}


def test_the_planned_checks_are_evidence_however_long_they_wait() -> None:
    require_planned(PLAN, "n1", "tradeapi", "release", RELEASE)
    require_planned(PLAN, "n1", "tradeapi", "nunit", TESTS)
    require_planned(PLAN, "n1", "tradeapi", "warmup", {"urls": ["/quotes"], "url": "http://n1/health"})


@pytest.mark.parametrize(
    ("node", "service", "step", "asked", "told"),
    [
        ("n1", "tradeapi", "release", RELEASE | {"url": "http://n2/health"}, "url of this release check"),
        ("n1", "tradeapi", "release", RELEASE | {"version": {"path": "$.version", "value": "1.0.0"}}, "version of"),
        ("n1", "tradeapi", "release", {}, "url, version of"),
        ("n1", "tradeapi", "nunit", TESTS | {"min_tests": 1}, "min_tests of"),
        ("n1", "tradeapi", "nunit", TESTS | {"version": "1.0.0"}, "version of"),
        ("n1", "tradeapi", "nunit", TESTS | {"aim": {"by": "port"}}, "aim of"),
        ("n1", "tradeapi", "warmup", {"urls": ["/quotes"], "url": "http://n2/health"}, "url of this warmup check"),
        ("n1", "tradeapi", "observe", {}, "no observe check of tradeapi on n1"),
        ("n2", "tradeapi", "release", RELEASE, "no release check of tradeapi on n2"),
        ("n1", "pricefeed", "release", RELEASE, "no release check of pricefeed on n1"),
    ],
)
def test_an_easier_check_is_refused(node: str, service: str, step: str, asked: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused, match=told):
        require_planned(PLAN, node, service, step, asked)
