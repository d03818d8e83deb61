"""What one sink has got of one source, and what is on its way: the rules of the cursor, without any clock or socket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tidegate.shipping.cursor import Cursor
from tidegate.shipping.sinks import Item, Kind, NoEvent

Read = tuple[object, Item | NoEvent]


class Source(Protocol):
    """Where events come from, in an order that never changes."""

    key: str

    def after(self, position: object, limit: int) -> list[Read]:
        """At most `limit` events after a position (None: from the beginning), each with its own position."""
        ...

    def arrived(self, position: object) -> None:
        """All up to this position has arrived."""
        ...


# Of a batch, before it is compressed: what Splunk advises and its cloud demands is at most 1 MB, envelopes included.
MAX_BATCH_BYTES = 512 * 1024


@dataclass(slots=True)
class _Batch:
    before: object
    last: object
    count: int
    number: int | None
    there: bool = False


@dataclass(slots=True)
class Lane:
    """The cursor moves over batches that have arrived for good, in their order, and over nothing else."""

    source: Source
    cursor: Cursor
    kinds: frozenset[Kind]
    shipped: int = 0
    _read: object = None
    _loaded: bool = False
    _under_way: list[_Batch] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """How many batches are on their way."""
        return len(self._under_way)

    def next(self, limit: int) -> list[Read]:
        """What is to be sent next; nothing is remembered until `sent` is called with it."""
        if not self._loaded:
            self._read, self._loaded = self.cursor.load(), True
        return _not_too_much(self.source.after(self._read, limit))

    def items(self, reads: Sequence[Read]) -> list[Item]:
        """Those of them that are events of a kind which the sink takes."""
        return [item for _position, item in reads if isinstance(item, Item) and item.kind in self.kinds]

    def sent(self, reads: Sequence[Read], number: int | None, *, refused: int = 0) -> None:
        """They were taken, but for so many; `number` is what `settled` will tell, None when they have arrived."""
        last, taken = reads[-1][0], len(self.items(reads)) - refused
        self._under_way.append(_Batch(self._read, last, taken, number, there=number is None))
        self._read = last
        self._move()

    def settled(self, arrived: set[int], lost: set[int]) -> None:
        """Some batches have arrived for good, others must be sent again, with all that was sent after them."""
        for batch in self._under_way:
            batch.there = batch.there or batch.number in arrived
        for place, batch in enumerate(self._under_way):
            if batch.number in lost:
                self._read = batch.before
                del self._under_way[place:]
                break
        self._move()

    def _move(self) -> None:
        moved = None
        while self._under_way and self._under_way[0].there:
            moved = self._under_way.pop(0)
            self.shipped += moved.count
        if moved is not None:
            self.cursor.save(moved.last)
            self.source.arrived(moved.last)


def no_events(reads: Sequence[Read]) -> dict[str, str]:
    """Where something stands that is no event, and why it is none."""
    return {each.id: each.why for _position, each in reads if isinstance(each, NoEvent)}


def _not_too_much(reads: list[Read]) -> list[Read]:
    """Its beginning, as much as fits into one batch; one at the least."""
    room = MAX_BATCH_BYTES
    for place, (_position, item) in enumerate(reads):
        room -= item.size if isinstance(item, Item) else 0
        if room < 0 and place:
            return reads[:place]
    return reads
