from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DeadlineExceeded
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind
from tidegate import store as store_module
from tidegate.ledger import SqlLedger
from tidegate.store import NOW_MS, Store, entries, locks, meta


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def test_folder_and_file_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "var" / "lib" / "ledger.sqlite"
    Store(url(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0


def test_the_mode_that_an_administrator_gave_stays(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Store(url(path))
    path.chmod(0o660)
    Store(url(path))
    assert path.stat().st_mode & 0o777 == 0o660


def test_a_path_with_signs_that_mean_something_in_a_uri_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a b#c%41" / "ledger.sqlite"
    Store(url(path))
    assert path.stat().st_size > 0


@pytest.mark.parametrize(
    "given",
    [
        "",
        "ledger.sqlite",
        "sqlite://",
        "sqlite:///",
        "sqlite:///relative.sqlite",
        "sqlite:///:memory:",
        "sqlite:////x?mode=memory",
        "postgresql://alice:secret@db/tidegate",
        "mysql+pymysql://db/x",
    ],
)
def test_any_other_url_is_refused_with_the_one_that_works(given: str) -> None:
    with pytest.raises(BadInput) as refusal:
        Store(given)
    assert "This version supports SQLite only: sqlite:////absolute/path/ledger.sqlite" in str(refusal.value)
    assert "secret" not in str(refusal.value)
    assert "tidegate_ledger" in str(refusal.value)


def test_a_path_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the ledger's file can't be opened: Is a directory") as refusal:
        Store(url(tmp_path))
    assert refusal.value.where == str(tmp_path)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="the ledger's file can't be opened"):
        Store(url(tmp_path / "file" / "ledger.sqlite"))


def test_a_file_that_is_not_sqlite_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"buy milk" * 200)
    with pytest.raises(BadInput, match="the ledger can't be used: file is not a database"):
        Store(url(path))
    assert path.read_bytes() == b"buy milk" * 200


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE meta (a)")
    before = path.read_bytes()
    with pytest.raises(BadInput, match="holds something else than a ledger"):
        Store(url(path))
    assert path.read_bytes() == before


def test_an_older_ledger_is_brought_to_this_schema(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = SqlLedger(Store(url(path)))
    planned = Event(service="s", environment="lab", deployment="d1", attempt=1, step=Step.PLAN, outcome=Outcome.OK)
    opened = ledger.open(
        Deployment(id="d1", kind=Kind.DEPLOY, service="s", environment="lab", version="1.1.0"), planned
    )
    with sqlite3.connect(path) as raw:
        for column in ("revision", "previous_revision"):
            raw.execute(f"ALTER TABLE deployments DROP COLUMN {column}")
        raw.execute("UPDATE meta SET value = 1 WHERE key = 'schema'")
    upgraded = SqlLedger(Store(url(path)))
    assert upgraded.deployment("d1") == opened
    assert upgraded.verify("lab").intact
    again = upgraded.new_attempt("d1", "{}", (), replace(planned, id="another"), revision="3f1c2ab")
    found = SqlLedger(Store(url(path))).deployment("d1")
    assert found == again
    assert found is not None
    assert (found.attempt, found.revision) == (2, "3f1c2ab")


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Store(url(path))
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE meta SET value = 3 WHERE key = 'schema'")
    with pytest.raises(
        BadInput, match=r"the ledger has schema 3, this Tidegate knows schema 2 .*Use the Tidegate version"
    ):
        Store(url(path))


def test_a_file_that_went_away_is_an_error_and_not_a_new_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    store = Store(url(path))
    path.unlink()
    with pytest.raises(BadInput, match="unable to open database file"), store.read():
        pass
    assert not path.exists()


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    store = Store(url(tmp_path / "ledger.sqlite"))
    with pytest.raises(RuntimeError), store.write() as connection:
        connection.execute(insert(meta).values(key="half", value=1))
        raise RuntimeError
    with store.read() as connection:
        assert connection.scalar(select(meta.c.value).where(meta.c.key == "half")) is None


def test_a_file_that_stays_busy_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "BUSY_S", 0.2)
    path = tmp_path / "ledger.sqlite"
    store = Store(url(path))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DeadlineExceeded, match="kept the ledger busy") as late, store.write():
        pass
    other.close()
    assert f"fuser {path}" in late.value.remedy


def test_reading_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    store = Store(url(tmp_path / "ledger.sqlite"))
    with store.write() as writing, store.read() as reading:
        writing.execute(insert(meta).values(key="new", value=1))
        assert reading.scalar(select(meta.c.value).where(meta.c.key == "new")) is None


def test_no_connection_outlives_its_transaction(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    store = Store(url(path))
    with store.write() as connection:
        connection.execute(insert(meta).values(key="a", value=1))
    assert str(path) not in {str(fd.resolve()) for fd in Path("/proc/self/fd").iterdir()}


def test_the_databases_clock_has_milliseconds(tmp_path: Path) -> None:
    import time

    store = Store(url(tmp_path / "ledger.sqlite"))
    before = time.time_ns() // 1_000_000
    with store.read() as connection:
        now = connection.scalar(select(NOW_MS))
    assert now is not None
    assert before - 1 <= now <= time.time_ns() // 1_000_000 + 1


ROW = {"chain": "lab", "seq": 1, "prev_hash": "p", "hash": "h1", "event": "e1", "deployment": "d", "body": "{}"}


@pytest.fixture
def raw(tmp_path: Path) -> sqlite3.Connection:
    """SQLite without us in between, with one entry in the ledger."""
    path = tmp_path / "ledger.sqlite"
    with Store(url(path)).write() as connection:
        connection.execute(insert(entries).values(ROW))
    return sqlite3.connect(path, isolation_level=None)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE entries SET body = 'x'", "entries never change"),
        ("UPDATE entries SET seq = 2", "entries never change"),
        ("DELETE FROM entries", "entries never go"),
        ("INSERT INTO entries VALUES (9, 'lab', 3, 'h1', 'h3', 'e3', 'd', '{}')", "must continue its chain"),
        ("INSERT INTO entries VALUES (9, 'lab', 2, 'xx', 'h2', 'e2', 'd', '{}')", "must continue its chain"),
        ("INSERT INTO entries VALUES (9, 'lab', 1, 'p', 'h1', 'e2', 'd', '{}')", "must continue its chain"),
        ("INSERT OR REPLACE INTO entries VALUES (1, 'lab', 1, 'p', 'h1', 'e1', 'd', 'x')", "must continue its chain"),
        ("INSERT OR REPLACE INTO entries VALUES (1, 'lab', 2, 'h1', 'h2', 'e2', 'd', 'x')", "must continue its chain"),
        ("INSERT OR REPLACE INTO entries VALUES (9, 'lab', 2, 'h1', 'h2', 'e1', 'd', 'x')", "must continue its chain"),
        ("INSERT INTO entries VALUES (9, 'qa', 2, 'p', 'h', 'e2', 'd', '{}')", "must continue its chain"),
    ],
)
def test_sqlite_itself_refuses_to_change_the_past(raw: sqlite3.Connection, statement: str, told: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=f"append-only: .*{told}"):
        raw.execute(statement)
    assert raw.execute("SELECT seq, body FROM entries").fetchall() == [(1, "{}")]


def test_sqlite_takes_what_continues_a_chain(raw: sqlite3.Connection) -> None:
    raw.execute("INSERT INTO entries VALUES (9, 'lab', 2, 'h1', 'h2', 'e2', 'd', '{}')")
    raw.execute("INSERT INTO entries VALUES (10, 'qa', 1, 'q', 'h2', 'e3', 'd', '{}')")
    assert raw.execute("SELECT count(*) FROM entries").fetchone() == (3,)


def test_locks_may_be_removed(raw: sqlite3.Connection) -> None:
    """The guards are on entries alone."""
    columns = ", ".join("0" for _ in locks.c)
    raw.execute(f"INSERT INTO locks VALUES ({columns})")
    assert raw.execute("DELETE FROM locks").rowcount == 1
