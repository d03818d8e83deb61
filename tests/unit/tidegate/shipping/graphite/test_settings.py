"""Wrong settings are told with the option's name, and without what they may hide."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from tidegate.shipping.graphite.settings import carbon_settings, web_settings


@pytest.mark.parametrize(
    ("carbon", "address"),
    [("c:2103", ("c", 2103)), ("c", ("c", 2003)), ("[::1]:9", ("::1", 9)), ("10.0.0.1:2003", ("10.0.0.1", 2003))],
)
def test_carbons_address(carbon: str, address: tuple[str, int]) -> None:
    assert carbon_settings({"carbon": carbon}).address == address


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ({"carbon": "http://c:2003"}, "carbon"),
        ({"carbon": "c:x"}, "carbon"),
        ({"carbon": "c:70000"}, "carbon"),
        ({"carbon": "c:0"}, "carbon"),
        ({"carbon": "u:CANARY@c:2003"}, "carbon"),
        ({"carbon": ":2003"}, "carbon"),
        ({"carbon": "c", "prefix": "a b"}, "prefix"),
        ({"carbon": "c", "prefix": "a." * 60 + "b"}, "prefix"),
        ({"carbon": "c", "prefix": ""}, "prefix"),
        ({"carbon": "c", "interval": 0}, "interval"),
        ({"carbon": "c", "timeout": 0}, "timeout"),
    ],
)
def test_wrong_settings_of_carbon(told: dict[str, Any], where: str) -> None:
    with pytest.raises(BadInput) as raised:
        carbon_settings(told)
    assert raised.value.where == f"tidegate.delivery.graphite: {where}"
    assert "CANARY" not in str(raised.value)


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ({"web": "ftp://g"}, "web"),
        ({"web": "https://"}, "web"),
        ({"web": "https://[::1"}, "web"),
        ({"web": "https://g:99999"}, "web"),
        ({"web": "https://u:CANARY@g"}, "web"),
        ({"web": "https://g?x=CANARY"}, "web"),
        ({"web": "https://g", "user": "u"}, "password_file"),
        ({"web": "https://g", "user": "u:CANARY", "password": "p"}, "user"),
        ({"web": "https://g", "password": "CANARY"}, "user"),
        ({"web": "https://g", "ca_file": "/none"}, "ca_file"),
        ({"web": "https://g", "timeout": -1.0}, "timeout"),
    ],
)
def test_wrong_settings_of_graphite_web(told: dict[str, Any], where: str) -> None:
    with pytest.raises(BadInput) as raised:
        web_settings(told)
    assert raised.value.where == f"tidegate.delivery.graphite: {where}"
    assert "CANARY" not in str(raised.value)


def test_a_path_and_a_password_that_no_text_shows() -> None:
    told = web_settings({"web": "https://g/graphite", "user": "u", "password": "CANARY", "sink": "graphite-web"})
    assert "CANARY" not in repr(told)
