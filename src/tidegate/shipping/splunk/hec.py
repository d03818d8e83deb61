"""Splunk's HTTP Event Collector as a sink.

What is sent follows Splunk Enterprise, Getting Data In: «Format events for HTTP Event Collector» (objects one after the
other, metadata beside `event`, time in seconds) and «About HTTP Event Collector Indexer Acknowledgment» (channel,
ackId, asking for it).
"""

from __future__ import annotations

import gzip
import json
import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tidegate.shipping.http import FAILURES, Header, HttpServer, why
from tidegate.shipping.sinks import BATCH, Answer, Delivered, Item, Kind, Pending, Refused, Retry
from tidegate.shipping.splunk.codes import Meaning, Verdict, acknowledged, verdict
from tidegate.shipping.splunk.settings import SplunkSettings

_EVENTS = "/services/collector/event"
_ACKS = "/services/collector/ack"
# Little is gained by trying harder: what is sent is text with the same keys again and again.
_COMPRESSION = 1
# Splunk forgets what it was not asked about (max_number_of_acked_requests_pending_query_per_ack_channel, 10 million).
_ASKED_AT_ONCE = 1000
_UNFIT = "it has what JSON or UTF-8 has no place for: a number that is none, or half a character"
_NO_ACK = "It gave no ackId. Turn on indexer acknowledgement for the token in Splunk, or set acknowledge: no"


@dataclass(frozen=True, slots=True)
class _Sent:
    at: float
    ack: int


class HecSink:
    """One token of one collector. A channel for each process: acknowledgements of another's are not ours to ask for."""

    kinds: frozenset[Kind] = frozenset({"event", "task", "custom"})
    batch = BATCH

    def __init__(self, settings: SplunkSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = "splunk"
        self._settings = settings
        self._clock = clock
        self._host = socket.gethostname()
        self._unasked = self._late = ""
        self._waiting: dict[int, _Sent] = {}
        # What the next `settled` tells.
        self._arrived: set[int] = set()
        self._lost: set[int] = set()
        self._took = False
        self._number = 0
        self._highest = -1
        self._server = HttpServer(
            settings.url,
            Header(f"Splunk {settings.token}"),
            timeout=settings.timeout,
            ca_file=settings.ca_file,
            validate_certs=settings.validate_certs,
        )
        self._headers = {"Content-Type": "application/json", "X-Splunk-Request-Channel": str(uuid.uuid4())}

    def deliver(self, batch: Sequence[Item]) -> Answer:
        """Send a batch, without the events that the collector refuses.

        Where it has never taken any, what it says is not about one event: something between may have changed them all.
        """
        try:
            return self._delivered(batch)
        except ValueError:
            # Before anything was sent: JSON has no place for what somebody wrote there by hand,.
            unfit = {place: _UNFIT for place, item in enumerate(batch) if not self._fits(item)}
            if not unfit:
                raise
        fit = [place for place in range(len(batch)) if place not in unfit]
        answer = self._delivered([batch[place] for place in fit])
        if isinstance(answer, Retry | Refused):
            return answer
        return replace(answer, bad=unfit | {fit[place]: why for place, why in answer.bad.items()})

    def _delivered(self, batch: Sequence[Item]) -> Answer:
        answer = self._sent(batch)
        if isinstance(answer, Delivered) and batch and len(answer.bad) == len(batch) and not self._took:
            return Retry(f"none is taken, so none is set aside: {answer.bad[0]}")
        return answer

    def _fits(self, item: Item) -> bool:
        try:
            envelope(item, self._settings, self._host)
        except ValueError:
            return False
        return True

    def _sent(self, batch: Sequence[Item]) -> Answer:
        bad: dict[int, str] = {}
        good = list(range(len(batch)))
        while good:
            told = self._post(_EVENTS, b"\n".join(envelope(batch[at], self._settings, self._host) for at in good))
            if told.meaning is Meaning.TAKEN:
                return self._taken(told, bad)
            if told.meaning is Meaning.RETRY:
                return Retry(told.why, told.after_s)
            if told.meaning is Meaning.MISCONFIGURED:
                return Refused(told.why)
            if len(good) > 1 and (told.event is None or not 0 <= told.event < len(good)):
                return self._in_halves(batch)
            # What stands before a bad event may have been indexed: it is sent again, with the same id.
            bad[good.pop(told.event or 0)] = told.why
        return Delivered(bad)

    @property
    def problem(self) -> str:
        """Why what was taken is not known to have arrived; empty when nothing is in the way."""
        return self._unasked or self._late

    def settled(self) -> tuple[set[int], set[int]]:
        """Ask for what has not been acknowledged yet."""
        self._look()
        arrived, lost = self._arrived, self._lost
        self._arrived, self._lost = set(), set()
        return arrived, lost

    def _look(self) -> None:
        if not self._waiting:
            return
        numbers = {sent.ack: number for number, sent in list(self._waiting.items())[:_ASKED_AT_ONCE]}
        there = self._ask(sorted(numbers))
        arrived = {numbers[ack] for ack in there & set(numbers)}
        late = self._clock() - self._settings.acknowledge_timeout
        lost = {number for number, sent in self._waiting.items() if sent.at <= late} - arrived
        for number in arrived | lost:
            del self._waiting[number]
        self._arrived |= arrived
        self._lost |= lost
        if lost:
            self._late = f"not acknowledged within {self._settings.acknowledge_timeout:g} s, and sent again"
        elif arrived:
            self._late = ""

    def close(self) -> None:
        """End its connections."""
        self._server.close()

    def _taken(self, told: Verdict, bad: Mapping[int, str]) -> Answer:
        self._took = True
        if not self._settings.acknowledge:
            return Delivered(bad)
        if told.ack is None:
            return Refused(_NO_ACK)
        if told.ack <= self._highest:
            # It counts anew, so it was restarted, and knows nothing of what it had not indexed by then.
            self._lost |= set(self._waiting)
            self._waiting.clear()
        self._highest = told.ack
        self._number += 1
        self._waiting[self._number] = _Sent(self._clock(), told.ack)
        return Pending(self._number, bad)

    def _in_halves(self, batch: Sequence[Item]) -> Answer:
        """Something in it is bad and the collector doesn't say what: the halves tell. Each is waited for."""
        middle = len(batch) // 2
        bad: dict[int, str] = {}
        for begin, half in ((0, batch[:middle]), (middle, batch[middle:])):
            answer = self._sent(half)
            if isinstance(answer, Retry | Refused):
                return answer
            if isinstance(answer, Pending) and not self._arrives(answer.number):
                return Retry("a part of the batch was not acknowledged")
            bad |= {begin + at: why for at, why in answer.bad.items()}
        return Delivered(bad)

    def _arrives(self, number: int) -> bool:
        pause = 0.05
        while number in self._waiting:
            self._look()
            if number in self._waiting:
                time.sleep(pause)
                pause = min(2 * pause, 2.0)
        # Of the others `settled` tells.
        arrived = number in self._arrived
        self._arrived.discard(number)
        self._lost.discard(number)
        return arrived

    def _ask(self, acks: Sequence[int]) -> set[int]:
        try:
            answer = self._server.ask(
                "POST", _ACKS, body=json.dumps({"acks": list(acks)}).encode(), headers=self._headers
            )
        except FAILURES as error:
            self._unasked = f"acknowledgements can't be asked for: {why(error)}"
            return set()
        there = acknowledged(answer.status, answer.body)
        self._unasked = f"acknowledgements can't be asked for: HTTP {answer.status}" if there is None else ""
        return there or set()

    def _post(self, path: str, body: bytes) -> Verdict:
        headers = {**self._headers, "Content-Encoding": "gzip"}
        try:
            answer = self._server.ask("POST", path, body=gzip.compress(body, _COMPRESSION, mtime=0), headers=headers)
        except FAILURES as error:
            return Verdict(Meaning.RETRY, why(error))
        return verdict(answer.status, answer.body, answer.retry_after)


def envelope(item: Item, settings: SplunkSettings, host: str) -> bytes:
    """An event as HEC takes it. Without an index it goes to the token's own."""
    of_us = settings.sourcetype
    told = {
        "time": f"{item.at:.3f}",
        "host": host,
        "source": settings.source,
        "sourcetype": f"{of_us}:{item.kind}",
        "event": item.fields,
    }
    if settings.index:
        told["index"] = settings.index
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
