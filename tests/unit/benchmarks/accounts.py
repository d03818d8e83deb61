"""Accounts of a load as a run without failures leaves them, or with what a test wants in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.rolling import Account
from lab.accesslog import LogCounts
from lab.tally import LoadResult

_LOAD = LoadResult(
    label="try",
    started=0.0,
    seconds=10.0,
    asked_seconds=10.0,
    requests_total=100,
    requests_failed=0,
    requests_written=100,
    unsent=0,
    stray_bytes=0,
    by_kind={},
    by_load_balancer={},
    versions={"1.0.0": 100},
    p50_ms=1.0,
    p99_ms=2.0,
    max_ms=3.0,
    first_errors=[],
    cpu_seconds=1.0,
    ended_by="stop",
)


def account(
    *,
    failed: int = 0,
    retried: int = 0,
    redispatched: int = 0,
    log: dict[str, int] | None = None,
    counted: dict[str, int] | None = None,
    **load: Any,
) -> Account:
    """100 requests in 10 seconds; `log` and `counted` are HAProxy's accounts where they differ."""
    logged = LogCounts("try", **({"total": 100, "retried": retried, "redispatched": redispatched} | (log or {})))  # type: ignore[arg-type]
    repeats = {"retried": 0, "redispatched": 0} | (counted or {})
    return Account(replace(_LOAD, requests_failed=failed, **load), logged, repeats, seconds=10.0)
