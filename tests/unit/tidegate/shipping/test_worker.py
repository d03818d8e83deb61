"""A sink's thread: what nobody thought of is told and tried again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_S, until
from tidegate.shipping import worker
from tidegate.shipping.aside import Aside
from tidegate.shipping.shipper import Shipper
from tidegate.shipping.sinks import BATCH, Answer, Delivered, Item, Kind, NoEvent, Retry
from tidegate.shipping.spool import SpoolWriter


class Stumbling:
    """Raises what no sink should, some times."""

    name = "stumbling"
    kinds: frozenset[Kind] = frozenset({"custom"})
    batch = BATCH
    problem = ""

    def __init__(self, times: int) -> None:
        self._left = times
        self.got: list[str] = []

    def deliver(self, batch: Sequence[Item]) -> Answer:
        self._left -= 1
        if self._left >= 0:
            raise ValueError("a text with a secret in it")
        self.got += [item.id for item in batch]
        return Delivered({})

    def settled(self) -> tuple[set[int], set[int]]:
        return set(), set()

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(worker, "FIRST_PAUSE_S", 0.01)
    writer = SpoolWriter(tmp_path)
    writer.put("custom", "one", 1.0, {"id": "one"})
    writer.close()
    return tmp_path


def test_an_error_of_our_own_is_tried_again(spool: Path) -> None:
    sink, shipper = Stumbling(2), Shipper(spool)
    shipper.add_sink(sink)
    assert shipper.finish(PATIENCE_S)
    assert sink.got == ["one"]


def test_an_error_of_our_own_that_stays_is_told_by_its_kind(spool: Path) -> None:
    shipper = Shipper(spool)
    shipper.add_sink(Stumbling(1000))
    told = "an error of Tidegate's own (ValueError): please report it"
    until(lambda: shipper.standing()[0].why == told, told)
    assert not shipper.finish(0.3)
    (standing,) = shipper.standing()
    assert standing.why == told
    assert not standing.idle


class Choosy(Stumbling):
    """Takes nothing that has to do with poison until it has taken something else."""

    def __init__(self) -> None:
        super().__init__(0)
        self.kinds = frozenset({"custom", "event"})

    def deliver(self, batch: Sequence[Item]) -> Answer:
        if [item.id for item in batch] == ["poison"]:
            return Delivered({0: "refused"}) if self.got else Retry("none is taken")
        return super().deliver(batch)


class Listed:
    """A source of a few events."""

    problem = ""

    def __init__(self, key: str, *ids: str) -> None:
        self.key, self._ids = key, ids

    def after(self, position: object, limit: int) -> list[tuple[object, Item | NoEvent]]:
        begin = 0 if position is None else int(str(position)) + 1
        left = list(enumerate(self._ids))[begin : begin + limit]
        return [(place, Item("event", id_, 1.0, {"id": id_})) for place, id_ in left]

    def arrived(self, position: object) -> None:
        """Nothing is removed."""


def test_a_source_that_is_held_up_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "FIRST_PAUSE_S", 0.01)
    sink = Choosy()
    thread = worker.Worker(sink, tmp_path)
    thread.add(Listed("spool", "poison"))
    thread.add(Listed("ledger", "a", "b"))
    thread.start()
    thread.finish()
    thread.join(PATIENCE_S)
    assert sink.got == ["a", "b"]
    assert thread.set_aside == {"poison": "refused"}
    assert (thread.standing().shipped, thread.standing().set_aside) == (2, 1), "what was set aside is not shipped"


def test_a_torn_line_of_what_was_set_aside_costs_no_other(tmp_path: Path) -> None:
    Aside(tmp_path, "splunk").add({"e1": "bad"})
    with (tmp_path / "set-aside" / "splunk.jsonl").open("a") as file:
        file.write('{"id":"e2"')
    Aside(tmp_path, "splunk").add({"e3": "worse", "e1": "again"})
    assert Aside(tmp_path, "splunk").all() == {"e1": "bad", "e3": "worse"}


class Slow(Choosy):
    """Takes few at a time."""

    batch = 3

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def deliver(self, batch: Sequence[Item]) -> Answer:
        self.sizes.append(len(batch))
        return super().deliver(batch)


def test_the_cursor_moves_after_each_batch_of_the_sinks_own_size(tmp_path: Path) -> None:
    sink = Slow()
    thread = worker.Worker(sink, tmp_path)
    thread.add(Listed("ledger", *"abcdefgh"))
    thread.start()
    thread.finish()
    thread.join(PATIENCE_S)
    assert (sink.sizes, "".join(sink.got)) == ([3, 3, 2], "abcdefgh")
