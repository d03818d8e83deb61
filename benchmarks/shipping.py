"""Our own shipping, as the benchmark asks for it: by the callback in a deployment, and by the shipper alone."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from statistics import median

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from benchmarks.collector import Collector
from benchmarks.measured import measure
from benchmarks.simulated import PROJECT
from lab.files import write_file
from lab.splunk.faults import Faults
from tidegate.ledger import SqlLedger
from tidegate.store import Store

_ENVIRONMENT = "bench"
_AT_ONCE = 1000
_SPOOL = "spool"
# A playbook's own shipper may still have the spool.
_DRAIN_S = 300.0


def environment(collector: Collector, folder: Path) -> dict[str, str]:
    """What makes ansible-playbook ship by our callback."""
    token = folder / "token"
    write_file(token, f"{collector.token}\n", mode=0o600)
    return {
        "ANSIBLE_CALLBACKS_ENABLED": "tidegate.delivery.stop,tidegate.delivery.splunk",
        "TIDEGATE_SPLUNK_URL": collector.url,
        "TIDEGATE_SPLUNK_TOKEN_FILE": str(token),
        "TIDEGATE_SPOOL": str(folder / _SPOOL),
    }


def flush(collector: Collector, folder: Path, ledger: str, name: str = "lab") -> float:
    """Ship what is left; seconds by the clock, start included. Raises Failed when something stays."""
    sink = {"sink": "splunk", "url": collector.url, "token": collector.token}
    told = {"spool": str(folder / _SPOOL), "drain": _DRAIN_S, "sinks": [sink], "ledger": ledger, "environment": name}
    write_file(folder / "told", f"{json.dumps(told)}\n", mode=0o600)
    # The shipper is told by a pipe, as the callback does it.
    argv = ["sh", "-c", 'cat "$1" | "$0" -m tidegate.shipping', sys.executable, str(folder / "told")]
    return measure(argv, PROJECT, os.environ, folder / "flush.log").wall_s


def missing(collector: Collector, ledger: str, name: str) -> int:
    """How many of a ledger's entries were not acknowledged."""
    there = {one.event["id"] for one in collector.acknowledged()}
    return sum(entry.event.id not in there for entry in SqlLedger(Store(ledger)).entries(name))


def sustained(collector: Collector, folder: Path, events: int, rounds: int) -> tuple[float, int]:
    """Events a second, the median over the rounds, and how many were lost. Raises Failed."""
    collector.set(Faults())
    speeds, lost = [], 0
    for number in range(rounds):
        place = folder / str(number)
        place.mkdir(parents=True)
        ledger = f"sqlite:///{place}/ledger.sqlite"
        fill(ledger, events)
        speeds.append(events / flush(collector, place, ledger, _ENVIRONMENT))
        lost += missing(collector, ledger, _ENVIRONMENT)
    return median(speeds), lost


def fill(ledger: str, events: int) -> None:
    """Write so many entries that look like a deployment's."""
    written = SqlLedger(Store(ledger))
    for begin in range(0, events, _AT_ONCE):
        written.append_all(_event(number) for number in range(begin, min(begin + _AT_ONCE, events)))


def _event(number: int) -> Event:
    return Event(
        service="tradeapi",
        environment=_ENVIRONMENT,
        deployment=f"tradeapi-{number // 200}",
        attempt=1,
        site="bench",
        wave=1 + number % 3,
        nodes=(f"n{1 + number % 6}",),
        step=Step.HEALTH,
        outcome=Outcome.OK,
        by="bench",
        duration_ms=1200 + number % 100,
        details={"msg": "healthy: 3 good answers in a row", "own_s": 1.2, "url": "http://10.0.0.1:8080/health"},
    )
