"""Ledgers and spools shipped to a collector that answers, is slow, fails in each documented way, or is restarted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from lab.splunk.arrivals import Arrivals
from lab.splunk.collector import Collector
from lab.splunk.configuration import Configuration, Limits, Token
from lab.splunk.faults import Faults, FaultState, Kind
from lab.splunk.server import Receiver
from tests.impatience import hurry
from tests.waiting import PATIENCE_S, until
from tidegate.ledger import SqlLedger
from tidegate.shipping import worker
from tidegate.shipping.shipper import Shipper
from tidegate.shipping.splunk.hec import HecSink
from tidegate.shipping.splunk.settings import SplunkSettings
from tidegate.shipping.spool import SpoolWriter, segments
from tidegate.shipping.worker import Standing
from tidegate.store import Store

TOKEN = "22222222-2222-2222-2222-222222222222"
BIG = 40_000


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches and short pauses: the rules are the same."""
    hurry(monkeypatch)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    tokens = (
        Token("tidegate", TOKEN, use_ack=True, indexes=("main",)),
        Token("plain", "33333333-3333-3333-3333-333333333333"),
        Token("off", "44444444-4444-4444-4444-444444444444", disabled=True),
    )
    limits = Limits(max_event_size=BIG)
    with Receiver(Collector(Configuration(tokens, limits), Arrivals(None), FaultState())) as made:
        yield made


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    fill(url, 40)
    return url


def fill(url: str, count: int, text: str = "good") -> None:
    SqlLedger(Store(url)).append_all(
        Event(
            service="tradeapi",
            environment="lab",
            deployment="d1",
            attempt=1,
            step=Step.HEALTH,
            outcome=Outcome.OK,
            nodes=("n1",),
            details={"msg": text, "n": number},
        )
        for number in range(count)
    )


def ids(url: str) -> list[str]:
    return [entry.event.id for entry in SqlLedger(Store(url)).entries("lab")]


def settings(receiver: Receiver, **other: Any) -> SplunkSettings:
    given: dict[str, Any] = {
        "url": receiver.url,
        "token": TOKEN,
        "timeout": PATIENCE_S,
        "acknowledge_timeout": PATIENCE_S,
    }
    return SplunkSettings(**{**given, **other})


def started(receiver: Receiver, spool: Path, url: str = "", **other: Any) -> Shipper:
    """One that ships."""
    spool.mkdir(exist_ok=True)
    shipper = Shipper(spool)
    shipper.add_sink(HecSink(settings(receiver, **other)))
    if url:
        shipper.add_ledger(url, "lab")
    return shipper


def ship(receiver: Receiver, spool: Path, url: str = "", *, wait_s: float = PATIENCE_S, **other: Any) -> Standing:
    shipper = started(receiver, spool, url, **other)
    shipper.finish(wait_s)
    return shipper.standing()[0]


def ship_until(told: str, receiver: Receiver, spool: Path, url: str, **other: Any) -> Standing:
    """Ship until that is told of it, and a second more; how it stands then."""
    shipper = started(receiver, spool, url, **other)
    until(lambda: told in shipper.standing()[0].why, lambda: f"{told!r}, not {shipper.standing()[0].why!r}")
    shipper.finish(1.0)
    return shipper.standing()[0]


def acknowledged(receiver: Receiver) -> set[str]:
    return {one.event["id"] for one in receiver.arrivals.events() if one.told}


def test_all_arrives_once_in_order_and_a_second_run_sends_nothing(
    receiver: Receiver, ledger: str, tmp_path: Path
) -> None:
    standing = ship(receiver, tmp_path / "spool", ledger, index="main")
    assert (standing.shipped, standing.why, standing.set_aside) == (40, "", 0)
    arrived = receiver.arrivals.events()
    assert [one.event["id"] for one in arrived] == ids(ledger)
    assert acknowledged(receiver) == set(ids(ledger))
    assert {(one.source, one.sourcetype, one.index) for one in arrived} == {("tidegate", "tidegate:event", "main")}
    assert all(asked.encoding == "gzip" for asked in receiver.arrivals.asked() if asked.path.endswith("/event"))
    assert ship(receiver, tmp_path / "spool", ledger).shipped == 0
    assert receiver.arrivals.count() == 40
    fill(ledger, 3)
    assert ship(receiver, tmp_path / "spool", ledger).shipped == 3


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("to", ["event", "ack"])
def test_after_each_fault_every_event_is_there(
    receiver: Receiver, ledger: str, tmp_path: Path, kind: Kind, to: str
) -> None:
    receiver.set_faults(Faults(kind=kind, requests=(2, 3), to=(to,)))
    # An answer that doesn't come is waited for, and so is an acknowledgement that was lost on its way.
    standing = ship(receiver, tmp_path / "spool", ledger, timeout=0.5, acknowledge_timeout=1.0)
    assert (standing.why, standing.set_aside) == ("", 0)
    assert acknowledged(receiver) == set(ids(ledger))


@pytest.mark.parametrize("faults", [Faults(refused=True), Faults(kind=Kind.BUSY), Faults(acks_after_s=None)])
def test_an_outage_keeps_what_is_there_until_it_is_over(
    receiver: Receiver, ledger: str, tmp_path: Path, faults: Faults
) -> None:
    receiver.set_faults(faults)
    standing = ship(receiver, tmp_path / "spool", ledger, wait_s=0.8)
    assert not standing.idle
    assert acknowledged(receiver) == set()
    receiver.set_faults(Faults())
    assert ship(receiver, tmp_path / "spool", ledger).idle
    assert acknowledged(receiver) == set(ids(ledger))


def test_what_acknowledges_late_is_waited_for(receiver: Receiver, ledger: str, tmp_path: Path) -> None:
    receiver.set_faults(Faults(acks_after_s=0.3))
    assert ship(receiver, tmp_path / "spool", ledger).shipped == 40
    assert receiver.arrivals.count() == 40


def test_a_busy_collector_is_left_alone_for_as_long_as_it_says(receiver: Receiver, ledger: str, tmp_path: Path) -> None:
    receiver.set_faults(Faults(kind=Kind.BUSY, retry_after_s=30))
    ship_until("busy", receiver, tmp_path / "spool", ledger)
    assert sum(asked.path.endswith("/event") for asked in receiver.arrivals.asked()) == 1


def test_a_collector_that_is_restarted_with_acknowledgements_open_gets_them_again(
    receiver: Receiver, ledger: str, tmp_path: Path
) -> None:
    receiver.set_faults(Faults(acks_after_s=None))
    shipper = started(receiver, tmp_path / "spool", ledger)
    until(lambda: receiver.arrivals.count() == 40, "all was sent")
    receiver.collector.forget_acknowledgements()
    receiver.set_faults(Faults())
    fill(ledger, 3)
    assert shipper.finish(PATIENCE_S)
    assert acknowledged(receiver) == set(ids(ledger))


def test_an_event_that_the_collector_refuses_is_told_and_holds_up_nothing(
    receiver: Receiver, ledger: str, tmp_path: Path
) -> None:
    writer = SpoolWriter(tmp_path / "spool")
    for number in range(5):
        writer.put("custom", f"own-{number}", 1.0, {"id": f"own-{number}", "text": "x" * (BIG if number == 3 else 5)})
    writer.close()
    standing = ship(receiver, tmp_path / "spool", ledger)
    assert (standing.idle, standing.shipped, standing.set_aside) == (True, 44, 1)
    assert acknowledged(receiver) == {*ids(ledger), "own-0", "own-1", "own-2", "own-4"}
    assert segments(tmp_path / "spool") == []
    # Named also by who comes later, and once.
    later = started(receiver, tmp_path / "spool")
    assert later.finish(PATIENCE_S)
    assert set(later.set_aside()) == {"own-3"}
    assert len((tmp_path / "spool" / "set-aside" / "splunk.jsonl").read_text().splitlines()) == 1


def test_a_collector_that_takes_nothing_at_all_has_nothing_set_aside(
    receiver: Receiver, ledger: str, tmp_path: Path
) -> None:
    """Something before it spoils every request, or its limit is far too low: that is about no event."""
    tokens = (Token("tidegate", TOKEN, use_ack=True, indexes=("main",)),)
    narrow = Configuration(tokens, Limits(max_event_size=10))
    with Receiver(Collector(narrow, Arrivals(None), FaultState())) as other:
        told = "none is taken, so none is set aside: HTTP 4"
        standing = ship_until(told, other, tmp_path / "spool", ledger)
    assert (standing.shipped, standing.set_aside, standing.idle) == (0, 0, False)
    assert ship(receiver, tmp_path / "spool", ledger).shipped == 40


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (Faults(kind=Kind.ERROR, to=("ack",)), "acknowledgements can't be asked for: HTTP 500"),
        (Faults(acks_after_s=None), "not acknowledged within 0.3 s, and sent again"),
    ],
)
def test_acknowledgements_that_do_not_come_are_told(
    receiver: Receiver, ledger: str, tmp_path: Path, faults: Faults, told: str
) -> None:
    receiver.set_faults(faults)
    ship_until(told, receiver, tmp_path / "spool", ledger, acknowledge_timeout=0.3)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"token": "55555555-5555-5555-5555-555555555555"}, "token_file"),
        ({"token": "44444444-4444-4444-4444-444444444444"}, "Token disabled"),
        ({"token": "33333333-3333-3333-3333-333333333333"}, "acknowledge: no"),
        ({"index": "elsewhere"}, "Incorrect index"),
    ],
)
def test_a_wrong_configuration_is_told_and_nothing_is_lost(
    receiver: Receiver, ledger: str, tmp_path: Path, other: dict[str, Any], told: str
) -> None:
    standing = ship(receiver, tmp_path / "spool", ledger, **other)
    assert (standing.refused, standing.idle) == (True, False)
    assert told in standing.why
    assert ship(receiver, tmp_path / "spool", ledger).idle
    assert acknowledged(receiver) == set(ids(ledger))


def test_a_batch_is_no_longer_than_a_collector_takes(receiver: Receiver, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/long.sqlite"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "BATCH", 1000)
        fill(url, 600, "x" * 1900)
        assert ship(receiver, tmp_path / "spool", url).shipped == 600
    batches = [asked for asked in receiver.arrivals.asked() if asked.path.endswith("/event")]
    assert len(batches) == 3
    assert acknowledged(receiver) == set(ids(url))


def test_without_acknowledgement_taken_is_shipped(receiver: Receiver, ledger: str, tmp_path: Path) -> None:
    plain: dict[str, Any] = {"token": "33333333-3333-3333-3333-333333333333", "acknowledge": False}
    assert ship(receiver, tmp_path / "spool", ledger, **plain).shipped == 40


def test_a_cursor_that_cannot_be_written_costs_duplicates_with_the_same_ids(
    receiver: Receiver, ledger: str, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "cursors").write_text("no folder")
    for _ in range(2):
        standing = ship(receiver, spool, ledger)
        assert standing.shipped == 40
        assert standing.why
    assert [one.event["id"] for one in receiver.arrivals.events()] == ids(ledger) * 2


def test_a_shipper_that_is_killed_loses_nothing(receiver: Receiver, ledger: str, tmp_path: Path) -> None:
    """kill -9 with batches on their way; then the next one, whose starter has ended before it began."""
    fill(ledger, 3000)
    # Long enough for the kill to come amid them.
    receiver.set_faults(Faults(latency_s=1.0))
    first = start(receiver, tmp_path / "spool", ledger)
    until(lambda: receiver.arrivals.count() > 0, "something has arrived")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert acknowledged(receiver) != set(ids(ledger))
    receiver.set_faults(Faults())
    second = start(receiver, tmp_path / "spool", ledger)
    assert second.stdin is not None
    second.stdin.close()
    assert second.wait(PATIENCE_S) == 0
    assert acknowledged(receiver) == set(ids(ledger))


@pytest.mark.slow
def test_ten_minutes_without_a_collector_cost_nothing(receiver: Receiver, ledger: str, tmp_path: Path) -> None:
    """By the process, with the pauses that it has; the deployment goes on writing all the time."""
    receiver.set_faults(Faults(refused=True))
    shipper = start(receiver, tmp_path / "spool", ledger)
    assert shipper.stdin is not None
    began = time.monotonic()
    while time.monotonic() - began < 600:
        fill(ledger, 10)
        time.sleep(5)
    assert acknowledged(receiver) == set()
    assert shipper.poll() is None
    receiver.set_faults(Faults())
    shipper.stdin.close()
    assert shipper.wait(PATIENCE_S) == 0
    assert acknowledged(receiver) == set(ids(ledger))
    assert receiver.arrivals.count() == len(ids(ledger))


def test_two_at_once_ship_each_event_once(receiver: Receiver, ledger: str, tmp_path: Path) -> None:
    both = [start(receiver, tmp_path / "spool", ledger) for _ in range(2)]
    until(lambda: receiver.arrivals.count() == 40, "all has arrived")
    for each in both:
        assert each.stdin is not None
        each.stdin.close()
    assert [each.wait(PATIENCE_S) for each in both] == [0, 0]
    assert receiver.arrivals.count() == 40


def test_one_that_never_has_the_spool_leaves_its_ledger_to_the_one_that_has_it(
    receiver: Receiver, ledger: str, tmp_path: Path
) -> None:
    first = start(receiver, tmp_path / "spool", ledger)
    until(lambda: receiver.arrivals.count() == 40, "the first has the spool")
    other = f"sqlite:///{tmp_path}/other.sqlite"
    fill(other, 7)
    second = start(receiver, tmp_path / "spool", other, drain=1)
    until(lambda: receiver.arrivals.count() == 47, "the first ships the second's")
    assert set(ids(other)) <= {one.event["id"] for one in receiver.arrivals.events()}
    for each, code in ((second, 1), (first, 0)):
        assert each.stdin is not None
        each.stdin.close()
        assert each.wait(PATIENCE_S) == code
    assert not list((tmp_path / "spool" / "ledgers").iterdir())


def test_it_ends_with_its_starter_even_when_the_collector_is_down(
    receiver: Receiver, ledger: str, tmp_path: Path
) -> None:
    receiver.set_faults(Faults(refused=True))
    shipper = start(receiver, tmp_path / "spool", ledger, drain=1)
    assert shipper.stdin is not None
    shipper.stdin.close()
    assert shipper.wait(PATIENCE_S) == 1
    status = json.loads((tmp_path / "spool" / "status.json").read_text())
    assert status["sinks"][0]["state"] == "retrying"


def start(receiver: Receiver, spool: Path, ledger: str, drain: float = PATIENCE_S) -> subprocess.Popen[bytes]:
    made = subprocess.Popen([sys.executable, "-m", "tidegate.shipping"], stdin=subprocess.PIPE, start_new_session=True)
    sink = {"sink": "splunk", "url": receiver.url, "token": TOKEN}
    assert made.stdin is not None
    for told in ({"spool": str(spool), "drain": drain, "sinks": [sink]}, {"ledger": ledger, "environment": "lab"}):
        made.stdin.write(json.dumps(told).encode() + b"\n")
    made.stdin.flush()
    assert TOKEN.encode() not in Path(f"/proc/{made.pid}/cmdline").read_bytes()
    time.sleep(0.05)
    return made
