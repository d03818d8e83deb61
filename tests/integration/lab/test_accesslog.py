"""Both accounts of the same customers: what the clients counted, and what HAProxy wrote down."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.accesslog import AccessLog, LogCounts
from lab.customers import Customer, Kind
from lab.load import Load
from lab.tally import LoadResult
from tests.integration.lab.bench import Bench, bench
from tests.integration.lab.upstream import Act
from tests.waiting import until


@pytest.fixture(scope="module")
def running() -> Iterator[Bench]:
    with bench() as made:
        yield made


@pytest.fixture(autouse=True)
def all_good(running: Bench) -> Iterator[None]:
    yield
    for upstream in running.upstreams.values():
        upstream.script = lambda _: Act.GOOD


def both(
    running: Bench, folder: Path, label: str, meanwhile: Callable[[], None], customers: tuple[Customer, ...] = ()
) -> tuple[LoadResult, LogCounts]:
    log = AccessLog(running.layout)
    with Load(running.layout, label, 300, customers=customers, folder=folder) as load:
        meanwhile()
    assert load.result is not None
    return load.result, log.counts(label, load.result.requests_written)


def test_the_usual_load_is_all_good_and_both_accounts_agree(running: Bench, tmp_path: Path) -> None:
    result, counts = both(running, tmp_path, "fine", lambda: time.sleep(6))
    assert result.requests_failed == 0, result.first_errors
    assert result.requests_total == result.requests_written == counts.total > 300
    assert (counts.failed, counts.retried, counts.redispatched, counts.repeated, counts.unreadable) == (0, 0, 0, 0, 0)
    assert set(result.by_kind) == set(Kind)
    assert set(result.by_load_balancer) == {"lb1", "lb2"}
    # A machine that is too busy for all of them has that told.
    assert result.requests_total + result.unsent >= 0.95 * 300 * result.asked_seconds
    front_ends = {path.split("/")[0] for path in counts.by_server}
    assert front_ends == {"tradeapi_customers", "shared_customers"}


def test_the_client_is_cheap(running: Bench, tmp_path: Path) -> None:
    log = AccessLog(running.layout)
    with Load(running.layout, "cheap", 400, folder=tmp_path) as load:
        time.sleep(5)
    result = load.result
    assert result is not None
    assert result.cpu_seconds / result.asked_seconds < 0.4
    assert log.counts("cheap", result.requests_written).total == result.requests_total


@pytest.mark.parametrize("act", [Act.HALF_BODY, Act.GARBAGE, Act.ERROR])
def test_a_failure_on_one_node_is_in_both_accounts(running: Bench, tmp_path: Path, act: Act) -> None:
    # A POST, so that HAProxy may not send it again either.
    front = Customer(Kind.ORDER, "lb1", f"{running.layout.net}.0.1", 8080, "trade.lab", 100)
    bad = running.upstreams["tradeapi/n3"]
    bad.script = lambda number: act if number % 2 else Act.GOOD
    label = f"act-{act.name.lower()}"
    result, counts = both(running, tmp_path, label, lambda: hit(lambda: bad.acts(label)[act]), customers=(front,))
    assert bad.acts(label)[act] >= 10
    assert result.requests_failed == counts.failed == bad.acts(label)[act], (result.first_errors, counts.first_failures)
    assert result.requests_total == counts.total
    assert all(failure["server"] == "n3" for failure in counts.first_failures)
    assert counts.repeated == 0


def hit(count: Callable[[], int]) -> None:
    until(lambda: count() >= 10, "it was hit ten times")


def test_a_request_lost_on_a_kept_connection_is_missing_in_the_log(running: Bench, tmp_path: Path) -> None:
    # HAProxy closes without an answer and without a line; the totals must disagree by exactly these.
    front = Customer(Kind.ORDER, "lb1", f"{running.layout.net}.0.1", 8080, "trade.lab", 100)
    bad = running.upstreams["tradeapi/n3"]
    bad.script = lambda number: Act.DROP if number % 2 else Act.GOOD

    def dropped() -> int:
        return bad.acts("lost")[Act.DROP]

    result, counts = both(running, tmp_path, "lost", lambda: hit(dropped), customers=(front,))
    assert result.requests_failed == dropped() >= 10
    assert counts.failed < dropped()
    assert result.requests_written - counts.total == dropped() - counts.failed


def test_a_request_lost_on_a_new_connection_is_a_failure_in_the_log(running: Bench, tmp_path: Path) -> None:
    front = Customer(Kind.NEW_CONNECTION, "lb1", f"{running.layout.net}.0.1", 8080, "trade.lab", 100)
    bad = running.upstreams["tradeapi/n3"]
    bad.script = lambda number: Act.DROP if number % 2 else Act.GOOD

    def dropped() -> int:
        return bad.acts("lost-first")[Act.DROP]

    result, counts = both(running, tmp_path, "lost-first", lambda: hit(dropped), customers=(front,))
    assert result.requests_failed == counts.failed == dropped() >= 10
    assert result.requests_total == counts.total


def test_a_node_killed_under_load_shows_in_both_accounts(running: Bench, tmp_path: Path) -> None:
    victim = running.upstreams["tradeapi/n5"]

    def meanwhile() -> None:
        until(lambda: any("/report" in asked.line for asked, _ in victim.asked("killed")), "a report is asked for")
        victim.kill()
        time.sleep(2.5)

    try:
        result, counts = both(running, tmp_path, "killed", meanwhile)
    finally:
        victim.__enter__()
        until(running.all_up, "all are up")
    assert result.requests_failed > 0
    # What was in flight there failed for good, and what HAProxy sent elsewhere instead is no clean run either.
    assert result.by_kind[Kind.REPORT].failed > 0
    assert counts.failed > 0
    assert counts.retried > 0
    assert counts.redispatched > 0
    assert result.requests_failed == counts.failed + (result.requests_written - counts.total)


def _give_up(running: Bench, label: str, *, reset: bool) -> None:
    """Once a node has the request."""
    head = f"GET /report HTTP/1.1\r\nHost: trade.lab\r\nX-Load: {label}\r\nX-Request-Id: {label}-1\r\n\r\n"
    with socket.create_connection((f"{running.layout.net}.0.1", 8080)) as connection:
        connection.sendall(head.encode())
        until(lambda: any(node.asked(label) for node in running.upstreams.values()), "a node was asked")
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(("reset", "failed"), [(True, 1), (False, 0)])
def test_a_client_that_gives_up_is_in_the_log_when_the_answer_is_due(
    running: Bench, *, reset: bool, failed: int
) -> None:
    log, label = AccessLog(running.layout), f"gone-{failed}"
    _give_up(running, label, reset=reset)
    counts = log.counts(label, 1)
    assert (counts.total, counts.failed) == (1, failed)


def test_testers_and_other_loads_are_not_customers(running: Bench) -> None:
    log = AccessLog(running.layout)
    with socket.create_connection((f"{running.layout.net}.0.1", 8090)) as connection:
        connection.sendall(b"GET /quotes HTTP/1.1\r\nHost: x\r\nX-Load: mine\r\nConnection: close\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 503")
    with socket.create_connection((f"{running.layout.net}.0.1", 8080)) as connection:
        connection.sendall(b"GET /quotes HTTP/1.1\r\nHost: x\r\nX-Load: mine-too\r\nConnection: close\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert log.counts("mine", 1, wait_s=0.5).total == 0
    assert log.counts("mine-too", 1).total == 1
