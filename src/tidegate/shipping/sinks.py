"""What a place that events are shipped to must offer, and how it can answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Kind = Literal["event", "task", "custom"]


@dataclass(frozen=True, slots=True)
class Item:
    """One event on its way: `kind` says whose (the ledger's, a playbook's task's, somebody's own).

    `at` is in seconds since 1970, `fields` the object as docs/events.md has it, `size` its bytes where it came from.
    `id` is the same however often it is sent.
    """

    kind: Kind
    id: str
    at: float
    fields: Mapping[str, Any]
    size: int = 0


@dataclass(frozen=True, slots=True)
class NoEvent:
    """What a source has in an event's place: no sink is given it. `id` says where it stands."""

    id: str
    why: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """All of a batch has arrived for good, but for `bad`: positions in the batch that no further try can deliver."""

    bad: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Pending:
    """The batch was taken, and whether it arrives for good is told later, by `Sink.settled`, under this number."""

    number: int
    bad: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Retry:
    """Nothing or not all of it was taken: send all of it again, not before `after_s` (None: the sender's own pace)."""

    why: str
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """No further try of this process can deliver anything: the configuration is wrong. The events are kept."""

    why: str


Answer = Delivered | Pending | Retry | Refused


# A sink's `batch` where it takes a whole one at once; no batch is bigger.
BATCH = 1000


class Sink(Protocol):
    """A place that events are shipped to. Called by one thread; no method raises for what the other side does.

    `batch`: how many events `deliver` gets at most. The cursor moves after a whole batch.
    """

    name: str
    kinds: frozenset[Kind]
    batch: int

    @property
    def problem(self) -> str:
        """Why what it has taken is not known to have arrived; empty when nothing is in the way."""
        ...

    def deliver(self, batch: Sequence[Item]) -> Answer:
        """Send a batch, oldest first."""
        ...

    def settled(self) -> tuple[set[int], set[int]]:
        """Numbers of batches that arrived for good since the last call, and of those that must be sent again."""
        ...

    def close(self) -> None:
        """End connections."""
        ...
