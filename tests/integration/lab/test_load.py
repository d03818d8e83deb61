"""The customers' client against servers that misbehave on purpose: each broken answer is one failure, never resent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.customers import Customer, Kind
from lab.layout import Layout
from lab.load import Load
from tests.integration.lab.bench import NET
from tests.integration.lab.upstream import FINE, Act, Upstream
from tests.waiting import until

ADDRESS = f"{NET}.9.1"
LABEL = "try"


def customer(kind: Kind, rate: float, port: int) -> Customer:
    return Customer(kind, "lb1", ADDRESS, port, "feed.lab" if kind is Kind.FEED else "trade.lab", rate)


@pytest.fixture
def port() -> Iterator[int]:
    yield 18000 + os.getpid() % 1000


def load(tmp_path: Path, *customers: Customer, seconds: float = 60) -> Load:
    layout = Layout("127.33", tmp_path / "lab")
    return Load(layout, LABEL, customers=customers, folder=tmp_path, max_seconds=seconds)


@pytest.mark.parametrize("act", [act for act in Act if act not in FINE])
@pytest.mark.parametrize("kind", [Kind.KEEP_ALIVE, Kind.NEW_CONNECTION, Kind.ORDER])
def test_each_broken_answer_is_exactly_one_failure(tmp_path: Path, port: int, act: Act, kind: Kind) -> None:
    with Upstream(ADDRESS, port, lambda number: act if number % 3 == 0 else Act.GOOD) as upstream:
        with load(tmp_path, customer(kind, 60, port)) as running:
            until(lambda: upstream.acts(LABEL)[act] >= 10, "it was hit")
        result = running.result
    assert result is not None
    acts = upstream.acts(LABEL)
    assert acts[act] >= 10
    assert result.requests_failed == acts[act], result.first_errors
    assert result.requests_total == result.requests_written == acts.total()
    assert result.unsent == 0


@pytest.mark.parametrize("act", sorted(FINE))
def test_every_whole_answer_is_good_however_it_is_framed_or_closed(tmp_path: Path, port: int, act: Act) -> None:
    with Upstream(ADDRESS, port, lambda number: act) as upstream:
        with load(tmp_path, customer(Kind.KEEP_ALIVE, 60, port)) as running:
            until(lambda: upstream.acts(LABEL)[act] >= 30, "it was hit")
        result = running.result
    assert result is not None
    assert (result.requests_failed, result.stray_bytes) == (0, 0), result.first_errors
    assert result.requests_total == upstream.acts(LABEL).total()
    assert result.versions == {"1.0.0": result.requests_total}


def test_no_request_is_ever_sent_twice(tmp_path: Path, port: int) -> None:
    acts = list(Act)
    customers = [customer(kind, 40, port) for kind in (Kind.KEEP_ALIVE, Kind.NEW_CONNECTION, Kind.ORDER, Kind.FEED)]
    with Upstream(ADDRESS, port, lambda number: acts[number % len(acts)]) as upstream:
        with load(tmp_path, *customers) as running:
            until(lambda: len(upstream.asked(LABEL)) >= 300, "enough was asked")
        result = running.result
    assert result is not None
    numbers = Counter(asked.headers["x-request-id"] for asked, _ in upstream.asked(LABEL))
    assert set(numbers.values()) == {1}
    assert result.requests_total == len(numbers)
    assert result.requests_failed == sum(n for act, n in upstream.acts(LABEL).items() if act not in FINE)


def test_keep_alive_customers_keep_their_connection_and_the_others_do_not(tmp_path: Path, port: int) -> None:
    with Upstream(ADDRESS, port) as upstream:
        with load(tmp_path, customer(Kind.KEEP_ALIVE, 50, port)):
            until(lambda: len(upstream.asked(LABEL)) >= 30, "enough was asked")
        kept = upstream.connections
        with load(tmp_path, customer(Kind.NEW_CONNECTION, 50, port)) as running:
            until(lambda: len(upstream.asked(LABEL)) >= 60, "enough was asked")
    assert kept == 1
    assert running.result is not None
    assert upstream.connections - kept == running.result.requests_total


def test_a_server_killed_in_the_middle_of_requests_is_seen(tmp_path: Path, port: int) -> None:
    customers = [customer(Kind.REPORT, 1, port) for _ in range(4)] + [customer(Kind.KEEP_ALIVE, 50, port)]
    # None of the reports is answered before the test looks; a customer's patience ends after 10 s.
    with Upstream(ADDRESS, port, report_s=9.0) as upstream:
        with load(tmp_path, *customers) as running:
            until(lambda: sum("/report" in asked.line for asked, _ in upstream.asked(LABEL)) == 4, "all are asked for")
            upstream.kill()
            time.sleep(2.0)
        result = running.result
    assert result is not None
    assert result.by_kind[Kind.REPORT].failed >= 4
    assert any("after 0 bytes of the answer" in error["error"] for error in result.first_errors)
    # What could not even connect is a failure too, but was never written.
    assert result.requests_total > result.requests_written
    assert any("no connection to" in error["error"] for error in result.first_errors)


def test_a_late_answer_counts_from_when_the_request_was_due(tmp_path: Path, port: int) -> None:
    slow = {20}
    with Upstream(ADDRESS, port) as upstream:

        def script(number: int) -> Act:
            if number in slow:
                time.sleep(2.0)
            return Act.GOOD

        upstream.script = script
        with load(tmp_path, customer(Kind.KEEP_ALIVE, 50, port)) as running:
            until(lambda: len(upstream.asked(LABEL)) >= 200, "enough was asked")
    result = running.result
    assert result is not None
    # One answer took two seconds; half of the hundred requests that were due meanwhile were late by more than one.
    late = [line for line in _records(tmp_path) if line[4] > 1000]
    assert 25 <= len(late) <= 120
    assert result.p99_ms is not None and result.p99_ms > 1000
    assert result.requests_failed == 0


def _records(folder: Path) -> list[list[float]]:
    return [json.loads(line) for line in (folder / f"load-{LABEL}.records.jsonl").read_text().splitlines()]


def test_requests_in_flight_at_the_stop_get_their_answer(tmp_path: Path, port: int) -> None:
    with Upstream(ADDRESS, port, report_s=1.0) as upstream:
        with load(tmp_path, customer(Kind.REPORT, 1, port)) as running:
            until(lambda: upstream.asked(LABEL), "it was asked")
        result = running.result
    assert result is not None
    assert result.requests_total == len(upstream.asked(LABEL)) > 0
    assert (result.requests_failed, result.unsent) == (0, 0)


def test_it_ends_by_itself_after_its_time(tmp_path: Path, port: int) -> None:
    with Upstream(ADDRESS, port):
        running = load(tmp_path, customer(Kind.KEEP_ALIVE, 20, port), seconds=1).start()
        until(lambda: not running.running(), "it ended")
        result = running.stop()
    assert result.ended_by == "time"
    assert 0 < result.requests_total <= 25


def test_it_ends_when_its_parent_is_killed(tmp_path: Path, port: int) -> None:
    program = (
        "import sys, time; from pathlib import Path; from lab.layout import Layout; from lab.load import Load\n"
        "from lab.customers import Customer, Kind\n"
        f"one = Customer(Kind.KEEP_ALIVE, 'lb1', '{ADDRESS}', {port}, 'trade.lab', 20)\n"
        f"load = Load(Layout('127.33', Path('{tmp_path}')), 'orphan', customers=[one], folder=Path('{tmp_path}'))\n"
        "print(load.start().pid, flush=True); time.sleep(60)\n"
    )
    with Upstream(ADDRESS, port):
        parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
        until(lambda: not Path(f"/proc/{child}/cmdline").exists() or not _alive(child), "it ended")


def _alive(pid: int) -> bool:
    return b"lab.load" in Path(f"/proc/{pid}/cmdline").read_bytes()
