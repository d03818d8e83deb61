"""The locks on SQLite, beside the ledger: the rules are in module_utils/ledger/lock.py, here they meet the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, case, delete, insert, select, update

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import (
    Claim,
    Held,
    Holder,
    Lease,
    Process,
    Takeover,
    claim,
    liveness,
    locked,
    lost,
    this_process,
)
from tidegate.store import NOW_MS, Prepared, Store, locks, meta

MAX_LEASE_S = 7 * 86400.0
_DOING = 200
_TAKE = insert(locks)
_PROCESS = [locks.c[field.name] for field in fields(Process)]
_OURS = Prepared(
    select(locks.c.name, locks.c.fence, locks.c.until_ms, locks.c.doing, NOW_MS.label("now"))
    .where(*(column == bindparam(column.name) for column in (locks.c.deployment, *_PROCESS)))
    .order_by(locks.c.name)
)


class SqlLocks:
    """Locks in the ledger's SQLite file, for the processes of one machine."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def acquire(self, names: Sequence[str], holder: Holder, lease_s: float) -> Lease:
        """Take all names or none; raises Locked with holder, reason and remedy."""
        wanted = _names(names)
        here = this_process()
        with self._store.write() as connection:
            now = _now(connection)
            until = now + _lease_ms(lease_s)
            held = {lock.name: lock for lock in _held(connection, locks.c.name.in_(wanted))}
            claims = {name: _claim(held[name], holder, here, now) for name in wanted if name in held}
            fence = _next_fence(connection)
            ours = {name: held[name] for name in wanted if claims.get(name) is Claim.OURS}
            connection.execute(delete(locks).where(locks.c.name.in_(wanted)))
            connection.execute(_TAKE, [_taken(name, holder, fence, now, until, ours.get(name)) for name in wanted])
            # All that the process holds for this deployment goes on under the newest number: one lease names it all.
            ours_now = _of(holder.deployment, holder.process)
            connection.execute(update(locks).where(ours_now).values(fence=fence))
            taken = tuple(Takeover(held=held[name], claim=claims[name]) for name in claims if claims[name].takeover)
        return Lease(names=wanted, fence=fence, deployment=holder.deployment, until_ms=until, taken_over=taken)

    def renew(self, lease: Lease, doing: str, lease_s: float) -> Lease:
        """Extend to the database's clock + `lease_s`, never shorter than it was. Raises Refused when it is lost."""
        with self._store.write() as connection:
            now = _now(connection)
            _require(connection, lease.names, lease.fence, lease.deployment, now)
            until = max(lease.until_ms, now + _lease_ms(lease_s))
            later = case((locks.c.until_ms > until, locks.c.until_ms), else_=until)
            ours = locks.c.name.in_(lease.names)
            connection.execute(update(locks).where(ours).values(until_ms=later, doing=doing[:_DOING]))
        return Lease(names=lease.names, fence=lease.fence, deployment=lease.deployment, until_ms=until)

    def keep(self, holder: Holder, doing: str, lease_s: float, slack_s: float = 0.0) -> Lease | None:
        """All that this process holds for its deployment, extended unless it lasts long enough as it is."""
        with self._store.read() as connection:
            rows = _OURS.run(connection, deployment=holder.deployment, **asdict(holder.process)).all()
        if not rows:
            return None
        lease = _lease([(row.name, row.fence, row.until_ms) for row in rows], holder.deployment)
        enough = rows[0].now + max(1, _lease_ms(lease_s) - round(slack_s * 1000))
        if lease.until_ms >= enough and all(row.doing == doing[:_DOING] for row in rows):
            return lease
        return self.renew(lease, doing, lease_s)

    def check(self, names: Sequence[str], fence: int, deployment: str) -> None:
        """Raise Refused when one of the names is not ours under this fence, or its lease ran out."""
        with self._store.read() as connection:
            _require(connection, _names(names), fence, deployment, _now(connection))

    def lease_of(self, holder: Holder) -> Lease | None:
        """All that this process holds for its deployment, as one lease."""
        with self._store.read() as connection:
            ours = _held(connection, _of(holder.deployment, holder.process))
        if not ours:
            return None
        return _lease([(lock.name, lock.fence, lock.until_ms) for lock in ours], holder.deployment)

    def release(self, lease: Lease) -> tuple[str, ...]:
        """Give back what is still ours and say which that was."""
        fenced = (locks.c.first_fence <= lease.fence) & (locks.c.fence >= lease.fence)
        mine = locks.c.name.in_(lease.names) & (locks.c.deployment == lease.deployment) & fenced
        return self._remove(mine)

    def release_all(self, deployment: str, *, process: Process | None = None) -> tuple[str, ...]:
        """Give back all of a deployment's locks; with `process` only those that this process holds."""
        return self._remove(_of(deployment, process))

    def held(self) -> list[Held]:
        """All locks that are held, expired ones included, by name."""
        with self._store.read() as connection:
            return _held(connection)

    def _remove(self, which: ColumnElement[bool]) -> tuple[str, ...]:
        with self._store.write() as connection:
            return tuple(sorted(connection.scalars(delete(locks).where(which).returning(locks.c.name))))


def _claim(held: Held, asking: Holder, here: Process, now: int) -> Claim:
    verdict = claim(held, asking, liveness(held.holder.process, here), now)
    if verdict is Claim.REFUSED:
        raise locked(held, asking)
    return verdict


def _require(connection: Connection, names: Sequence[str], fence: int, deployment: str, now: int) -> None:
    held = {lock.name: lock for lock in _held(connection, locks.c.name.in_(names))}
    for name in names:
        problem = lost(name, held.get(name), fence, deployment, now)
        if problem is not None:
            raise problem


def _taken(name: str, holder: Holder, fence: int, now: int, until: int, ours: Held | None) -> dict[str, Any]:
    return {
        "name": name,
        "deployment": holder.deployment,
        "user": holder.user,
        **asdict(holder.process),
        "first_fence": ours.first_fence if ours else fence,
        "fence": fence,
        "since_ms": ours.since_ms if ours else now,
        "until_ms": max(until, ours.until_ms) if ours else until,
        "doing": holder.doing[:_DOING],
    }


def _next_fence(connection: Connection) -> int:
    """One number for all locks, never given out twice, so that it grows for each name."""
    drawn = update(meta).where(meta.c.key == "fence").values(value=meta.c.value + 1).returning(meta.c.value)
    return int(connection.execute(drawn).scalar_one())


def _held(connection: Connection, which: ColumnElement[bool] | None = None) -> list[Held]:
    query = select(locks).order_by(locks.c.name)
    return [_lock(row) for row in connection.execute(query if which is None else query.where(which))]


def _lock(row: Row[Any]) -> Held:
    process = Process(host=row.host, boot_id=row.boot_id, pid_ns=row.pid_ns, pid=row.pid, pid_start=row.pid_start)
    return Held(
        name=row.name,
        holder=Holder(user=row.user, process=process, deployment=row.deployment, doing=row.doing),
        first_fence=row.first_fence,
        fence=row.fence,
        since_ms=row.since_ms,
        until_ms=row.until_ms,
        doing=row.doing,
    )


def _lease(ours: Sequence[tuple[str, int, int]], deployment: str) -> Lease:
    """Name, fence and end of each of a process's locks as one lease."""
    names, fences, ends = zip(*ours, strict=True)
    return Lease(names=names, fence=max(fences), deployment=deployment, until_ms=min(ends))


def _of(deployment: str, process: Process | None) -> ColumnElement[bool]:
    mine = locks.c.deployment == deployment
    if process is None:
        return mine
    place = (locks.c.host == process.host) & (locks.c.boot_id == process.boot_id) & (locks.c.pid_ns == process.pid_ns)
    return mine & place & (locks.c.pid == process.pid) & (locks.c.pid_start == process.pid_start)


def _names(names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not names or "" in names:
        raise BadInput(f"{names!r} is not a list of lock names", where="lock")
    return tuple(sorted(set(names)))


def _lease_ms(lease_s: float) -> int:
    if not 0 < lease_s <= MAX_LEASE_S:
        raise BadInput(f"a lease of {lease_s} s is not between 0 s and seven days", where="lock")
    return max(1, round(lease_s * 1000))


def _now(connection: Connection) -> int:
    return int(connection.execute(select(NOW_MS)).scalar_one())
