"""A ledger that can't be read is not shipped, and one made anew under the same URL is shipped from its beginning."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from tidegate.ledger import SqlLedger
from tidegate.shipping.shipper import Shipper, take
from tidegate.shipping.sinks import BATCH, Answer, Delivered, Item, Kind
from tidegate.store import Store


class _Sink:
    name = "splunk"
    problem = ""
    kinds: frozenset[Kind] = frozenset({"event", "task", "custom"})
    batch = BATCH

    def __init__(self) -> None:
        self.ids: list[str] = []

    def deliver(self, batch: Sequence[Item]) -> Answer:
        self.ids += [item.id for item in batch]
        return Delivered({})

    def settled(self) -> tuple[set[int], set[int]]:
        return set(), set()

    def close(self) -> None:
        pass


def _shipped(spool: Path, url: str, wait_s: float = 30) -> tuple[bool, int]:
    sink = _Sink()
    shipper = Shipper(spool)
    shipper.add_ledger(url, "live")
    shipper.add_sink(sink)
    return shipper.finish(wait_s), len(sink.ids)


def _write(path: Path, count: int) -> str:
    url = f"sqlite:///{path}"
    ledger = SqlLedger(Store(url))
    for _ in range(count):
        ledger.append(
            Event(service="a", environment="live", deployment="", attempt=0, step=Step.REFUSE, outcome=Outcome.REFUSED)
        )
    return url


def test_a_ledger_that_cannot_be_read_is_not_told_as_shipped(tmp_path: Path) -> None:
    (tmp_path / "l.db").write_bytes(b"not a database" * 500)
    assert _shipped(tmp_path, f"sqlite:///{tmp_path / 'l.db'}", 3) == (False, 0)


def test_an_entry_that_is_no_event_is_named_by_every_process(tmp_path: Path) -> None:
    url = _write(tmp_path / "l.db", 2)
    with sqlite3.connect(tmp_path / "l.db") as ledger:
        ledger.execute(
            "INSERT INTO entries (chain, seq, prev_hash, hash, event, deployment, body) "
            "SELECT chain, 3, hash, 'by hand', 'by hand', '', 'no JSON' FROM entries WHERE seq = 2"
        )
    for shipped in (2, 0):
        sink, shipper = _Sink(), Shipper(tmp_path)
        shipper.add_ledger(url, "live")
        shipper.add_sink(sink)
        assert (shipper.finish(30), len(sink.ids)) == (True, shipped)
        assert list(shipper.set_aside()) == ["live 3"]
        assert "somebody wrote it there by hand" in shipper.set_aside()["live 3"]


@pytest.mark.parametrize("place", ["folder", "link"])
def test_a_lock_that_cannot_be_ours_is_told(tmp_path: Path, place: str) -> None:
    lock = tmp_path / "lock"
    lock.mkdir() if place == "folder" else lock.symlink_to("/etc/hostname")
    with pytest.raises(BadInput, match="the spool can't be locked") as told:
        take(tmp_path)
    assert told.value.where == str(lock)


def test_a_ledger_made_anew_is_shipped_from_its_beginning(tmp_path: Path) -> None:
    url = _write(tmp_path / "l.db", 5)
    assert _shipped(tmp_path, url) == (True, 5)
    assert _shipped(tmp_path, url) == (True, 0)
    (tmp_path / "l.db").unlink()
    assert _shipped(tmp_path, _write(tmp_path / "l.db", 3)) == (True, 3)
