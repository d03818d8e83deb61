"""The customers' account: every request is counted once, and what a customer saw is summed up."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import IO, Any

from lab.customers import FAST, TRADEAPI_KINDS, Kind

ERRORS_TOLD = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as its customer saw it.

    `due` is when it should have begun (seconds since the epoch), `latency_ms` counts from there: a customer who had to
    wait for the answer before is late too. `status` is 0 if no whole answer came, `error` is empty if all was well.
    """

    due: float
    kind: Kind
    load_balancer: str
    status: int
    latency_ms: float
    version: str
    error: str
    written: bool


@dataclass(frozen=True, slots=True)
class KindCount:
    """Requests of one kind."""

    total: int
    failed: int


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What the customers saw between start and stop.

    Every request whose time came is counted; `requests_failed` are those without the expected status and a valid,
    whole body. `requests_written` leaves out those for which no connection came about, which no log can know of.
    `seconds` is the whole time, `asked_seconds` that in which requests fell due: the last answers came after it.
    `unsent` are requests whose time came and that were not begun before the end, `stray_bytes` came unasked; both must
    be 0 for the figures to be worth anything. Percentiles (nearest rank, ms from the intended start) leave out the
    reports, which are slow by design; None without a fast request. `versions` counts tradeapi's answers by X-Version.
    """

    label: str
    started: float
    seconds: float
    asked_seconds: float
    requests_total: int
    requests_failed: int
    requests_written: int
    unsent: int
    stray_bytes: int
    by_kind: dict[str, KindCount]
    by_load_balancer: dict[str, KindCount]
    versions: dict[str, int]
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    first_errors: list[dict[str, str]]
    cpu_seconds: float
    ended_by: str

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> LoadResult:
        """The counterpart of to_json."""
        counts = {
            key: {name: KindCount(**count) for name, count in raw[key].items()}
            for key in ("by_kind", "by_load_balancer")
        }
        return cls(**{**raw, **counts})


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The nearest-rank percentile, rounded to 0.1; None of nothing."""
    if not values:
        return None
    rank = max(1, -(-len(values) * percent // 100))
    return round(sorted(values)[int(rank) - 1], 1)


@dataclass(slots=True)
class Tally:
    """Counts requests as they end; writes each to `records` (JSON lines) if there is such a file."""

    records: IO[str] | None = None
    stray_bytes: int = 0
    unsent: int = 0
    _total: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    _failed: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    _versions: Counter[str] = field(default_factory=Counter)
    _fast: array[float] = field(default_factory=lambda: array("d"))
    _errors: list[dict[str, str]] = field(default_factory=list)
    _written: int = 0

    @property
    def total(self) -> int:
        return self._total.total()

    def add(self, seen: Seen) -> None:
        """Count one request."""
        self._total[seen.kind, seen.load_balancer] += 1
        self._written += seen.written
        if seen.version and seen.kind in TRADEAPI_KINDS:
            self._versions[seen.version] += 1
        if seen.kind in FAST:
            self._fast.append(seen.latency_ms)
        if seen.error:
            self._failed[seen.kind, seen.load_balancer] += 1
            self._tell(seen)
        if self.records is not None:
            self.records.write(json.dumps(_row(seen)) + "\n")

    def _tell(self, seen: Seen) -> None:
        if len(self._errors) < ERRORS_TOLD:
            when = datetime.fromtimestamp(seen.due, UTC).isoformat(timespec="milliseconds")
            where = {"kind": str(seen.kind), "load_balancer": seen.load_balancer}
            self._errors.append({"time": when, **where, "error": seen.error})

    def result(
        self, label: str, started: float, seconds: float, asked_seconds: float, cpu_seconds: float, ended_by: str
    ) -> LoadResult:
        """The sum of what was added."""
        return LoadResult(
            label=label,
            started=round(started, 3),
            seconds=round(seconds, 3),
            asked_seconds=round(asked_seconds, 3),
            requests_total=self.total,
            requests_failed=self._failed.total(),
            requests_written=self._written,
            unsent=self.unsent,
            stray_bytes=self.stray_bytes,
            by_kind=self._by(0),
            by_load_balancer=self._by(1),
            versions=dict(sorted(self._versions.items())),
            p50_ms=percentile(self._fast, 50),
            p99_ms=percentile(self._fast, 99),
            max_ms=percentile(self._fast, 100),
            first_errors=self._errors,
            cpu_seconds=round(cpu_seconds, 3),
            ended_by=ended_by,
        )

    def _by(self, position: int) -> dict[str, KindCount]:
        total, failed = Counter[str](), Counter[str]()
        for key, count in self._total.items():
            total[str(key[position])] += count
            failed[str(key[position])] += self._failed[key]
        return {name: KindCount(total[name], failed[name]) for name in sorted(total)}


def _row(seen: Seen) -> list[object]:
    """The columns of the records file: time, kind, load balancer, status, ms, version, error."""
    rounded = (round(seen.due, 3), round(seen.latency_ms, 2))
    return [rounded[0], seen.kind, seen.load_balancer, seen.status, rounded[1], seen.version, seen.error]
