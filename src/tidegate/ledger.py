"""The ledger on SQLite: events in one hash chain an environment, and the deployments' records beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, insert, select, text, update

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import (
    Event,
    Step,
    canonical,
    digest,
    genesis,
    parse,
    stamp,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import (
    Anchor,
    Deployment,
    Entry,
    Kind,
    State,
    Verdict,
    require_change,
)
from tidegate import chain
from tidegate.store import STEP, UNDER_WAY, Prepared, Store, deployments, entries

MAX_PLAN = 4 * 1024 * 1024
PAGE = 1_000

# Everything as bytes: what somebody put there by hand needs not be text.
_STORED = text(
    "SELECT seq, CAST(prev_hash AS BLOB), CAST(hash AS BLOB), CAST(event AS BLOB), CAST(deployment AS BLOB), "
    "CAST(body AS BLOB) FROM entries WHERE chain = :chain AND seq > :after ORDER BY seq LIMIT :page"
)
_WRITTEN = ("chain", "seq", "prev_hash", "hash", "event", "deployment", "body")
# Built once: building a statement costs more than running it.
_SAME = Prepared(select(entries.c.seq).where(entries.c.event == bindparam("id")))
_APPEND = Prepared(insert(entries).values({name: bindparam(name) for name in _WRITTEN}))
_LAST = Prepared(
    select(entries.c.seq, entries.c.hash)
    .where(entries.c.chain == bindparam("of"))
    .order_by(entries.c.seq.desc())
    .limit(1)
)
_FIELDS = [deployments.c[field.name] for field in fields(Deployment)]
_BY_ID = Prepared(select(*_FIELDS).where(deployments.c.id == bindparam("of")))
_PAGE = (
    select(entries.c.seq, entries.c.hash, entries.c.body)
    .where(entries.c.chain == bindparam("of"), entries.c.seq > bindparam("after"))
    .order_by(entries.c.seq)
    .limit(bindparam("page"))
)
_PAGE_OF_ONE = _PAGE.where(entries.c.deployment == bindparam("deployment"))
_ALL = Prepared(_PAGE)
# A page of a deployment's entries after one: seq, hash and body.
OF_ONE = Prepared(_PAGE_OF_ONE)
_OF_STEP = Prepared(_PAGE_OF_ONE.where(bindparam("step") == STEP))
_NAMES_ONE = text("EXISTS (SELECT 1 FROM json_each(body, '$.nodes') AS named WHERE named.value IN :nodes)")


class SqlLedger:
    """A ledger in a SQLite file, for the processes of one machine."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def append(self, event: Event) -> Entry:
        """Write one event at the end of its environment's chain."""
        return self.append_all([event])[0]

    def append_all(self, events: Iterable[Event]) -> list[Entry]:
        """Write several, in their order: all or none."""
        with self._store.write() as connection:
            return [_append(connection, event) for event in events]

    def entries(self, environment: str, deployment: str | None = None, since: int = 0) -> Iterator[Entry]:
        """Entries after seq `since`, oldest first; no transaction stays open between them."""
        wanted = _ALL if deployment is None else OF_ONE
        return self._pages(wanted, since, of=environment, deployment=deployment)

    def stored(self, environment: str, since: int, limit: int) -> list[tuple[int, str, str]]:
        """Seq, hash and canonical text of at most `limit` entries after seq `since`, oldest first."""
        with self._store.read() as connection:
            rows = _ALL.run(connection, of=environment, after=since, page=limit).all()
        return [(row.seq, row.hash, row.body) for row in rows]

    def entries_of(self, environment: str, deployment: str, steps: Iterable[Step]) -> list[Entry]:
        """A deployment's entries of these steps only, oldest first."""
        found = [
            entry
            for step in dict.fromkeys(steps)
            for entry in self._pages(_OF_STEP, 0, of=environment, deployment=deployment, step=step.value)
        ]
        return sorted(found, key=lambda entry: entry.seq)

    def _pages(self, wanted: Prepared, since: int, **values: object) -> Iterator[Entry]:
        last = since
        while True:
            with self._store.read() as connection:
                rows = wanted.run(connection, after=last, page=PAGE, **values).all()
            for row in rows:
                yield Entry(row.seq, row.hash, parse(row.body)[0])
            if len(rows) < PAGE:
                return
            last = rows[-1].seq

    def verify(self, environment: str, anchor: Anchor | None = None) -> Verdict:
        """Read the whole chain and say up to where it is what was written."""
        return chain.verify_rows(self._stored(environment), environment, anchor)

    def head(self, environment: str) -> Anchor:
        """(seq, hash) of the last entry; seq 0 for an empty chain."""
        with self._store.read() as connection:
            return _head(connection, environment)

    def open_deployment(self, service: str, environment: str) -> Deployment | None:
        """The deploy or rollback that is open or held."""
        with self._store.read() as connection:
            return _under_way(connection, service, environment)

    def deployment(self, id: str) -> Deployment | None:
        """The deployment of that id."""
        with self._store.read() as connection:
            return _found(connection, id)

    def deployments(self, service: str, environment: str, limit: int = 20) -> list[Deployment]:
        """Newest first, moves by hand included; of all services when none is named."""
        with self._store.read() as connection:
            return [_deployment(row) for row in connection.execute(_newest(service, environment).limit(limit))]

    def older_entries(
        self, environment: str, service: str, newest: int, steps: Iterable[Step], nodes: Iterable[str]
    ) -> list[Entry]:
        """Entries of these steps that name one of these nodes, oldest first, without the `newest` deployments'."""
        ours = (deployments.c.service == service, deployments.c.environment == environment)
        last = select(deployments.c.n).where(*ours).order_by(deployments.c.n.desc()).offset(newest).limit(1)
        wanted = (
            select(entries.c.seq, entries.c.hash, entries.c.body)
            .select_from(deployments.join(entries, entries.c.deployment == deployments.c.id))
            .where(*ours, deployments.c.n <= last.scalar_subquery(), entries.c.chain == environment)
            .where(STEP.in_([step.value for step in steps]))
            .where(_NAMES_ONE.bindparams(bindparam("nodes", list(nodes), expanding=True)))
            .order_by(entries.c.seq)
        )
        with self._store.read() as connection:
            return [Entry(row.seq, row.hash, parse(row.body)[0]) for row in connection.execute(wanted)]

    def moves_by_hand(self, service: str, environment: str) -> list[Deployment]:
        """The moves by hand that are open or held, newest first."""
        going_on = deployments.c.state.in_((State.OPEN.value, State.HELD.value))
        wanted = _newest(service, environment).where(going_on, deployments.c.kind == Kind.HAND.value)
        with self._store.read() as connection:
            return [_deployment(row) for row in connection.execute(wanted)]

    def last_done(self, service: str, environment: str) -> Deployment | None:
        """The deploy or rollback that was done last."""
        done = _newest(service, environment).where(
            deployments.c.state == State.DONE.value, deployments.c.kind != Kind.HAND.value
        )
        with self._store.read() as connection:
            return _one(connection, done)

    def open(self, deployment: Deployment, event: Event, *, supersedes: tuple[str, Event] | None = None) -> Deployment:
        """Open it, and close the one it supersedes in the same transaction."""
        opened = replace(deployment, state=State.OPEN, attempt=1, opened_at=_now(), closed_at="")
        with self._store.write() as connection:
            if supersedes is not None:
                _move(connection, _required(connection, supersedes[0]), State.SUPERSEDED, supersedes[1])
            _require_room(connection, opened)
            connection.execute(insert(deployments).values(_values(opened)))
            _append(connection, _of(opened, replace(event, attempt=1)))
        return opened

    def new_attempt(
        self, id: str, plan: str, nodes: tuple[str, ...], event: Event, *, revision: str | None = None
    ) -> Deployment:
        """Open it again as its next attempt."""
        with self._store.write() as connection:
            old = _required(connection, id)
            require_change(old, State.OPEN)
            new = replace(old, attempt=old.attempt + 1, plan=plan, nodes=nodes, state=State.OPEN)
            new = new if revision is None else replace(new, revision=revision)
            return _save(connection, new, replace(event, attempt=new.attempt))

    def update_state(self, id: str, state: State, event: Event) -> Deployment:
        """Move it to `state`."""
        with self._store.write() as connection:
            return _move(connection, _required(connection, id), state, event)

    def _stored(self, environment: str) -> Iterator[chain.Row]:
        after = -(2**63)
        while True:
            with self._store.read() as connection:
                rows = connection.execute(_STORED, {"chain": environment, "after": after, "page": PAGE}).all()
            for row in rows:
                prev, hash_, event, deployment = (_text(value) for value in row[1:5])
                yield chain.Row(row[0], prev, hash_, event, deployment, row[5] or b"")
            if len(rows) < PAGE or not isinstance(rows[-1][0], int):
                return
            after = rows[-1][0]


def _append(connection: Connection, event: Event) -> Entry:
    written = replace(event, at=_now())
    seq, prev = _head(connection, event.environment)
    if _SAME.run(connection, id=event.id).first():
        raise BadInput(f"event {event.id} is in the ledger already", where=event.environment)
    seq += 1
    body = canonical(written, seq, prev)
    hash_ = digest(seq, prev, body)
    place = {"chain": event.environment, "seq": seq, "prev_hash": prev, "hash": hash_}
    _APPEND.run(connection, **place, event=event.id, deployment=event.deployment, body=body)
    return Entry(seq, hash_, written)


def _head(connection: Connection, environment: str) -> Anchor:
    row = _LAST.run(connection, of=environment).first()
    return (row.seq, row.hash) if row else (0, genesis(environment))


def _newest(service: str, environment: str) -> Select[Any]:
    newest = select(*_FIELDS).where(deployments.c.environment == environment).order_by(deployments.c.n.desc())
    return newest.where(deployments.c.service == service) if service else newest


def _under_way(connection: Connection, service: str, environment: str) -> Deployment | None:
    return _one(connection, _newest(service, environment).where(UNDER_WAY))


def _one(connection: Connection, query: Select[Any]) -> Deployment | None:
    row = connection.execute(query.limit(1)).first()
    return _deployment(row) if row else None


def _found(connection: Connection, id: str) -> Deployment | None:
    row = _BY_ID.run(connection, of=id).first()
    return _deployment(row) if row else None


def _required(connection: Connection, id: str) -> Deployment:
    found = _found(connection, id)
    if found is None:
        raise BadInput(
            f"there is no deployment {id!r} in the ledger",
            where="deployment",
            remedy=f"{advice.history()} lists them.",
        )
    return found


def _require_room(connection: Connection, opened: Deployment) -> None:
    if _found(connection, opened.id):
        raise BadInput(f"there is a deployment {opened.id!r} already", where="deployment")
    other = None if opened.kind is Kind.HAND else _under_way(connection, opened.service, opened.environment)
    if other:
        raise Refused(
            f"deployment {other.id} ({other.kind} of {other.version}, attempt {other.attempt}) is {other.state}",
            where=f"{opened.service} in {opened.environment}",
            remedy="Continue it, roll it back, or supersede it with a new release.",
        )


def _move(connection: Connection, old: Deployment, state: State, event: Event) -> Deployment:
    require_change(old, state)
    return _save(
        connection,
        replace(old, state=state, closed_at=_now() if state.final else ""),
        replace(event, attempt=old.attempt),
    )


def _save(connection: Connection, new: Deployment, event: Event) -> Deployment:
    connection.execute(update(deployments).where(deployments.c.id == new.id).values(_values(new)))
    _append(connection, _of(new, event))
    return new


def _of(deployment: Deployment, event: Event) -> Event:
    """The event, when it is about this deployment: record and chain must not tell different stories."""
    said = (event.deployment, event.service, event.environment)
    if said != (deployment.id, deployment.service, deployment.environment):
        raise BadInput(f"the event is about {' / '.join(said)} and not about this one", where=deployment.id)
    return event


def _values(deployment: Deployment) -> dict[str, Any]:
    if len(deployment.plan) > MAX_PLAN:
        raise BadInput(f"the plan is longer than {MAX_PLAN} characters", where=deployment.id)
    values = {field.name: getattr(deployment, field.name) for field in fields(deployment)}
    values |= {"kind": deployment.kind.value, "state": deployment.state.value}
    return values | {"nodes": json.dumps(deployment.nodes), "services": json.dumps(deployment.services)}


def _deployment(row: Row[Any]) -> Deployment:
    values = dict(row._mapping)
    values |= {"kind": Kind(values["kind"]), "state": State(values["state"])}
    return Deployment(**values | {name: tuple(json.loads(values[name])) for name in ("nodes", "services")})


def _now() -> str:
    return stamp(datetime.now(UTC))


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
