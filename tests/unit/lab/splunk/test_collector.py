"""What the collector answers: every status code that Splunk documents, provoked."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab.splunk.arrivals import Arrivals
from lab.splunk.codes import Code
from lab.splunk.collector import Collector, Reply, Request
from lab.splunk.configuration import Configuration, Limits, Token
from lab.splunk.faults import Faults, FaultState, Kind

PLAIN = "11111111-1111-1111-1111-111111111111"
ACK = "22222222-2222-2222-2222-222222222222"
OFF = "33333333-3333-3333-3333-333333333333"
BY_QUERY = "44444444-4444-4444-4444-444444444444"
CHANNEL = "FE0ECFAD-13D5-401B-847D-77833BD77131"
OTHER = "0AEEAC95-AC74-4AA9-B30D-6C4C0AC581BA"
EVENT = "/services/collector/event"
TOKENS = (
    Token("plain", PLAIN, indexes=("main", "deployments")),
    Token("ack", ACK, use_ack=True),
    Token("off", OFF, disabled=True),
    Token("by-query", BY_QUERY, allow_query_string_auth=True),
)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """A collector, its clock, and short ways to ask it."""

    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.faults = FaultState()
        self.arrivals = Arrivals()
        self.collector = Collector(Configuration(TOKENS, self.limits), self.arrivals, self.faults, self.clock)

    def send(
        self,
        body: object = '{"event": "a"}',
        path: str = EVENT,
        token: str = PLAIN,
        channel: str = "",
        kind: Kind | None = None,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        method: str = "POST",
    ) -> Reply:
        sent = {"authorization": f"Splunk {token}"} if token else {}
        sent |= {"x-splunk-request-channel": channel} if channel else {}
        data = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        return self.collector.handle(Request(method, path, query or {}, {**sent, **(headers or {})}, data), kind=kind)

    def ask(self, *numbers: int, channel: str = CHANNEL) -> dict[str, bool]:
        told: dict[str, bool] = said(self.send({"acks": numbers}, "/services/collector/ack", ACK, channel))["acks"]
        return told


@pytest.fixture
def world() -> Iterator[World]:
    yield World()


def said(reply: Reply) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(reply.body)
    return found


def expect(reply: Reply, code: Code, **more: object) -> None:
    assert (reply.status, said(reply)) == (code.status, {"text": code.text, "code": code.number, **more})


def test_every_documented_code_is_provoked_here() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    assert [code.number for code in Code] == list(range(28))
    assert [code.name for code in Code if f"Code.{code.name}" not in here] == []


def test_an_event_is_taken_with_its_envelope(world: World) -> None:
    envelope = {
        "time": 1437522387.25,
        "host": "h",
        "source": "s",
        "sourcetype": "t",
        "index": "deployments",
        "event": {"id": 1},
        "fields": {"device": "x", "roles": ["a", "b"], "size": 3},
    }
    expect(world.send(envelope), Code.SUCCESS)
    (one,) = world.arrivals.events()
    assert (one.time, one.host, one.source, one.sourcetype, one.index) == (
        "1437522387.25",
        "h",
        "s",
        "t",
        "deployments",
    )
    assert (one.event, one.fields, one.token, one.told) == ({"id": 1}, envelope["fields"], "plain", False)


def test_what_the_envelope_lacks_is_the_tokens(world: World) -> None:
    expect(world.send(), Code.SUCCESS)
    (one,) = world.arrivals.events()
    assert (one.time, one.host, one.source, one.sourcetype, one.index) == (
        None,
        None,
        "http:plain",
        "httpevent",
        "main",
    )


@pytest.mark.parametrize("path", ["/services/collector", EVENT, f"{EVENT}/1.0"])
def test_stacked_events_are_one_request(world: World, path: str) -> None:
    expect(
        world.send('{"event": 1}{"event": {"a": "b"}}\r\n\t {"event": "c", "time": "1426279439"}\n', path), Code.SUCCESS
    )
    assert [one.event for one in world.arrivals.events()] == [1, {"a": "b"}, "c"]


@pytest.mark.parametrize("path", ["/services/collector/raw", "/services/collector/raw/1.0"])
def test_raw_lines_have_their_metadata_in_the_query(world: World, path: str) -> None:
    query = {"index": "deployments", "host": "h", "source": "s", "sourcetype": "t"}
    expect(world.send("one\r\n\ntwo", path, query=query), Code.SUCCESS)
    assert [(one.event, one.index, one.host) for one in world.arrivals.events()] == [
        ("one", "deployments", "h"),
        ("two", "deployments", "h"),
    ]
    expect(world.send("\n \n", path), Code.NO_DATA)
    expect(world.send("one", path, query={"index": "secret"}), Code.INCORRECT_INDEX)
    expect(world.send(b"\xff", path), Code.INVALID_DATA_FORMAT)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, Code.TOKEN_REQUIRED),
        ({"authorization": " "}, Code.TOKEN_REQUIRED),
        ({"authorization": f"Bearer {PLAIN}"}, Code.INVALID_AUTHORIZATION),
        ({"authorization": "Splunk"}, Code.INVALID_AUTHORIZATION),
        ({"authorization": "Basic ***"}, Code.INVALID_AUTHORIZATION),
        ({"authorization": f"Splunk {CHANNEL}"}, Code.INVALID_TOKEN),
        ({"authorization": f"Splunk {OFF}"}, Code.TOKEN_DISABLED),
        ({"authorization": f"Splunk {PLAIN}"}, Code.SUCCESS),
        ({"authorization": f"Basic {base64.b64encode(f'x:{PLAIN}'.encode()).decode()}"}, Code.SUCCESS),
    ],
)
def test_the_token(world: World, headers: dict[str, str], code: Code) -> None:
    expect(world.send(token="", headers=headers), code)
    assert world.arrivals.count() == (code is Code.SUCCESS)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (PLAIN, Code.NO_QUERY_TOKEN),
        (CHANNEL, Code.INVALID_TOKEN),
        (OFF, Code.TOKEN_DISABLED),
        (BY_QUERY, Code.SUCCESS),
    ],
)
def test_the_token_of_the_query_counts_before_the_headers(world: World, query: str, code: Code) -> None:
    expect(world.send(query={"token": query}), code)


def test_no_data(world: World) -> None:
    expect(world.send(""), Code.NO_DATA)
    expect(world.send(" \n"), Code.NO_DATA)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("{", Code.INVALID_DATA_FORMAT),
        ('{"event": NaN}', Code.INVALID_DATA_FORMAT),
        ('[{"event": "a"}]', Code.INVALID_DATA_FORMAT),
        ('"event"', Code.INVALID_DATA_FORMAT),
        ("[" * 100_000, Code.INVALID_DATA_FORMAT),
        ('{"event": "a", "severity": "INFO"}', Code.INVALID_DATA_FORMAT),
        ('{"event": "a", "host": 1}', Code.INVALID_DATA_FORMAT),
        ('{"event": "a", "fields": ["x"]}', Code.INVALID_DATA_FORMAT),
        ('{"time": 1}', Code.EVENT_REQUIRED),
        ('{"event": null}', Code.EVENT_REQUIRED),
        ('{"event": ""}', Code.EVENT_BLANK),
        ('{"event": "a", "fields": {"a": {"b": "c"}}}', Code.INDEXED_FIELDS),
        ('{"event": "a", "fields": {"a": [["b"]]}}', Code.INDEXED_FIELDS),
        ('{"event": "a", "fields": {"a": null}}', Code.INDEXED_FIELDS),
        ('{"event": "a", "time": 1.4e9}', Code.INDEXED_FIELDS),
        ('{"event": "a", "time": "yesterday"}', Code.INDEXED_FIELDS),
        ('{"event": "a", "time": true}', Code.INDEXED_FIELDS),
        ('{"event": "a", "time": -1}', Code.INDEXED_FIELDS),
    ],
)
def test_a_bad_event_is_named_and_those_before_it_are_taken(world: World, bad: str, code: Code) -> None:
    expect(world.send(f'{{"event": "good"}}{bad}{{"event": "after"}}'), code, **{"invalid-event-number": 1})
    assert [one.event for one in world.arrivals.events()] == ["good"]


def test_what_is_no_utf_8_is_no_event(world: World) -> None:
    expect(world.send(b'{"event": "\xff"}'), Code.INVALID_DATA_FORMAT, **{"invalid-event-number": 0})


def test_an_index_that_the_token_may_not_use(world: World) -> None:
    expect(world.send('{"event": "a", "index": "secret"}'), Code.INCORRECT_INDEX, **{"invalid-event-number": 1})
    expect(world.send('{"event": "a", "index": "any"}', token=ACK, channel=CHANNEL), Code.SUCCESS, ackId=0)


def test_an_event_that_is_too_long() -> None:
    small = World(Limits(max_event_size=30))
    expect(small.send('{"event": "' + "x" * 30 + '"}'), Code.INVALID_DATA_FORMAT, **{"invalid-event-number": 0})


def test_gzip(world: World) -> None:
    packed = gzip.compress(b'{"event": "a"}')
    headers = {"content-encoding": "gzip"}
    expect(world.send(packed, headers=headers), Code.SUCCESS)
    expect(world.send(packed[:-3], headers=headers), Code.INVALID_DATA_FORMAT)
    expect(world.send(packed + b"more", headers=headers), Code.INVALID_DATA_FORMAT)
    expect(world.send(b"plain", headers=headers), Code.INVALID_DATA_FORMAT)
    assert world.send(packed, headers={"content-encoding": "br"}).status == 415
    assert world.arrivals.count() == 1
    assert [one.encoding for one in world.arrivals.asked()][:2] == ["gzip", "gzip"]


def test_what_unpacks_to_too_much() -> None:
    bomb = gzip.compress(b'{"event": "' + b"x" * 100_000 + b'"}')
    assert World(Limits(max_content_length=10_000)).send(bomb, headers={"content-encoding": "gzip"}).status == 413


def test_a_channel_is_needed_for_acknowledgement(world: World) -> None:
    expect(world.send(token=ACK), Code.CHANNEL_MISSING)
    expect(world.send(token=ACK, channel="mine"), Code.INVALID_CHANNEL)
    expect(world.send(channel="mine"), Code.INVALID_CHANNEL)
    expect(world.send(token=ACK, query={"channel": CHANNEL}), Code.SUCCESS, ackId=0)
    assert world.arrivals.count() == 1


def test_ids_count_for_each_channel_and_are_told_once(world: World) -> None:
    for number in range(3):
        expect(world.send(token=ACK, channel=CHANNEL), Code.SUCCESS, ackId=number)
    expect(world.send(token=ACK, channel=OTHER), Code.SUCCESS, ackId=0)
    assert world.ask(0, 2, 7) == {"0": True, "2": True, "7": False}
    assert world.ask(0, 1, channel=CHANNEL.lower()) == {"0": False, "1": True}
    assert world.ask(1, channel=OTHER) == {"1": False}
    assert [one.told for one in world.arrivals.events()] == [True, True, True, False]


def test_an_acknowledgement_that_comes_late_or_never(world: World) -> None:
    world.faults.set(Faults(acks_after_s=10))
    expect(world.send(token=ACK, channel=CHANNEL), Code.SUCCESS, ackId=0)
    assert world.ask(0) == {"0": False}
    world.clock.now += 10
    assert world.ask(0) == {"0": True}
    world.faults.set(Faults(acks_after_s=None))
    expect(world.send(token=ACK, channel=CHANNEL), Code.SUCCESS, ackId=1)
    world.clock.now += 500
    assert world.ask(1) == {"1": False}
    world.faults.set(Faults())
    assert world.ask(1) == {"1": True}


def test_a_request_that_is_lost_before_it_is_indexed(world: World) -> None:
    expect(world.send(token=ACK, channel=CHANNEL, kind=Kind.LOST), Code.SUCCESS, ackId=0)
    assert world.ask(0) == {"0": False}
    assert world.arrivals.count() == 0


def test_a_refused_event_behind_taken_ones_has_an_id_too(world: World) -> None:
    reply = world.send('{"event": "a"}{', token=ACK, channel=CHANNEL)
    expect(reply, Code.INVALID_DATA_FORMAT, **{"invalid-event-number": 1, "ackId": 0})
    assert world.ask(0) == {"0": True}


def test_an_idle_channel_is_forgotten(world: World) -> None:
    expect(world.send(token=ACK, channel=CHANNEL), Code.SUCCESS, ackId=0)
    world.clock.now += 601
    assert world.ask(0) == {"0": False}
    expect(world.send(token=ACK, channel=CHANNEL), Code.SUCCESS, ackId=0)
    world.collector.forget_acknowledgements()
    assert world.ask(0) == {"0": False}


@pytest.mark.parametrize(
    "limits", [Limits(max_acks_pending_per_channel=1), Limits(max_acks_pending=1)], ids=["channel", "all"]
)
def test_a_channel_that_is_full(limits: Limits) -> None:
    full = World(limits)
    expect(full.send(token=ACK, channel=CHANNEL), Code.SUCCESS, ackId=0)
    expect(full.send(token=ACK, channel=CHANNEL), Code.ACK_AT_CAPACITY)
    assert full.ask(0) == {"0": True}
    expect(full.send(token=ACK, channel=CHANNEL), Code.SUCCESS, ackId=1)
    assert full.arrivals.count() == 2


def test_more_channels_than_there_may_be() -> None:
    one = World(Limits(max_channels=1))
    expect(one.send(token=ACK, channel=CHANNEL), Code.SUCCESS, ackId=0)
    expect(one.send(token=ACK, channel=OTHER), Code.ACK_AT_CAPACITY)


def test_asking_wrongly(world: World) -> None:
    path = "/services/collector/ack"
    expect(world.send({"acks": [0]}, path, PLAIN, CHANNEL), Code.ACK_DISABLED)
    expect(world.send({"acks": [0]}, path, ACK), Code.CHANNEL_MISSING)
    expect(world.send("", path, ACK, CHANNEL), Code.NO_DATA)
    for wrong in ("{", "[0]", {"acks": 0}, {"acks": ["0"]}, {"acks": [True]}, {"acks": [-1]}, {}):
        expect(world.send(wrong, path, ACK, CHANNEL), Code.INVALID_DATA_FORMAT)
    assert world.send({"acks": [0]}, path, ACK, CHANNEL, headers={"content-encoding": "br"}).status == 415


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        (Faults(), Code.HEALTHY),
        (Faults(queues_full=True), Code.QUEUES_FULL),
        (Faults(acks_unavailable=True), Code.ACKS_UNAVAILABLE),
        (Faults(queues_full=True, acks_unavailable=True), Code.QUEUES_FULL_ACKS_UNAVAILABLE),
    ],
)
@pytest.mark.parametrize("path", ["/services/collector/health", "/services/collector/health/1.0"])
def test_health(world: World, faults: Faults, code: Code, path: str) -> None:
    world.faults.set(faults)
    expect(world.send("", path, token="", method="GET"), code)
    expect(world.send("", path, token=PLAIN, method="GET"), code)


def test_health_of_a_token(world: World) -> None:
    path = "/services/collector/health"
    expect(world.send("", path, token=CHANNEL, method="GET"), Code.HEALTH_INVALID_TOKEN)
    expect(world.send("", path, token=OFF, method="GET"), Code.HEALTH_TOKEN_DISABLED)
    expect(world.send("", path, kind=Kind.SHUTTING_DOWN, method="GET"), Code.SHUTTING_DOWN)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (Kind.BUSY, Code.BUSY),
        (Kind.ERROR, Code.INTERNAL_ERROR),
        (Kind.QUEUE_FULL, Code.QUEUE_AT_CAPACITY),
        (Kind.ACK_FULL, Code.ACK_AT_CAPACITY),
        (Kind.SHUTTING_DOWN, Code.SHUTTING_DOWN),
    ],
)
def test_nothing_is_taken_now(world: World, kind: Kind, code: Code) -> None:
    world.faults.set(Faults(retry_after_s=7))
    reply = world.send(kind=kind)
    expect(reply, code)
    assert reply.headers.get("Retry-After") == (None if code is Code.INTERNAL_ERROR else "7")
    assert world.arrivals.count() == 0


@pytest.mark.parametrize(("which", "code"), [("queue", Code.QUEUE_NEARLY_FULL), ("ack", Code.ACK_NEARLY_FULL)])
def test_a_warning_is_a_success(world: World, which: str, code: Code) -> None:
    world.faults.set(Faults(nearly_full=which))
    expect(world.send(token=ACK, channel=CHANNEL), code, ackId=0)
    assert world.arrivals.count() == 1


def test_a_wrong_path_or_method(world: World) -> None:
    for path in ("/services/collector/", "/services/collector/event/2.0", "/services/collectors", "/"):
        assert world.send(path=path).status == 404
    assert world.send(method="GET").status == 405
    assert world.send(path="/services/collector/health").status == 405
    assert world.arrivals.count() == 0
