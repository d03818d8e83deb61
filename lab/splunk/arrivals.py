"""What was taken, in order, and what the client was told of it; in memory, and in a folder if there is one."""

from __future__ import annotations

import json
import operator
import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any, NamedTuple

from lab.splunk.envelopes import Envelope

EVENTS = "events.jsonl"
TOLD = "acknowledged.jsonl"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event. `told`: the client has asked for its request's acknowledgement, and the answer was yes.

    `run` tells one life of the collector from the next: ids of acknowledgements begin at 0 again.
    """

    time: str | None
    host: str | None
    source: str
    sourcetype: str
    index: str
    event: Any
    fields: Mapping[str, Any]
    token: str
    channel: str | None
    ack_id: int | None
    run: str
    told: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that was answered, for tests of how a client asks."""

    path: str
    code: int
    encoding: str
    bytes: int
    events: int


class _Batch(NamedTuple):
    """The events of one request: kept and written together, which is what makes the collector quick."""

    token: str
    channel: str | None
    ack_id: int | None
    run: str
    events: Sequence[Envelope]


_row = operator.attrgetter(*(one.name for one in fields(Envelope)))
# The life of a collector, the channel and the id that the client was told to be indexed.
_Told = tuple[str, str, int]


class Arrivals:
    """Thread-safe. With a folder, a line for each request is written (not synced) before it is answered."""

    def __init__(self, folder: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._run = uuid.uuid4().hex
        self._batches: list[_Batch] = []
        self._told: set[_Told] = set()
        self._asked: list[Asked] = []
        self._files: tuple[IO[str], IO[str]] | None = None
        if folder:
            self._batches, self._told = _read(folder)
            self._files = (folder / EVENTS).open("a", encoding="utf-8"), (folder / TOLD).open("a", encoding="utf-8")
        self._count = sum(len(batch.events) for batch in self._batches)

    def add(self, events: Sequence[Envelope], token: str, channel: str | None, ack_id: int | None) -> None:
        """Events of one request."""
        batch = _Batch(token, channel, ack_id, self._run, events)
        line = f"{json.dumps([*batch[:-1], [_row(one) for one in events]])}\n" if self._files else ""
        with self._lock:
            self._batches.append(batch)
            self._count += len(events)
            if self._files:
                self._files[0].write(line)
                self._files[0].flush()

    def tell(self, channel: str, numbers: Iterable[int]) -> None:
        """The client is told that these requests are indexed."""
        with self._lock:
            for number in numbers:
                self._told.add((self._run, channel, number))
                if self._files:
                    self._files[1].write(f"{json.dumps([self._run, channel, number])}\n")
                    self._files[1].flush()

    def note(self, asked: Asked) -> None:
        """A request was answered."""
        with self._lock:
            self._asked.append(asked)

    def events(self) -> list[Arrival]:
        """All that arrived, in order, duplicates too."""
        with self._lock:
            return _arrivals(self._batches, self._told)

    def count(self) -> int:
        """How many events arrived; cheap."""
        return self._count

    def asked(self) -> list[Asked]:
        """All requests that were answered, in this life of the collector."""
        with self._lock:
            return list(self._asked)

    def close(self) -> None:
        """Nothing is written any more; what arrived stays readable."""
        with self._lock:
            for file in self._files or ():
                file.close()
            self._files = None


def read_arrivals(folder: Path) -> list[Arrival]:
    """What a collector of another process has written so far; a line that is not whole yet is left out."""
    return _arrivals(*_read(folder))


def _arrivals(batches: Iterable[_Batch], told: set[_Told]) -> list[Arrival]:
    return [
        Arrival(
            *(one.time, one.host, one.source, one.sourcetype, one.index, one.event, one.fields),
            *(batch.token, batch.channel, batch.ack_id, batch.run),
            told=(batch.run, batch.channel, batch.ack_id) in told,
        )
        for batch in batches
        for one in batch.events
    ]


def _read(folder: Path) -> tuple[list[_Batch], set[_Told]]:
    # Acknowledgements first: no event is missing then that one of them is about.
    told = {(run, channel, number) for run, channel, number in _lines(folder / TOLD)}
    batches = [
        _Batch(token, channel, ack_id, run, [Envelope(*one) for one in events])
        for token, channel, ack_id, run, events in _lines(folder / EVENTS)
    ]
    return batches, told


def _lines(file: Path) -> list[Any]:
    if not file.exists():
        return []
    whole, _, _ = file.read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.split("\n") if line]
