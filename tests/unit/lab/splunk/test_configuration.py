"""A collector's configuration out of JSON."""

from __future__ import annotations

import pytest

from lab.splunk.configuration import Configuration, Limits, Token


def test_tokens_and_limits() -> None:
    given = {"tokens": [{"name": "n", "value": "v", "indexes": ["a"], "use_ack": True}], "limits": {"max_channels": 3}}
    assert Configuration.of(given) == Configuration(
        (Token("n", "v", indexes=("a",), use_ack=True),), Limits(max_channels=3)
    )


def test_an_unknown_key() -> None:
    with pytest.raises(TypeError):
        Configuration.of({"tokens": [{"name": "n", "value": "v", "useACK": True}]})
