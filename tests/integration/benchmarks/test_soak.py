"""A soak of a few seconds: nothing fails, all is counted, and Ctrl-C leaves nothing behind. Network: 127.55."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.simulated import PROJECT
from lab.layout import SHARED_PORT, Layout
from lab.net import is_free
from tests.waiting import DEPLOYMENT_S, PATIENCE_S, until

TEST_NET = "127.55"


def _argv(output: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.soak", "--net", TEST_NET, "--output", str(output), *options]


def _nothing_is_left() -> bool:
    """Neither a service that may not listen yet nor a load balancer."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"LISTEN={TEST_NET}.".encode() in (process / "environ").read_bytes():
                return False
    return all(is_free(host.address, SHARED_PORT) for host in Layout(TEST_NET, Path("/nowhere")).load_balancers)


@pytest.mark.slow
def test_a_short_soak_loses_no_request_and_repeats_none(tmp_path: Path) -> None:
    output = tmp_path / "soak.json"
    ended = subprocess.run(
        _argv(output, "--seconds", "1", "--rate", "100"),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=DEPLOYMENT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = json.loads(output.read_text())
    assert told["problems"] == []
    assert (told["failed"], told["retried"], told["redispatched"]) == (0, 0, 0)
    assert told["turns"] >= 1
    # Each turn was told while it went on, and every kind of customer was there.
    assert ended.stderr.count("joined in") == told["turns"]
    assert set(told["by_kind"]) == {"feed", "keep-alive", "new-connection", "order", "report"}
    assert told["requests"] == told["haproxy_log"]["requests"] > 300
    assert _nothing_is_left()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_that_was_started(tmp_path: Path, number: signal.Signals) -> None:
    output, log = tmp_path / "soak.json", tmp_path / "soak.log"
    with log.open("wb") as told:
        process = subprocess.Popen(_argv(output), cwd=PROJECT, stdout=told, stderr=told)
    try:
        # SIGTERM comes while the services start, Ctrl-C in the middle of a turn.
        awaited = "starting" if number is signal.SIGTERM else "turn 1"
        until(lambda: awaited in log.read_text(), log.read_text)
        process.send_signal(number)
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 128 + number, log.read_text()
    assert "Traceback" not in log.read_text()
    assert not output.exists()
    until(_nothing_is_left, "nothing is left")


@pytest.mark.parametrize(
    ("options", "told"),
    [(["--seconds", "0"], "must be greater than 0"), (["--seconds", "100000"], "at most 1000000 requests")],
)
def test_bad_arguments_are_refused_with_usage(tmp_path: Path, options: list[str], told: str) -> None:
    ended = subprocess.run(
        _argv(tmp_path / "soak.json", *options), cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert told in ended.stderr
