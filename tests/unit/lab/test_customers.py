"""Who asks what, and which answers are good."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from lab.customers import Customer, Kind, checked_label, customers_of, fault_of, question
from lab.http1 import Answer
from lab.layout import Layout

LAYOUT = Layout("127.20", Path("/tmp/lab"))


def one(kind: Kind) -> Customer:
    return Customer(kind, "lb1", "127.20.0.1", 8080, "trade.lab", 1.0)


def answer(body: object, status: int = 200, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {"x-version": "1.0.0"} | headers, raw, keep=True)


def test_the_mix_has_every_kind_on_both_balancers_and_the_asked_rate() -> None:
    customers = customers_of(LAYOUT, 400)
    assert {each.kind for each in customers} == set(Kind)
    fronts = Counter((each.host, each.port, each.virtual_host) for each in customers)
    assert set(fronts) == {
        (f"127.20.0.{balancer}", port, name)
        for balancer in (1, 2)
        for port, name in ((8080, "trade.lab"), (8000, "trade.lab"), (8000, "feed.lab"))
    }
    assert 390 <= sum(each.rate for each in customers) <= 400


def test_a_report_is_never_asked_for_faster_than_it_is_made() -> None:
    rates = [each.rate for each in customers_of(LAYOUT, 4000) if each.kind is Kind.REPORT]
    assert rates and max(rates) * 3.0 < 1


def test_a_customer_survives_json() -> None:
    customer = one(Kind.ORDER)
    assert Customer.from_dict(json.loads(json.dumps(asdict(customer)))) == customer


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (Kind.KEEP_ALIVE, b"GET /quotes HTTP/1.1\r\n"),
        (Kind.NEW_CONNECTION, b"GET /quotes HTTP/1.1\r\n"),
        (Kind.ORDER, b"POST /orders HTTP/1.1\r\n"),
        (Kind.REPORT, b"GET /report HTTP/1.1\r\n"),
    ],
)
def test_a_request_says_whose_it_is_and_which(kind: Kind, line: bytes) -> None:
    wire = question(one(kind), "a-1", 7).wire
    assert wire.startswith(line)
    assert b"\r\nHost: trade.lab\r\nX-Load: a-1\r\nX-Request-Id: a-1-7\r\n" in wire
    assert (b"Connection: close" in wire) is (kind is Kind.NEW_CONNECTION)


def test_an_order_is_told_by_its_body() -> None:
    asked = question(one(Kind.ORDER), "a", 1)
    assert asked.wire.endswith(f"Content-Length: {len(asked.body)}\r\n\r\n".encode() + asked.body)
    assert asked.body != question(one(Kind.ORDER), "a", 2).body


@pytest.mark.parametrize("label", ["", "a b", "a\r\nX: y", "é", "x" * 41, "../up"])
def test_a_label_that_could_break_a_header_a_path_or_the_log_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="is no label"):
        checked_label(label)


QUOTES = {"service": "tradeapi", "version": "1.0.0", "quotes": [1]}


@pytest.mark.parametrize(
    ("kind", "given", "fault"),
    [
        (Kind.KEEP_ALIVE, answer(QUOTES), ""),
        (Kind.FEED, answer({**QUOTES, "service": "pricefeed"}), ""),
        (Kind.REPORT, answer({"report": "positions"}), ""),
        (Kind.KEEP_ALIVE, answer(QUOTES, 503), "status 503"),
        (Kind.KEEP_ALIVE, answer(QUOTES, 302), "status 302"),
        (Kind.ORDER, answer({}, 200), "status 200"),
        (Kind.KEEP_ALIVE, Answer(200, {}, b"{}", keep=True), "no X-Version in the answer"),
        (Kind.KEEP_ALIVE, answer(b"oops"), "the body is no JSON: b'oops'"),
        (Kind.KEEP_ALIVE, answer([]), "the body is no JSON object"),
        (Kind.KEEP_ALIVE, answer({**QUOTES, "version": "2"}), "X-Version says 1.0.0, the body '2'"),
        (Kind.KEEP_ALIVE, answer({**QUOTES, "service": "pricefeed"}), "another service answered: 'pricefeed'"),
        (Kind.KEEP_ALIVE, answer({**QUOTES, "quotes": []}), "no quotes in the answer"),
        (Kind.REPORT, answer({}), "an empty report"),
    ],
)
def test_what_a_customer_takes_for_a_good_answer(kind: Kind, given: Answer, fault: str) -> None:
    assert fault_of(kind, question(one(kind), "a", 1), given) == fault


def test_an_order_must_come_back_as_it_was_sent() -> None:
    asked = question(one(Kind.ORDER), "a", 1)
    taken = {"bytes": len(asked.body), "sha256": hashlib.sha256(asked.body).hexdigest()}
    assert fault_of(Kind.ORDER, asked, answer(taken, 201)) == ""
    assert "another bytes" in fault_of(Kind.ORDER, asked, answer({**taken, "bytes": 1}, 201))
    assert "another sha256" in fault_of(Kind.ORDER, asked, answer({**taken, "sha256": "0"}, 201))
