"""What the collector's sink makes of answers: those that come while it waits for another are not lost."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Any

import pytest
import requests

from tidegate.shipping.http import Header, HttpAnswer, HttpServer
from tidegate.shipping.sinks import Delivered, Item, Pending
from tidegate.shipping.splunk.hec import HecSink
from tidegate.shipping.splunk.settings import SplunkSettings


class Collector:
    """Takes at most one event in a request, and acknowledges what it is asked for."""

    def __init__(self) -> None:
        self._acks = -1

    def ask(self, _method: str, path: str, *, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        assert headers["X-Splunk-Request-Channel"]
        if path.endswith("/ack"):
            told: dict[str, Any] = {"acks": {str(number): True for number in json.loads(body)["acks"]}}
        elif len(gzip.decompress(body).splitlines()) > 1:
            return HttpAnswer(413, b"Content-Length too large", None)
        else:
            self._acks += 1
            told = {"text": "Success", "code": 0, "ackId": self._acks}
        return HttpAnswer(200, json.dumps(told).encode(), None)

    def close(self) -> None:
        """Nothing is open."""


def items(*names: str) -> list[Item]:
    return [Item("event", name, 1.0, {"id": name}) for name in names]


@pytest.mark.parametrize("poison", [{"n": float("nan")}, {"n": float("-inf")}, {"t": "\ud800"}, {"\udcff": 1}])
def test_what_no_json_can_tell_is_set_aside_and_holds_up_no_other(poison: dict[str, Any]) -> None:
    sink = HecSink(SplunkSettings("http://127.0.0.1:1", "token"))
    sink._server = Collector()  # type: ignore[assignment]
    bad = Item("event", "poison", 1.0, poison)
    answer = sink.deliver([bad, *items("a"), bad])
    assert isinstance(answer, Pending)
    assert sorted(answer.bad) == [0, 2]
    assert sink.settled() == ({answer.number}, set())
    alone = sink.deliver([bad])
    assert isinstance(alone, Delivered)
    assert list(alone.bad) == [0]


def test_acknowledgements_of_others_that_come_while_halves_are_waited_for_are_told_afterwards() -> None:
    sink = HecSink(SplunkSettings("http://127.0.0.1:1", "token"))
    sink._server = Collector()  # type: ignore[assignment]  # as much of one as is asked here
    first = sink.deliver(items("a"))
    assert isinstance(first, Pending)
    assert sink.deliver(items("b", "c", "d")) == Delivered({})
    assert sink.settled() == ({first.number}, set())
    assert sink.settled() == (set(), set())


@pytest.mark.parametrize(("options", "expected"), [({"validate_certs": False}, False), ({"ca_file": "/ca"}, "/ca")])
def test_whom_to_trust_is_not_replaced_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], expected: bool | str
) -> None:
    found: list[Any] = []

    def send(_session: requests.Session, _request: requests.PreparedRequest, **given: Any) -> requests.Response:
        found.append(given["verify"])
        raise requests.ConnectionError("as far as it goes")

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/another")
    monkeypatch.setattr(requests.Session, "send", send)
    with pytest.raises(requests.ConnectionError):
        HttpServer("https://splunk.example.org", Header(), timeout=1, **options).ask("GET", "/")
    assert found == [expected]
