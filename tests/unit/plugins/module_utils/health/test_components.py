"""States of components, as frameworks tell them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.health.components import Components, component_problems

# The answer of Microsoft's documented response writer (ASP.NET Core, "Health checks", Customize output).
MICROSOFT: dict[str, Any] = {
    "status": "Degraded",
    "results": {
        "database": {"status": "Healthy", "description": None, "data": {}},
        "queue": {"status": "Degraded", "description": "slow", "data": {}},
    },
}
# HealthChecks.UI's UIResponseWriter has them in an object `entries`; others in a list.
UI = {"status": "Healthy", "entries": {"db": {"status": "Healthy", "duration": "00:00:00.01", "tags": []}}}
LIST = {"checks": [{"name": "db", "status": "Healthy"}, {"name": "mq", "state": "Unhealthy"}]}
PLAIN = {"status": "ok", "components": {"database": "ok", "cache": "down"}}
SPRING = {"status": "UP", "components": {"db": {"status": "UP"}, "diskSpace": {"status": "OUT_OF_SERVICE"}}}


@pytest.mark.parametrize(
    ("document", "expected", "problems"),
    [
        (UI, Components("$.entries"), []),
        (UI, Components("$.entries", required=("db",)), []),
        (UI, Components("$.entries", required=("queue",)), ["component queue is missing"]),
        (
            MICROSOFT,
            Components("$.results"),
            ["component queue is 'Degraded', expected Healthy or UP or ok"],
        ),
        (MICROSOFT, Components("$.results", accept=("healthy", "degraded")), []),
        (LIST, Components("$.checks", accept=("Healthy",)), ["component mq is 'Unhealthy', expected Healthy"]),
        (
            {"checks": [{"name": "db", "status": "Unhealthy"}, {"name": "db", "status": "Healthy"}]},
            Components("$.checks"),
            ["component db is 'Unhealthy', expected Healthy or UP or ok"],
        ),
        (PLAIN, Components("$.components", accept=("ok",)), ["component cache is 'down', expected ok"]),
        (SPRING, Components("$.components", ("UP",)), ["component diskSpace is 'OUT_OF_SERVICE', expected UP"]),
        ({"entries": {"db": {}}}, Components("$.entries", ("ok",)), ["component db is '', expected ok"]),
        ({"entries": {"db": None}}, Components("$.entries", ("ok",)), ["component db is '', expected ok"]),
        ({"entries": {}}, Components("$.entries"), ["there are no components at $.entries"]),
        ({}, Components("$.entries"), ["there are no components at $.entries ($ has no 'entries')"]),
        ({"entries": 5}, Components("$.entries"), ["$.entries is neither an object nor a list of components"]),
        (
            {"entries": ["db"]},
            Components("$.entries"),
            ["$.entries is a list in which not every component has a name"],
        ),
    ],
)
def test_every_component_is_good_or_told(document: object, expected: Components, problems: list[str]) -> None:
    assert component_problems(document, expected) == problems


def test_of_many_bad_components_some_are_told() -> None:
    document = {"entries": {f"c{number}": "down" for number in range(100)}}
    problems = component_problems(document, Components("$.entries", ("ok",)))
    assert len(problems) == 6
    assert problems[-1] == "95 more components are not ok"


def test_no_good_state_is_no_check() -> None:
    with pytest.raises(BadInput, match="no state is accepted"):
        Components("$.entries", ())
