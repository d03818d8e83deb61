"""Settings of Splunk's collector: what is wrong is told by the option's name, and no secret is told with it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from tidegate.shipping.options import require_drain
from tidegate.shipping.splunk.settings import splunk_settings

GOOD = {"url": "https://splunk:8088", "token": "t-0"}


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ({"url": "splunk:8088"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://[::1"}, "url"),
        ({"url": "https://splunk:99999"}, "url"),
        ({"url": "https://splunk:port"}, "url"),
        ({"url": "https://u:CANARY@splunk:8088"}, "url"),
        ({"url": "https://splunk:8088/services/collector"}, "url"),
        ({"url": "https://splunk:8088?token=CANARY"}, "url"),
        ({"token": ""}, "token_file"),
        ({"token": "CANARY and more"}, "token_file"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"acknowledge_timeout": float("inf")}, "acknowledge_timeout"),
        ({"ca_file": "/none"}, "ca_file"),
    ],
)
def test_wrong_settings(told: dict[str, Any], where: str) -> None:
    with pytest.raises(BadInput) as raised:
        splunk_settings(GOOD | told)
    assert raised.value.where == f"tidegate.delivery.splunk: {where}"
    assert "CANARY" not in str(raised.value)


@pytest.mark.parametrize("drain", [-5.0, float("nan"), float("inf"), 90_000.0])
def test_a_drain_that_nobody_means(drain: float) -> None:
    with pytest.raises(BadInput, match="too few or too many"):
        require_drain(drain)
    require_drain(0.0)
    require_drain(60.0)


def test_a_token_that_no_text_shows() -> None:
    assert "t-0" not in repr(splunk_settings(GOOD | {"url": "http://[::1]:8088/"}))
