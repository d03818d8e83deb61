"""The customers' account."""

from __future__ import annotations

import io
import json

import pytest

from lab.customers import Kind
from lab.tally import ERRORS_TOLD, KindCount, LoadResult, Seen, Tally, percentile


def seen(kind: Kind = Kind.KEEP_ALIVE, latency_ms: float = 1.0, version: str = "1.0.0", error: str = "") -> Seen:
    return Seen(1_700_000_000.0, kind, "lb1", 0 if error else 200, latency_ms, version, error, written=True)


def result(tally: Tally) -> LoadResult:
    return tally.result("a", 0.0, 2.0, 1.0, 0.1, "stop")


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 99, None),
        ([5.0], 99, 5.0),
        ([1.0, 2.0], 50, 1.0),
        ([float(value) for value in range(100, 0, -1)], 99, 99.0),
        ([float(value) for value in range(1, 1001)], 99, 990.0),
        ([3.0, 1.0, 2.0], 100, 3.0),
    ],
)
def test_percentiles_are_nearest_rank(values: list[float], percent: float, expected: float | None) -> None:
    assert percentile(values, percent) == expected


def test_every_request_is_counted_once_by_kind_and_balancer() -> None:
    tally = Tally()
    for each in (seen(), seen(Kind.ORDER), seen(Kind.ORDER, error="status 500")):
        tally.add(each)
    found = result(tally)
    assert (found.requests_total, found.requests_failed, found.requests_written) == (3, 1, 3)
    assert found.by_kind == {"keep-alive": KindCount(1, 0), "order": KindCount(2, 1)}
    assert found.by_load_balancer == {"lb1": KindCount(3, 1)}


def test_percentiles_leave_out_reports_but_not_failures() -> None:
    tally = Tally()
    tally.add(seen(Kind.REPORT, latency_ms=3000))
    assert result(tally).p99_ms is None
    tally.add(seen(latency_ms=10_000, error="no whole answer within 10 s, 0 bytes came"))
    assert result(tally).p99_ms == 10_000


def test_versions_are_tradeapis_and_a_failed_answer_tells_its_version_too() -> None:
    tally = Tally()
    for each in (seen(), seen(version="1.2.0", error="status 500"), seen(Kind.FEED, version="9.9.9"), seen(version="")):
        tally.add(each)
    assert result(tally).versions == {"1.0.0": 1, "1.2.0": 1}


def test_only_the_first_errors_are_told_with_their_time() -> None:
    tally = Tally()
    for number in range(ERRORS_TOLD + 5):
        tally.add(seen(error=f"error {number}"))
    found = result(tally)
    assert found.requests_failed == ERRORS_TOLD + 5
    assert len(found.first_errors) == ERRORS_TOLD
    assert found.first_errors[0] == {
        "time": "2023-11-14T22:13:20.000+00:00",
        "kind": "keep-alive",
        "load_balancer": "lb1",
        "error": "error 0",
    }


def test_each_request_is_a_line_of_the_records() -> None:
    records = io.StringIO()
    Tally(records).add(seen(error="status 500"))
    assert json.loads(records.getvalue()) == [1_700_000_000.0, "keep-alive", "lb1", 0, 1.0, "1.0.0", "status 500"]


def test_a_result_survives_json() -> None:
    tally = Tally(unsent=2, stray_bytes=3)
    tally.add(seen(error="x"))
    found = result(tally)
    assert LoadResult.from_json(json.loads(json.dumps(found.to_json()))) == found
