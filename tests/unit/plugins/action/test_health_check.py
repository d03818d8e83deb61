from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.action.health_check import ActionModule


@pytest.mark.parametrize(
    ("given", "least_s"),
    [
        ({"checks": []}, 120),
        ({"checks": [], "warmup": {"timeout": "1m"}}, 180),
        # All of the last round's checks hang, one after the other: the locks must outlast them.
        ({"checks": [{}] * 20}, 120 + 20 * 30),
    ],
)
def test_the_deadline_outlasts_the_last_round(given: dict[str, Any], least_s: float) -> None:
    args = {"timeout": "2m", "request_timeout": "30s", **given}
    call: Any = SimpleNamespace(args=args)
    deadline = object.__new__(ActionModule).deadline(call)
    assert deadline >= least_s
    assert (deadline == least_s) is not bool(args["checks"])
