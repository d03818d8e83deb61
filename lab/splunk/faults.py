"""Faults that a test asks for: what the collector, or the network before it, does instead of what it should."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from lab.splunk.codes import Code


class Kind(StrEnum):
    """What happens to a request."""

    # Answers; nothing of the request is taken.
    BUSY = "busy"
    ERROR = "error"
    QUEUE_FULL = "queue_full"
    ACK_FULL = "ack_full"
    SHUTTING_DOWN = "shutting_down"
    # The connection is reset in the middle of the request; nothing is taken.
    RESET = "reset"
    # Accepted, and never a word; nothing is taken.
    SILENT = "silent"
    # All is taken, and the client doesn't learn it.
    HALF_REPLY = "half_reply"
    RESET_AFTER = "reset_after"
    SILENT_AFTER = "silent_after"
    # All is answered as if it were taken, lost before it is indexed, and never acknowledged.
    LOST = "lost"


ANSWERS: Mapping[Kind, Code] = {
    Kind.BUSY: Code.BUSY,
    Kind.ERROR: Code.INTERNAL_ERROR,
    Kind.QUEUE_FULL: Code.QUEUE_AT_CAPACITY,
    Kind.ACK_FULL: Code.ACK_AT_CAPACITY,
    Kind.SHUTTING_DOWN: Code.SHUTTING_DOWN,
}


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong from now on. `Faults()` is nothing.

    `kind` befalls the requests of `to` (`event` with raw, `ack`, `health`) that `requests` names, counted from 1 since
    these faults began; none named: all of them. `acks_after_s`: how long indexing takes; None: for ever.
    """

    latency_s: float = 0.0
    refused: bool = False
    kind: Kind | None = None
    requests: tuple[int, ...] = ()
    to: tuple[str, ...] = ("event",)
    # Splunk's pages don't mention Retry-After; load balancers before it send it.
    retry_after_s: int | None = None
    acks_after_s: float | None = 0.0
    # Answers 24 and 25: taken, and a warning.
    nearly_full: str = ""
    queues_full: bool = False
    acks_unavailable: bool = False

    def to_json(self) -> str:
        """For a file that `of_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> Faults:
        """Raises ValueError or TypeError for anything else."""
        given = json.loads(text)
        kind = Kind(given["kind"]) if given.get("kind") else None
        tuples = {key: tuple(value) for key, value in given.items() if isinstance(value, list)}
        return cls(**{**given, **tuples, "kind": kind})


@dataclass(slots=True)
class FaultState:
    """The faults of now, and how many requests they have seen."""

    _faults: Faults = field(default_factory=Faults)
    _seen: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    # Set whenever faults change, so that who is silent or slow looks again.
    changed: threading.Event = field(default_factory=threading.Event)

    def set(self, faults: Faults) -> None:
        with self._lock:
            self._faults, self._seen = faults, {}
            old, self.changed = self.changed, threading.Event()
        old.set()

    def now(self) -> Faults:
        with self._lock:
            return self._faults

    def of_next_request(self, endpoint: str) -> tuple[Faults, Kind | None, threading.Event]:
        """The faults, what befalls this request, and what is set when that changes."""
        with self._lock:
            faults = self._faults
            self._seen[endpoint] = number = self._seen.get(endpoint, 0) + 1
            hit = endpoint in faults.to and (not faults.requests or number in faults.requests)
            return faults, faults.kind if hit else None, self.changed
