"""Who the customers are: what each kind asks, how often, and which answer it takes for a good one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lab.haproxy_config import LABEL_HEADER, REQUEST_ID_HEADER
from lab.http1 import Answer
from lab.layout import PRICEFEED, SHARED_PORT, TRADEAPI, Layout


class Kind(StrEnum):
    """What a customer does again and again."""

    KEEP_ALIVE = "keep-alive"  # GET /quotes, many on one connection
    NEW_CONNECTION = "new-connection"  # GET /quotes, a connection for each
    ORDER = "order"  # POST /orders with a body, on a kept connection
    REPORT = "report"  # GET /report, takes the service three seconds
    FEED = "feed"  # GET /quotes of the second service


# Slow ones would hide in the tail what the others feel, so percentiles leave them out.
FAST = frozenset(Kind) - {Kind.REPORT}
# Their answers tell tradeapi's version.
TRADEAPI_KINDS = frozenset(Kind) - {Kind.FEED}
PATIENCE_S = 10.0
_LABEL = re.compile(r"[A-Za-z0-9._-]{1,40}")
_REPORTS_PER_SECOND_AT_MOST = 0.25  # a report takes 3 s, and a customer waits for one before the next


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer: asks one front end `rate` times a second, one request at a time."""

    kind: Kind
    load_balancer: str
    host: str
    port: int
    virtual_host: str
    rate: float

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Customer:
        """The counterpart of dataclasses.asdict, after JSON."""
        return cls(**{**raw, "kind": Kind(raw["kind"])})

    @property
    def keeps_connection(self) -> bool:
        return self.kind is not Kind.NEW_CONNECTION


# For each load balancer: kind, customers, percent of all requests. They add up to 50, and there are two load balancers.
_DIRECT = ((Kind.KEEP_ALIVE, 4, 19.0), (Kind.NEW_CONNECTION, 2, 8.0), (Kind.ORDER, 2, 6.0), (Kind.REPORT, 3, 0.5))
_SHARED = ((Kind.KEEP_ALIVE, 2, 8.0), (Kind.NEW_CONNECTION, 1, 4.0), (Kind.ORDER, 1, 2.0), (Kind.REPORT, 3, 0.5))
_FEED = ((Kind.FEED, 1, 2.0),)


def customers_of(layout: Layout, rate: float) -> tuple[Customer, ...]:
    """The usual mix over every online front end of the lab, about `rate` requests a second together."""
    assert TRADEAPI.online_port is not None
    fronts = (
        (TRADEAPI.online_port, TRADEAPI.virtual_host, _DIRECT),
        (SHARED_PORT, TRADEAPI.virtual_host, _SHARED),
        (SHARED_PORT, PRICEFEED.virtual_host, _FEED),
    )
    return tuple(
        Customer(kind, balancer.name, balancer.address, port, name, each)
        for balancer in layout.load_balancers
        for port, name, mix in fronts
        for kind, each in _spread(mix, rate)
    )


def _spread(mix: tuple[tuple[Kind, int, float], ...], rate: float) -> Iterator[tuple[Kind, float]]:
    for kind, count, percent in mix:
        each = rate * percent / 100 / count
        for _ in range(count):
            yield kind, min(each, _REPORTS_PER_SECOND_AT_MOST) if kind is Kind.REPORT else each


@dataclass(frozen=True, slots=True)
class Question:
    """One request as bytes, and what of its body the answer must repeat."""

    wire: bytes
    body: bytes = b""


def question(customer: Customer, label: str, number: int) -> Question:
    """The customer's request with this number, which it carries: whoever gets it twice can tell."""
    if customer.kind is Kind.ORDER:
        body = json.dumps({"symbol": "EURUSD", "quantity": number % 97 + 1, "reference": f"{label}-{number}"}).encode()
        length = f"Content-Length: {len(body)}\r\n"
        return Question(_head(customer, label, number, "POST /orders", length) + body, body)
    line = "GET /report" if customer.kind is Kind.REPORT else "GET /quotes"
    return Question(_head(customer, label, number, line, "" if customer.keeps_connection else "Connection: close\r\n"))


def _head(customer: Customer, label: str, number: int, line: str, more: str) -> bytes:
    names = f"{LABEL_HEADER}: {label}\r\n{REQUEST_ID_HEADER}: {label}-{number}\r\n"
    return f"{line} HTTP/1.1\r\nHost: {customer.virtual_host}\r\n{names}{more}\r\n".encode("ascii")


def checked_label(label: str) -> str:
    """The label itself. Raises ValueError unless it can be a header's value, a file's name and a log's field."""
    if not _LABEL.fullmatch(label):
        raise ValueError(f"{label!r} is no label: 1 to 40 letters, digits, '.', '_' and '-'")
    return label


def fault_of(kind: Kind, asked: Question, answer: Answer) -> str:
    """Why this is not the answer that the customer needs; empty if it is."""
    expected = 201 if kind is Kind.ORDER else 200
    if answer.status != expected:
        return f"status {answer.status}"
    version = answer.headers.get("x-version", "")
    if not version:
        return "no X-Version in the answer"
    try:
        body = json.loads(answer.body)
    except ValueError:
        return f"the body is no JSON: {answer.body[:40]!r}"
    return _fault_of_body(kind, asked, version, body) if isinstance(body, dict) else "the body is no JSON object"


def _fault_of_body(kind: Kind, asked: Question, version: str, body: dict[str, Any]) -> str:
    if kind is Kind.REPORT:
        return "" if body.get("report") else "an empty report"
    if kind is Kind.ORDER:
        taken = {"bytes": len(asked.body), "sha256": hashlib.sha256(asked.body).hexdigest()}
        wrong = [key for key, value in taken.items() if body.get(key) != value]
        return f"the order came back with another {wrong[0]}: {body.get(wrong[0])!r}" if wrong else ""
    if body.get("version") != version:
        return f"X-Version says {version}, the body {body.get('version')!r}"
    service = PRICEFEED.name if kind is Kind.FEED else TRADEAPI.name
    if body.get("service") != service:
        return f"another service answered: {body.get('service')!r}"
    return "" if body.get("quotes") else "no quotes in the answer"
