"""A collector without its sockets: a request in, an answer out.

The order of the checks is not documented as a whole: the token before all that the request carries (Page.OBSERVED),
then whether anything is taken now, then the channel, then the body.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.splunk.arrivals import Arrivals, Asked
from lab.splunk.channels import Channels, checked_channel
from lab.splunk.codes import Code, Refused
from lab.splunk.configuration import Configuration, Token
from lab.splunk.envelopes import Envelope, allowed, envelopes
from lab.splunk.faults import ANSWERS, Faults, FaultState, Kind

# Page.ENDPOINTS and Page.REFERENCE. `/1.0` «works identically»; ack has none in the pages.
_ROOT = "/services/collector"
ENDPOINTS: Mapping[str, str] = {
    _ROOT: "event",
    f"{_ROOT}/event": "event",
    f"{_ROOT}/event/1.0": "event",
    f"{_ROOT}/raw": "raw",
    f"{_ROOT}/raw/1.0": "raw",
    f"{_ROOT}/ack": "ack",
    f"{_ROOT}/health": "health",
    f"{_ROOT}/health/1.0": "health",
}
# Page.REFERENCE: health is asked with GET, the others with POST.
_METHODS = {"event": "POST", "raw": "POST", "ack": "POST", "health": "GET"}
_ACKS_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whole; header names in lower case, the path without its query."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    code: int = -1


class TooLarge(Exception):
    """More bytes than `max_content_length`."""


def plain(status: int, text: str) -> Reply:
    """What Splunk's HTTP server says before its collector is asked: no JSON (Page.OBSERVED, 413 and 415)."""
    page = f"<!doctype html><html><head><title>{status} {text}</title></head><body><h1>{text}</h1></body></html>"
    return Reply(status, page.encode(), {"Content-Type": "text/html; charset=UTF-8"})


class Collector:
    """Thread-safe."""

    def __init__(
        self,
        configuration: Configuration,
        arrivals: Arrivals,
        faults: FaultState,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.configuration = configuration
        self.arrivals = arrivals
        self.faults = faults
        self._channels = Channels(configuration.limits)
        self._clock = clock
        self._lock = threading.Lock()

    def handle(self, request: Request, faults: Faults | None = None, kind: Kind | None = None) -> Reply:
        """The answer, with what was taken in `arrivals`. `kind` is the fault that befalls this request."""
        faults = faults or self.faults.now()
        endpoint = ENDPOINTS.get(request.path)
        if endpoint is None:
            # The text is Page.OBSERVED's.
            return _json(404, {"text": "The requested URL was not found on this server.", "code": 404}, 404)
        if request.method != _METHODS[endpoint]:
            # Neither page nor observation has the text.
            return _json(405, {"text": "Method Not Allowed", "code": 405}, 405)
        taken: list[Envelope] = []
        try:
            reply = self._answer(endpoint, request, faults, kind, taken)
        except Refused as refused:
            reply = _refusal(refused, faults)
        except TooLarge:
            reply = plain(413, "Content-Length too large")
        encoding = request.headers.get("content-encoding", "")
        self.arrivals.note(Asked(request.path, reply.code, encoding, len(request.body), len(taken)))
        return reply

    def forget_acknowledgements(self) -> None:
        """As a restart of Splunk does."""
        with self._lock:
            self._channels.forget()

    def _answer(
        self, endpoint: str, request: Request, faults: Faults, kind: Kind | None, taken: list[Envelope]
    ) -> Reply:
        if endpoint == "health":
            return self._health(request, faults, kind)
        token = self._token(request)
        if kind is not None and kind in ANSWERS:
            raise Refused(ANSWERS[kind])
        channel = checked_channel(_channel(request), required=token.use_ack or endpoint == "ack")
        if endpoint == "ack":
            return self._ack(token, channel, request, faults)
        body = self._body(request)
        if body is None:
            return plain(415, "Unsupported Media Type")
        if channel and token.use_ack:
            with self._lock:
                self._channels.check_room(channel, self._clock())
        refused: Refused | None = None
        try:
            found = _lines(body, request, token) if endpoint == "raw" else self._events(body, token)
            taken.extend(found[0])
            refused = found[1]
        except Refused as error:
            refused = error
        if refused and not taken:
            raise refused
        return self._take(taken, token, channel, faults, kind is Kind.LOST, refused)

    def _events(self, body: bytes, token: Token) -> tuple[list[Envelope], Refused | None]:
        found: list[Envelope] = []
        try:
            for one in envelopes(body, token, self.configuration.limits.max_event_size):
                found.append(one)
        except Refused as refused:
            return found, refused
        return found, None

    def _take(
        self,
        taken: list[Envelope],
        token: Token,
        channel: str | None,
        faults: Faults,
        lost: bool,
        refused: Refused | None,
    ) -> Reply:
        """The events are in the queue and have an id, also the ones before a refused one (Page.OBSERVED)."""
        number: int | None = None
        with self._lock:
            if channel and token.use_ack:
                number = self._channels.give(channel, self._clock(), lost)
            if not lost:
                self.arrivals.add(taken, token.name, channel, number)
        # Page.ACKNOWLEDGEMENT; the key is spelled as in the page's example of an answer (`ackId`).
        acknowledged = {} if number is None else {"ackId": number}
        if refused:
            return _refusal(refused, faults, acknowledged)
        code = {"queue": Code.QUEUE_NEARLY_FULL, "ack": Code.ACK_NEARLY_FULL}.get(faults.nearly_full, Code.SUCCESS)
        return _coded(code, acknowledged)

    def _health(self, request: Request, faults: Faults, kind: Kind | None) -> Reply:
        """Page.REFERENCE, collector/health: 200, 400 for an invalid token, 503; none is required (Page.OBSERVED)."""
        if kind is not None and kind in ANSWERS:
            raise Refused(ANSWERS[kind])
        if "authorization" in request.headers or "token" in request.query:
            try:
                self._token(request)
            except Refused as refused:
                of_health = {
                    Code.INVALID_TOKEN: Code.HEALTH_INVALID_TOKEN,
                    Code.TOKEN_DISABLED: Code.HEALTH_TOKEN_DISABLED,
                }
                raise Refused(of_health.get(refused.code, refused.code)) from refused
        unhealthy = {
            (True, False): Code.QUEUES_FULL,
            (False, True): Code.ACKS_UNAVAILABLE,
            (True, True): Code.QUEUES_FULL_ACKS_UNAVAILABLE,
        }
        return _coded(unhealthy.get((faults.queues_full, faults.acks_unavailable), Code.HEALTHY))

    def _ack(self, token: Token, channel: str | None, request: Request, faults: Faults) -> Reply:
        """Page.ACKNOWLEDGEMENT, the query: `{"acks": [0, 1]}` is answered `{"acks": {"0": true, "1": false}}`."""
        if not token.use_ack:
            raise Refused(Code.ACK_DISABLED)
        body = self._body(request)
        if body is None:
            return plain(415, "Unsupported Media Type")
        if not body.strip():
            raise Refused(Code.NO_DATA)
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(Code.INVALID_DATA_FORMAT) from error
        numbers = asked.get("acks") if isinstance(asked, dict) else None
        if not isinstance(numbers, list) or len(numbers) > _ACKS_LIMIT or not all(_is_id(one) for one in numbers):
            raise Refused(Code.INVALID_DATA_FORMAT)
        with self._lock:
            told = self._channels.ask(channel or "", numbers, self._clock(), faults.acks_after_s)
            self.arrivals.tell(channel or "", [number for number, indexed in told.items() if indexed])
        return _json(200, {"acks": {str(number): indexed for number, indexed in told.items()}}, 0)

    def _token(self, request: Request) -> Token:
        """Page.FORMAT, «HEC token»: by header, by basic authentication or by query string.

        A token in the query string is the one that counts, even where it is not allowed (Page.INPUTS), and it is
        looked up before it is refused as such (Page.OBSERVED).
        """
        in_query = request.query.get("token")
        given = in_query if in_query is not None else _authorization(request.headers.get("authorization", ""))
        token = next((one for one in self.configuration.tokens if one.value == given), None)
        if token is None:
            raise Refused(Code.INVALID_TOKEN)
        if token.disabled:
            raise Refused(Code.TOKEN_DISABLED)
        if in_query is not None and not token.allow_query_string_auth:
            raise Refused(Code.NO_QUERY_TOKEN)
        return token

    def _body(self, request: Request) -> bytes | None:
        """Decompressed; None for a coding that Splunk doesn't take (gzip it does: Page.OBSERVED)."""
        coding = request.headers.get("content-encoding", "identity").strip().lower()
        if coding == "identity":
            return request.body
        return _gunzipped(request.body, self.configuration.limits.max_content_length) if coding == "gzip" else None


def _gunzipped(data: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain_data = stream.decompress(data, limit)
    except zlib.error as error:
        raise Refused(Code.INVALID_DATA_FORMAT) from error
    if stream.unconsumed_tail:
        raise TooLarge
    if not stream.eof or stream.unused_data:
        raise Refused(Code.INVALID_DATA_FORMAT)
    return plain_data


def _authorization(header: str) -> str:
    scheme, _, given = header.strip().partition(" ")
    if not scheme:
        raise Refused(Code.TOKEN_REQUIRED)
    given = given.strip()
    if scheme.lower() == "splunk" and given:
        return given
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Refused(Code.INVALID_AUTHORIZATION) from error
    raise Refused(Code.INVALID_AUTHORIZATION)


def _channel(request: Request) -> str | None:
    """Page.ACKNOWLEDGEMENT: «as a header or as a query string»."""
    return request.headers.get("x-splunk-request-channel") or request.query.get("channel")


def _lines(body: bytes, request: Request, token: Token) -> tuple[list[Envelope], Refused | None]:
    """Page.REFERENCE, collector/raw: metadata of all by the query string.

    Each line is an event here; in Splunk the source type says where one ends.
    """
    index = request.query.get("index") or token.index
    if not allowed(index, token):
        raise Refused(Code.INCORRECT_INDEX)
    try:
        lines = [line.rstrip("\r") for line in body.decode("utf-8").split("\n")]
    except UnicodeDecodeError as error:
        raise Refused(Code.INVALID_DATA_FORMAT) from error
    found = [
        Envelope(
            time=None,
            host=request.query.get("host"),
            source=request.query.get("source") or token.default_source,
            sourcetype=request.query.get("sourcetype") or token.sourcetype,
            index=index,
            event=line,
            fields={},
        )
        for line in lines
        if line.strip()
    ]
    if not found:
        raise Refused(Code.NO_DATA)
    return found, None


def _is_id(given: object) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and given >= 0


def _refusal(refused: Refused, faults: Faults, more: Mapping[str, Any] | None = None) -> Reply:
    numbered = {} if refused.event is None else {"invalid-event-number": refused.event}
    waits = faults.retry_after_s is not None and refused.code.status in (429, 503)
    headers = {"Retry-After": str(faults.retry_after_s)} if waits else {}
    return _coded(refused.code, {**numbered, **(more or {})}, headers)


def _coded(code: Code, more: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> Reply:
    return _json(code.status, {"text": code.text, "code": code.number, **(more or {})}, code.number, headers)


def _json(status: int, content: Mapping[str, Any], code: int, headers: Mapping[str, str] | None = None) -> Reply:
    body = json.dumps(content, separators=(",", ":")).encode()
    return Reply(status, body, {"Content-Type": "application/json; charset=UTF-8", **(headers or {})}, code)
