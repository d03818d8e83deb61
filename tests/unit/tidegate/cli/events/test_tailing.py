"""`tidegate events tail` on a ledger that is named: what it shows, and what somebody mistyped."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from lab.layout import PROJECT
from tests.unit.tidegate.cli.events.called import in_process
from tests.waiting import PATIENCE_S
from tidegate.ledger import SqlLedger
from tidegate.store import Store

TIDEGATE = Path(sys.executable).with_name("tidegate")


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    SqlLedger(Store(url)).append_all(
        Event(service="tradeapi", environment="lab", deployment="d1", attempt=1, step=Step.HEALTH, outcome=outcome)
        for outcome in (Outcome.OK, Outcome.FAILED)
    )
    return url


def tail(ledger: str, environment: str, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(TIDEGATE), "events", "tail", "--ledger", ledger, "--environment", environment, *options],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def of(ledger: str) -> tuple[str, ...]:
    return ("--ledger", ledger, "--environment", "lab")


def test_the_last_ones_are_shown_as_they_are_shipped(ledger: str) -> None:
    shown, told = tail(ledger, "lab", "--json").communicate(timeout=PATIENCE_S)
    assert [json.loads(line)["outcome"] for line in shown.splitlines()] == ["ok", "failed"], told
    bad, _ = tail(ledger, "lab", "--json", "--bad").communicate(timeout=PATIENCE_S)
    assert [json.loads(line)["outcome"] for line in bad.splitlines()] == ["failed"]


def test_an_entry_that_is_no_event_hides_no_other(ledger: str) -> None:
    with sqlite3.connect(ledger.removeprefix("sqlite:///")) as store:
        store.execute(
            "INSERT INTO entries (chain, seq, prev_hash, hash, event, deployment, body) "
            "SELECT chain, 3, hash, 'by hand', 'by hand', '', 'no JSON' FROM entries WHERE seq = 2"
        )
    for options in (("--json",), ("--json", "--bad")):
        shown = in_process("tail", *of(ledger), *options)
        assert [json.loads(line)["outcome"] for line in shown.stdout.splitlines()][-1] == "failed"
        assert "entry 3 can't be read: event is not JSON" in shown.stderr


def test_the_last_of_many_are_shown_and_none_is_told(ledger: str) -> None:
    for options, count in ((("-n", "1"), 1), (("-n", "2"), 2), (("-n", "0"), 0), (("--service", "nope"), 0)):
        shown = in_process("tail", *of(ledger), "--json", *options)
        assert len(shown.stdout.splitlines()) == count
        assert ("no such event" in shown.stderr) is ("--service" in options)


def test_a_full_disk_is_no_fault_of_ours(ledger: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(TIDEGATE), "events", "tail", *of(ledger)], cwd=PROJECT, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_environment_without_events_is_told(ledger: str) -> None:
    process = tail(ledger, "lba")
    shown, told = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, shown) == (2, "")
    assert "the ledger has no event of environment 'lba'" in told


def test_what_is_followed_ends_at_an_interrupt_without_a_word(ledger: str) -> None:
    process = tail(ledger, "lab", "--json", "--follow")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["outcome"] == "ok"
    process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    shown, told = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, shown, told) == (130, "", "")
