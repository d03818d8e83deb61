"""What customers felt, from HAProxy's own counters: differences between samples of the same worker.

A sample is an event of step `customers`: counters since its HAProxy worker began, and averages of the last 1,024
requests. Another worker, or a counter that went back, begins a new series: what lies between is not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Step

# Of fewer requests nobody should conclude anything: it is what `observe` asks for by default.
MIN_REQUESTS = 100
_COUNTERS = ("requests", "failed", "hrsp_5xx", "retried", "redispatched")
_UNCOUNTED = "HAProxy was restarted there or did not answer, or an attempt was cut short, so that not all was counted"
_NOT_YET = "the deployment is under way, or HAProxy was restarted there or did not answer, so that not all was counted"
_NOT_SAMPLED = "HAProxy's counters were not recorded."
_ENDS = ("held", "after")
_TIMES = ("queue_ms", "connect_ms", "response_ms", "total_ms")


class When(StrEnum):
    """Which part of an attempt a figure is about."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


class Felt(StrEnum):
    """What can be said about customers."""

    NOTHING = "nothing"
    """No request of those that were counted failed."""
    SOME_FAILED = "some_failed"
    SESSIONS_CUT = "sessions_cut"
    """No request failed as HAProxy counts, but sessions were ended at the drain's hard limit (`at_hard: cut`)."""
    TOO_FEW = "too_few"
    """Fewer requests than say anything, none of them failed."""
    PARTLY_KNOWN = "partly_known"
    """None of those that were counted failed, but a load balancer was not counted throughout."""
    NOT_SAMPLED = "not_sampled"


@dataclass(frozen=True, slots=True)
class Sample:
    """One load balancer's counters at one moment, cumulative, and its averages in milliseconds."""

    at: datetime
    attempt: int
    load_balancer: str
    moment: str
    worker: str
    counters: Mapping[str, int]
    times_ms: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Row:
    """What one load balancer counted before, during or after; `None` where nothing could be counted."""

    when: When
    load_balancer: str
    counters: Mapping[str, int]
    times_ms: Mapping[str, int]

    @property
    def failed_share(self) -> float | None:
        """Failed requests per request; None without one."""
        requests = self.counters.get("requests", 0)
        return self.counters.get("failed", 0) / requests if requests else None


@dataclass(frozen=True, slots=True)
class Customers:
    """The verdict with its figures. `requests` and `failed` are those of during and after, all load balancers."""

    felt: Felt
    requests: int = 0
    failed: int = 0
    rows: tuple[Row, ...] = ()
    samples: tuple[Sample, ...] = ()
    lost: tuple[str, ...] = ()
    """Load balancers that were not counted throughout."""
    cut: int = 0
    """Sessions that Tidegate ended: HAProxy counts no failure for a websocket or an upload that ends so."""
    under_way: bool = False
    """Whether it may go on: what is missing at its end is no sign of anything then."""

    @property
    def sentence(self) -> str:
        """The verdict as people are told it."""
        counted = f"{self.requests:,} request{'' if self.requests == 1 else 's'}"
        where = ", ".join(self.lost)
        match self.felt:
            case Felt.NOTHING:
                return f"No customer was affected: {counted}, none failed."
            case Felt.SOME_FAILED:
                also = f" On {where} more may have failed: {self._uncounted}." if where else ""
                also = f" {self._sessions}.{also}" if self.cut else also
                return f"Customers were affected: {self.failed:,} of {counted} failed ({self._percent}).{also}"
            case Felt.SESSIONS_CUT:
                also = f"{counted}, none failed." if self.samples else _NOT_SAMPLED
                also += f" On {where} requests may have failed: {self._uncounted}." if where else ""
                return f"Customers were affected: {self._sessions}. {also}"
            case Felt.TOO_FEW:
                few = f"too few requests came ({counted}, none failed)"
                return f"Whether customers were affected is not known: {few}."
            case Felt.PARTLY_KNOWN:
                return (
                    f"None of the {counted} that were counted failed. Whether customers were affected is not known for "
                    f"{where}: {self._uncounted}."
                )
        return f"What customers felt is not known: {_NOT_SAMPLED}"

    @property
    def _sessions(self) -> str:
        return f"{self.cut:,} session{' was' if self.cut == 1 else 's were'} cut at the drain's hard limit"

    @property
    def _uncounted(self) -> str:
        return _NOT_YET if self.under_way else _UNCOUNTED

    @property
    def _percent(self) -> str:
        share = 100 * self.failed / max(1, self.requests)
        return f"{share:.2g} %" if share < 1 else f"{share:.1f} %"


def what_customers_felt(
    events: Sequence[Event],
    load_balancers: Sequence[str] = (),
    min_requests: int = MIN_REQUESTS,
    *,
    under_way: bool = False,
) -> Customers:
    """The verdict over all attempts. Time between two attempts is not counted: nothing was done then.

    `load_balancers`: those that the plan names, so that one without any sample is told. `under_way`: whether the
    deployment is open.
    """
    samples = [sample for event in events if event.step is Step.CUSTOMERS and (sample := _sample(event)) is not None]
    cut = sum(_cut(event) for event in events if event.step is Step.LEAVE)
    if not samples:
        return Customers(Felt.SESSIONS_CUT if cut else Felt.NOT_SAMPLED, cut=cut)
    rows: list[Row] = []
    lost: dict[str, None] = {}
    # Where nothing moved nobody could feel anything; where something did and nothing was counted, nobody knows.
    attempts = {
        event.attempt for event in events if event.step is Step.WAVE and event.details.get("outcome") == "begun"
    }
    attempts = attempts or {sample.attempt for sample in samples}
    for load_balancer in dict.fromkeys([*(sample.load_balancer for sample in samples), *load_balancers]):
        own = [sample for sample in samples if sample.load_balancer == load_balancer]
        found, broke = _rows(own)
        rows += found
        lost |= {load_balancer: None} if broke or any(not _whole(own, attempt) for attempt in attempts) else {}
    counted = [row for row in rows if row.when is not When.BEFORE]
    requests, failed = (sum(row.counters[name] for row in counted) for name in ("requests", "failed"))
    felt = _felt(requests, failed, cut, min_requests, bool(lost))
    return Customers(felt, requests, failed, tuple(rows), tuple(samples), tuple(lost), cut, under_way)


def _cut(event: Event) -> int:
    """How many sessions a leave ended."""
    told = event.details.get("sessions_cut_total")
    return told if isinstance(told, int) and told > 0 else 0


def _whole(samples: Sequence[Sample], attempt: int) -> bool:
    """Whether the attempt's series has an end: one that broke off before says nothing of what came then."""
    moments = [sample.moment for sample in samples if sample.attempt == attempt]
    return len(moments) > 1 and moments[-1] in _ENDS


def _felt(requests: int, failed: int, cut: int, min_requests: int, lost: bool) -> Felt:
    if failed:
        return Felt.SOME_FAILED
    if cut:
        return Felt.SESSIONS_CUT
    if requests < min_requests:
        return Felt.TOO_FEW
    return Felt.PARTLY_KNOWN if lost else Felt.NOTHING


def _rows(samples: Sequence[Sample]) -> tuple[list[Row], bool]:
    """One load balancer's rows, and whether its series broke."""
    sums: dict[When, dict[str, int]] = {}
    times: dict[When, Mapping[str, int]] = {}
    broke = False
    if not samples:
        return [], True
    first = samples[0]
    if first.moment == "before":
        sums[When.BEFORE], times[When.BEFORE] = dict(first.counters), first.times_ms
    for former, sample in pairwise(samples):
        if sample.attempt != former.attempt:
            continue
        if not _same_series(former, sample):
            broke = True
            continue
        when = When.AFTER if sample.moment == "after" else When.DURING
        total = sums.setdefault(when, dict.fromkeys(_COUNTERS, 0))
        for name in _COUNTERS:
            total[name] += sample.counters[name] - former.counters[name]
        times[when] = sample.times_ms
    return [Row(when, first.load_balancer, sums[when], times[when]) for when in When if when in sums], broke


def _same_series(former: Sample, sample: Sample) -> bool:
    return former.worker == sample.worker and all(sample.counters[name] >= former.counters[name] for name in _COUNTERS)


def _sample(event: Event) -> Sample | None:
    """The event's sample; None for one that tells no counters, as when its load balancer did not answer."""
    told = event.details
    name = str(told.get("load_balancer") or "")
    if not name or _count(told.get("requests")) is None or _count(told.get("failed")) is None:
        return None
    return Sample(
        at=datetime.fromisoformat(event.at),
        attempt=event.attempt,
        load_balancer=name,
        moment=str(told.get("at_moment") or ""),
        worker=str(told.get("worker") or ""),
        counters={key: _count(told.get(key)) or 0 for key in _COUNTERS},
        times_ms={key: count for key in _TIMES if (count := _count(told.get(key))) is not None},
    )


def _count(value: Any) -> int | None:  # noqa: ANN401 (whatever the event has)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
