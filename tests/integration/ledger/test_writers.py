"""Several processes write one ledger, some are killed; the chain stays one and whole."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step, genesis
from tests.waiting import until
from tidegate.chain import Row, verify_rows
from tidegate.ledger import SqlLedger
from tidegate.store import Store

Start = Callable[..., Any]


def event() -> Event:
    return Event(
        service="tradeapi", environment="lab", deployment="d1", attempt=1, step=Step.HEALTH, outcome=Outcome.OK
    )


def test_ten_writers_that_start_at_once_leave_one_unbroken_chain(start: Start, url: str) -> None:
    """They make the file, too: none of them finds it there."""
    writers = [start("append", url, "50") for _ in range(10)]
    for writer in writers:
        assert writer.hear() == {"ready": True}
    said = [entry for told in _all_at_once(writers) for entry in told]
    assert sorted(entry["seq"] for entry in said) == list(range(1, 501))
    ledger = SqlLedger(Store(url))
    last = max(said, key=lambda entry: entry["seq"])
    verdict = ledger.verify("lab", (last["seq"], last["hash"]))
    assert str(verdict) == "intact up to 500"
    assert len({entry.event.id for entry in ledger.entries("lab")}) == 500


def _all_at_once(writers: list[Any]) -> list[list[dict[str, Any]]]:
    for writer in writers:
        writer.tell()
    return [writer.end() for writer in writers]


def test_a_writer_killed_in_its_transaction_leaves_nothing_of_it(start: Start, url: str) -> None:
    ledger = SqlLedger(Store(url))
    before = ledger.append(event())
    writer = start("half", url)
    writer.tell()
    assert [writer.hear(), writer.hear()] == [{"ready": True}, {"seq": 201}]
    file = Path(url.removeprefix("sqlite:///"))
    assert file.stat().st_size > 1_000_000
    writer.kill()
    assert file.with_name(f"{file.name}-journal").exists()
    assert ledger.head("lab") == before.anchor
    after = ledger.append(event())
    assert after.seq == 2
    assert str(ledger.verify("lab", after.anchor)) == "intact up to 2"


def test_writers_killed_at_any_moment_lose_nothing_that_they_had_written(start: Start, url: str) -> None:
    chance = random.Random(20260131)
    said: list[dict[str, Any]] = []
    ledger = SqlLedger(Store(url))

    def written_so_far() -> int:
        return ledger.head("lab")[0]

    for _ in range(8):
        before = written_so_far()
        writers = [start("append", url, "0") for _ in range(2)]
        for writer in writers:
            assert writer.hear() == {"ready": True}
            writer.tell()
        until(lambda before=before: written_so_far() > before + 5, "they write")  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 0.2))
        for writer in writers:
            said += writer.kill()
    written = {entry.seq: entry.hash for entry in ledger.entries("lab")}
    assert len(said) > 20
    assert all(written[entry["seq"]] == entry["hash"] for entry in said)
    last = max(said, key=lambda entry: entry["seq"])
    assert ledger.verify("lab", (last["seq"], last["hash"])).intact
    assert ledger.append(event()).seq == max(written) + 1


def test_a_ledger_opened_before_a_fork_serves_parent_and_children(url: str) -> None:
    """Ansible forks a worker for every task and host."""
    ledger = SqlLedger(Store(url))
    ledger.append(event())
    children = [_forked(ledger) for _ in range(4)]
    for _ in range(10):
        ledger.append(event())
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0, 0]
    assert ledger.verify("lab").upto == 51


def _forked(ledger: SqlLedger) -> int:
    child = os.fork()
    if child:
        return child
    try:
        for _ in range(10):
            ledger.append(event())
        os._exit(0)
    finally:
        os._exit(1)


def test_the_same_writers_fork_a_chain_that_is_written_as_drivers_do_by_default(start: Start, tmp_path: Path) -> None:
    """The control: ten writers do meet here, and a forked chain is seen."""
    raw = sqlite3.connect(tmp_path / "naive.sqlite")
    raw.execute("CREATE TABLE chain (seq, prev, hash, body)")
    raw.execute("INSERT INTO chain VALUES (0, '', ?, '')", (genesis("lab"),))
    raw.commit()
    writers = [start("naive", str(tmp_path / "naive.sqlite"), "50") for _ in range(10)]
    for writer in writers:
        assert writer.hear() == {"ready": True}
    _all_at_once(writers)
    stored = raw.execute("SELECT seq, prev, hash, body FROM chain WHERE seq > 0 ORDER BY seq").fetchall()
    rows = [Row(seq, prev, hash_, json.loads(body)["id"], "d1", body.encode()) for seq, prev, hash_, body in stored]
    assert len(rows) == 500
    verdict = verify_rows(rows, "lab")
    assert not verdict.intact
    assert verdict.upto < 500
