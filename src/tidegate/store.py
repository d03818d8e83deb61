"""One SQLite file for ledger and locks: opening it, its tables, and its two kinds of transaction."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Engine,
    Executable,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DeadlineExceeded

SCHEMA = 2
BUSY_S = 30.0
PREFIX = "sqlite:///"

tables = MetaData()

# What an event's own text says of its step: derived from it, so that no column beside it could say something else.
STEP: ColumnElement[str] = literal_column("CASE WHEN json_valid(body) THEN json_extract(body, '$.step') END", String)

meta = Table("meta", tables, Column("key", String, primary_key=True), Column("value", Integer, nullable=False))

entries = Table(
    "entries",
    tables,
    Column("n", Integer, primary_key=True),
    Column("chain", String, nullable=False),
    Column("seq", Integer, CheckConstraint("seq >= 1"), nullable=False),
    Column("prev_hash", String, nullable=False),
    Column("hash", String, nullable=False),
    Column("event", String, nullable=False, unique=True),
    Column("deployment", String, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("chain", "seq"),
    UniqueConstraint("chain", "prev_hash"),
    Index("entries_deployment", "chain", "deployment", "seq"),
)
Index("entries_step", entries.c.chain, entries.c.deployment, STEP, entries.c.seq)

deployments = Table(
    "deployments",
    tables,
    Column("n", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("service", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("version", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("previous_version", String, nullable=False),
    Column("state", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("nodes", Text, nullable=False),
    Column("services", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("opened_at", String, nullable=False),
    Column("opened_by", String, nullable=False),
    Column("closed_at", String, nullable=False),
    Column("revision", String, nullable=False, server_default=""),
    Column("previous_revision", String, nullable=False, server_default=""),
)
UNDER_WAY = deployments.c.state.in_(("open", "held")) & (deployments.c.kind != "hand")
Index(
    "deployments_one_open",
    deployments.c.service,
    deployments.c.environment,
    unique=True,
    sqlite_where=UNDER_WAY,
)
Index("deployments_newest", deployments.c.service, deployments.c.environment, deployments.c.n)

locks = Table(
    "locks",
    tables,
    Column("name", String, primary_key=True),
    Column("deployment", String, nullable=False),
    Column("user", String, nullable=False),
    Column("host", String, nullable=False),
    Column("boot_id", String, nullable=False),
    Column("pid_ns", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pid_start", String, nullable=False),
    Column("first_fence", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("since_ms", Integer, nullable=False),
    Column("until_ms", Integer, nullable=False),
    Column("doing", String, nullable=False),
)

# What SQLite itself refuses, whoever writes: rows that change, rows that go, rows that don't continue their chain.
GUARDS = (
    """CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
       BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: entries never change'); END""",
    """CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
       BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: entries never go'); END""",
    """CREATE TRIGGER entries_continue BEFORE INSERT ON entries
       WHEN NEW.seq <> 1 + COALESCE((SELECT MAX(seq) FROM entries WHERE chain = NEW.chain), 0)
         OR EXISTS (SELECT 1 FROM entries WHERE n = NEW.n OR event = NEW.event) -- REPLACE deletes without triggers
         OR NEW.seq > 1 AND NEW.prev_hash <> (SELECT hash FROM entries WHERE chain = NEW.chain AND seq = NEW.seq - 1)
       BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: an entry must continue its chain'); END""",
)

# What brings a ledger from a schema to the next one, by the older one's number.
UPGRADES = {
    1: (
        "ALTER TABLE deployments ADD COLUMN revision VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE deployments ADD COLUMN previous_revision VARCHAR NOT NULL DEFAULT ''",
    )
}

# Epoch milliseconds of the database's clock (unixepoch('subsec') needs SQLite 3.42, Debian 12 has 3.40).
NOW_MS = literal_column("CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)", Integer)


# Its dialect has looked at SQLite once, in a database in memory: an engine of its own would, for each process, again.
_MODEL = create_engine("sqlite://", poolclass=NullPool)
with _MODEL.connect():
    pass


class Prepared:
    """A statement that is compiled when its module is imported: that costs more than running it.

    ansible-playbook imports it before it forks its workers, each of which lives for one step.
    """

    def __init__(self, statement: Executable) -> None:
        compiled = statement.compile(dialect=_MODEL.dialect, compile_kwargs={"render_postcompile": True})  # type: ignore[attr-defined]
        self._sql = str(compiled)
        self._names = tuple(compiled.positiontup or ())
        self._literals: dict[str, Any] = dict(compiled.params)

    def run(self, connection: Connection, **values: object) -> CursorResult[Any]:
        """Execute it with the values of its bound parameters."""
        given = self._literals | values
        return connection.exec_driver_sql(self._sql, tuple(given[name] for name in self._names))


_SCHEMA_FOUND = Prepared(select(meta.c.value).where(meta.c.key == "schema"))


class Store:
    """The file behind a ledger URL; made with mode 600 when it isn't there.

    No connection outlives its transaction, so a store may be used after a fork and by many processes at once.
    The file keeps SQLite's rollback journal: measured with ten writers it is as fast as write-ahead logging
    (some 300 events a second), and between transactions all of the ledger is in the one file that people copy.
    """

    def __init__(self, url: str) -> None:
        self.path = _path(url)
        self.url = url
        _make_file(self.path)
        self._engine = _engine(self.path)
        with self._told():
            self._prepare()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A snapshot; writers are not held up by it."""
        with self._told(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One writer at a time, from the first statement on; all of it is on disk at the end, or nothing.

        Raises DeadlineExceeded when others kept the file busy for 30 seconds.
        """
        with self._told(), self._engine.connect() as connection:
            connection.execution_options(tidegate_write=True)
            with connection.begin():
                yield connection

    def _prepare(self) -> None:
        found = self._schema()
        if found is None:
            self._create()
            found = self._schema()
        if found in UPGRADES:
            self._upgrade()
            found = self._schema()
        if found != SCHEMA:
            raise BadInput(
                f"the ledger has schema {found}, this Tidegate knows schema {SCHEMA}",
                where=str(self.path),
                remedy="Use the Tidegate version that wrote it.",
            )

    def _schema(self) -> int | None:
        with self._engine.connect() as connection:
            return self._found(connection)

    def _found(self, connection: Connection) -> int | None:
        """The schema's number; None for a file without tables."""
        names = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
        if names and not names >= set(tables.tables):
            raise BadInput("this SQLite file holds something else than a ledger", where=str(self.path))
        return _SCHEMA_FOUND.run(connection).scalar() or 0 if names else None

    def _create(self) -> None:
        with self.write() as connection:
            if self._found(connection) is not None:
                return  # another process was faster
            tables.create_all(connection)
            for guard in GUARDS:
                connection.exec_driver_sql(guard)
            connection.execute(insert(meta), [{"key": "schema", "value": SCHEMA}, {"key": "fence", "value": 0}])

    def _upgrade(self) -> None:
        with self.write() as connection:
            found = self._found(connection)  # another process may have been faster
            while found in UPGRADES:
                for statement in UPGRADES[found]:
                    connection.exec_driver_sql(statement)
                found += 1
            connection.execute(update(meta).where(meta.c.key == "schema").values(value=found))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors as ours, with the file and what to do."""
        try:
            yield
        except DatabaseError as error:
            raise self._as_ours(error) from error

    def _as_ours(self, error: DatabaseError) -> DeadlineExceeded | BadInput:
        text = str(error.orig)
        if "locked" in text or "busy" in text:
            return DeadlineExceeded(
                f"other processes kept the ledger busy for {BUSY_S:.0f} seconds",
                where=str(self.path),
                remedy=f"Nothing was written. See who has it open (`fuser {self.path}`), then run again.",
            )
        return BadInput(
            f"the ledger can't be used: {text}",
            where=str(self.path),
            remedy="It must be a SQLite file of Tidegate's, readable and writable with its folder, on a local disk.",
        )


def _path(url: str) -> Path:
    path = Path(url.removeprefix(PREFIX))
    if not url.startswith(PREFIX) or not path.is_absolute() or "?" in url:
        shown = url.partition("@")[2] or url  # what stands before an @ could be a password
        raise BadInput(
            f"{shown[:200]!r} is not a ledger that this version supports",
            where="tidegate_ledger",
            remedy="This version supports SQLite only: sqlite:////absolute/path/ledger.sqlite (four slashes).",
        )
    return path


def _make_file(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise BadInput(
            f"the ledger's file can't be opened: {error.strerror}",
            where=str(path),
            remedy="Give tidegate_ledger a path that this user may write to.",
        ) from error


def _engine(path: Path) -> Engine:
    # mode=rw: a file that somebody removes while we run is an error and not a new, empty ledger.
    target = f"file:{quote(str(path))}?mode=rw"

    def connect() -> Any:  # noqa: ANN401 (SQLAlchemy's type of a driver's connection doesn't fit sqlite3's)
        return sqlite3.connect(target, uri=True, timeout=BUSY_S, isolation_level=None)

    engine = Engine(NullPool(connect), _MODEL.dialect, _MODEL.url)
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous = FULL")  # a commit has reached the disk before the next step starts


def _on_begin(connection: Connection) -> None:
    # The driver's own transactions start at the first write, after the head was read: ten writers fork the chain.
    writes = connection.get_execution_options().get("tidegate_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
