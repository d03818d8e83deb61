"""What a line of HAProxy's log means for the account."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.accesslog import AccessLog, LogCounts, count
from lab.layout import Layout

FRONT_ENDS = frozenset({"tradeapi_customers", "shared_customers"})


def line(**changed: object) -> bytes:
    entry = {
        "time": 1700000000.1,
        "frontend": "tradeapi_customers",
        "backend": "tradeapi_online",
        "server": "n1",
        "status": 200,
        "termination": "----",
        "retries": "0",
        "total_ms": 3,
        "uri": "/quotes",
        "load": "a",
        "request_id": "a-1",
    }
    return json.dumps(entry | changed).encode()


def counted(*lines: bytes) -> LogCounts:
    counts = LogCounts("a")
    count(lines, counts, FRONT_ENDS)
    return counts


@pytest.mark.parametrize(
    ("status", "termination", "failed"),
    [
        (200, "----", 0),
        (404, "----", 0),
        (200, "--VN", 0),
        (500, "----", 1),
        (503, "SC--", 1),
        (502, "SH--", 1),
        (200, "CD--", 1),
        (200, "SD--", 1),
        (0, "----", 1),
        (-1, "CR--", 1),
    ],
)
def test_what_counts_as_failed(status: int, termination: str, failed: int) -> None:
    counts = counted(line(status=status, termination=termination))
    assert (counts.total, counts.failed, len(counts.first_failures)) == (1, failed, failed)


@pytest.mark.parametrize(("retries", "retried", "redispatched"), [("0", 0, 0), ("2", 1, 0), ("+1", 1, 1), ("+0", 0, 1)])
def test_retries_and_redispatches(retries: str, retried: int, redispatched: int) -> None:
    counts = counted(line(retries=retries))
    assert (counts.retried, counts.redispatched) == (retried, redispatched)


def test_other_loads_testers_and_haproxys_own_notices_are_left_out() -> None:
    others = [line(load="aa"), line(load="b"), line(load=""), line(frontend="tradeapi_testers")]
    notices = [b"Proxy a stopped (cumulated conns: FE: 1, BE: 0).", b"", b"[NOTICE] a"]
    assert counted(*others, *notices) == LogCounts("a")


def test_a_request_id_that_comes_again_is_told() -> None:
    counts = counted(line(), line(request_id="a-2"), line())
    assert (counts.total, counts.repeated) == (3, 1)


@pytest.mark.parametrize("bad", [line()[:-1], line(status="x"), line(retries="?"), b'{"load":"a"}'])
def test_a_line_that_cannot_be_read_is_counted_and_no_request(bad: bytes) -> None:
    counts = counted(bad, line())
    assert (counts.total, counts.unreadable) == (1, 1)


def test_by_server() -> None:
    counts = counted(line(), line(server="<NOSRV>", request_id="a-2"))
    assert counts.to_json()["by_server"] == {
        "tradeapi_customers/tradeapi_online/<NOSRV>": 1,
        "tradeapi_customers/tradeapi_online/n1": 1,
    }


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout("127.20", tmp_path)
    for host in layout.load_balancers:
        host.log.mkdir(parents=True)
    return layout


def test_it_counts_from_where_the_logs_ended_and_both_of_them(layout: Layout) -> None:
    first, second = (host.haproxy_log for host in layout.load_balancers)
    first.write_bytes(line(request_id="old") + b"\n")
    log = AccessLog(layout)
    with first.open("ab") as file:
        file.write(line(request_id="a-1") + b"\n" + line(request_id="a-2")[:20])
    second.write_bytes(line(request_id="a-3") + b"\n")
    assert log.counts("a", 2, wait_s=5).total == 2
    with first.open("ab") as file:
        file.write(line(request_id="a-2")[20:] + b"\n")
    assert log.counts("a", 3, wait_s=5).total == 3


def test_it_does_not_wait_for_ever(layout: Layout) -> None:
    assert AccessLog(layout).counts("a", 1, wait_s=0.2).total == 0
