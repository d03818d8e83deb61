"""Ledgers shipped to a real Graphite that answers, is slow, is down, dies, or loses answers; read back through it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.graphite.faults import Faults
from lab.graphite.server import Graphite
from tests.integration.graphite.deployments import await_told, deploy, lines, told
from tests.waiting import PATIENCE_S, until
from tidegate.shipping.graphite.carbon import CarbonSink, send
from tidegate.shipping.graphite.settings import CarbonSettings, WebSettings
from tidegate.shipping.graphite.web import GraphiteWebSink
from tidegate.shipping.shipper import Shipper
from tidegate.shipping.sinks import BATCH, Delivered, Item, Refused, Retry, Sink
from tidegate.shipping.worker import Standing

WHISPER_INFO = "/usr/bin/whisper-info"
BOTH = ("graphite", "graphite-web")


def sinks(
    graphite: Graphite, spool: Path, names: Sequence[str] = BOTH, prefix: str = "tidegate", **other: Any
) -> list[Sink]:
    given = {"timeout": PATIENCE_S, **other}
    spool.mkdir(exist_ok=True)
    made: list[Sink] = []
    if "graphite" in names:
        made.append(CarbonSink(CarbonSettings(graphite.line, prefix, timeout=given["timeout"]), spool))
    if "graphite-web" in names:
        made.append(GraphiteWebSink(WebSettings(graphite.url, **given)))
    return made


def started(graphite: Graphite, spool: Path, ledger: str, environment: str, *names: str, **other: Any) -> Shipper:
    """One that ships. There is only ever one for a spool: no test may start another before it has finished."""
    shipper = Shipper(spool)
    for sink in sinks(graphite, spool, names or BOTH, **other):
        shipper.add_sink(sink)
    shipper.add_ledger(ledger, environment)
    return shipper


def ship(graphite: Graphite, spool: Path, ledger: str, environment: str, *names: str, **other: Any) -> list[Standing]:
    shipper = started(graphite, spool, ledger, environment, *names, **other)
    shipper.finish(PATIENCE_S)
    return shipper.standing()


def test_timings_and_markers_are_there_and_no_second_run_or_resend_doubles_them(
    graphite: Graphite, tmp_path: Path, ledger: str, environment: str
) -> None:
    spool = tmp_path / "spool"
    events = deploy(ledger, environment, nodes=12)
    assert [each.shipped for each in ship(graphite, spool, ledger, environment)] == [14, 14]
    await_told(graphite, environment, *events)
    said = ["tradeapi 1.2.0 begun in " + environment, "tradeapi 1.2.0 held in " + environment]
    assert lines(graphite, environment) == said
    (held,) = graphite.markers(f"environment:{environment}", "outcome:held", "service:tradeapi", "step:hold")
    assert json.loads(held["data"])["version"] == "1.2.0"
    assert f"id:{events[-1].id}" in held["tags"]
    assert [each.shipped for each in ship(graphite, spool, ledger, environment)] == [0, 0]
    # As after a kill before the cursor was written.
    shutil.rmtree(spool / "cursors")
    assert [each.shipped for each in ship(graphite, spool, ledger, environment)] == [14, 14]
    more = deploy(ledger, environment, nodes=1)
    ship(graphite, spool, ledger, environment)
    await_told(graphite, environment, *events, *more)
    assert lines(graphite, environment) == said * 2
    (longest,) = graphite.values(f"tidegate.{environment}.tradeapi.health.ok.duration_ms.max", *around()).values()
    assert max(longest.values()) == 1200


@pytest.mark.parametrize(("name", "method"), [("count", "sum"), ("duration_ms/sum", "sum"), ("duration_ms/max", "max")])
def test_carbon_keeps_them_as_the_storage_schemas_say(
    graphite: Graphite, tmp_path: Path, environment: str, name: str, method: str
) -> None:
    (carbon,) = sinks(graphite, tmp_path / "spool", ["graphite"])
    assert carbon.deliver([item(environment)]) == Delivered({})
    file = graphite.folder / "whisper" / "tidegate" / environment / "tradeapi" / "close" / "ok" / f"{name}.wsp"
    until(file.exists, "carbon has made its file")
    told = subprocess.run([WHISPER_INFO, "--json", str(file)], capture_output=True, text=True, check=True).stdout
    kept = json.loads(told)
    assert (kept["aggregationMethod"], kept["xFilesFactor"]) == (method, 0)
    assert [each["secondsPerPoint"] for each in kept["archives"]] == [60, 600, 86_400]
    assert kept["fileSize"] < 100_000


def around() -> tuple[float, float]:
    now = time.time()
    return now - 600, now + 120


def test_carbon_down_and_back(graphite: Graphite, tmp_path: Path, ledger: str, environment: str) -> None:
    events = deploy(ledger, environment)
    graphite.end_carbon()
    shipper = started(graphite, tmp_path / "spool", ledger, environment, "graphite")
    until(lambda: "carbon" in shipper.standing()[0].why, "carbon is down")
    assert (shipper.standing()[0].shipped, shipper.standing()[0].idle) == (0, False)
    graphite.start_carbon()
    assert shipper.finish(PATIENCE_S)
    assert shipper.standing()[0].shipped == len(events)
    await_told(graphite, environment, *events)


def test_carbon_that_hangs_and_dies_with_what_it_had_taken(
    graphite: Graphite, tmp_path: Path, ledger: str, environment: str
) -> None:
    """It takes the first events, hangs with the next ones in its socket, and is killed before it has written any."""
    events = deploy(ledger, environment)
    shipper = started(graphite, tmp_path / "spool", ledger, environment, "graphite", timeout=2.0)
    assert graphite.carbon is not None
    until(lambda: shipper.standing()[0].shipped == len(events), "carbon has taken them")
    graphite.carbon.send_signal(signal.SIGSTOP)
    more = deploy(ledger, environment)
    shipper.wake()
    until(lambda: "within 2 s" in shipper.standing()[0].why, "it hangs")
    graphite.end_carbon(signal.SIGKILL)
    # Whatever had been written by then.
    shutil.rmtree(graphite.folder / "whisper" / "tidegate" / environment, ignore_errors=True)
    graphite.start_carbon()
    assert shipper.finish(PATIENCE_S)
    await_told(graphite, environment, *events, *more)


def test_a_slow_graphite_web_makes_no_marker_twice(
    graphite: Graphite, tmp_path: Path, ledger: str, environment: str
) -> None:
    deploy(ledger, environment)
    graphite.set_faults(Faults(delay_s=3.0))
    shipper = started(graphite, tmp_path / "spool", ledger, environment, "graphite-web", timeout=1.0)
    until(lambda: "timed out" in shipper.standing()[0].why, "it is too slow")
    graphite.set_faults(Faults(delay_s=0.1))
    assert shipper.finish(PATIENCE_S)
    assert len(lines(graphite, environment)) == 2


@pytest.mark.parametrize(
    "faults", [Faults(lose="POST"), Faults(refuse="POST"), Faults(refuse="GET"), Faults(lose="GET")]
)
def test_after_a_lost_answer_each_marker_is_there_once(
    graphite: Graphite, tmp_path: Path, ledger: str, environment: str, faults: Faults
) -> None:
    deploy(ledger, environment)
    graphite.set_faults(faults)
    shipper = started(graphite, tmp_path / "spool", ledger, environment, "graphite-web", timeout=1.0)
    until(lambda: bool(shipper.standing()[0].why), "an answer was lost")
    graphite.set_faults(Faults())
    assert shipper.finish(PATIENCE_S)
    assert len(lines(graphite, environment)) == 2


def test_a_busy_graphite_web_is_left_alone_for_as_long_as_it_says(graphite: Graphite, environment: str) -> None:
    graphite.set_faults(Faults(status=503, retry_after="30"))
    (sink,) = sinks(graphite, graphite.folder, ["graphite-web"])
    assert sink.deliver([item(environment)]) == Retry("HTTP 503", 30.0)
    sink.close()


def test_what_graphite_web_refuses_is_set_aside_once_it_has_taken_any(graphite: Graphite, environment: str) -> None:
    (sink,) = sinks(graphite, graphite.folder, ["graphite-web"])
    graphite.set_faults(Faults(status=400, of="POST"))
    answer = sink.deliver([item(environment)])
    assert answer == Retry("none is taken, so none is set aside: graphite-web answers HTTP 400")
    assert sink.batch == BATCH  # so that the next try has others
    graphite.set_faults(Faults(status=400, of="GET"))
    assert isinstance(sink.deliver([item(environment)]), Refused)  # it was only asked what is there
    graphite.set_faults(Faults())
    assert sink.deliver([item(environment)]) == Delivered({})
    assert sink.batch < BATCH
    graphite.set_faults(Faults(status=400, of="POST"))
    answer = sink.deliver([item(environment)])
    assert answer == Delivered({0: "graphite-web answers HTTP 400"})
    sink.close()


def test_a_marker_that_is_there_counts_as_taken(graphite: Graphite, environment: str) -> None:
    there, refused = item(environment), item(environment)
    (earlier,) = sinks(graphite, graphite.folder, ["graphite-web"])
    assert earlier.deliver([there]) == Delivered({})
    earlier.close()
    graphite.set_faults(Faults(status=400, of="POST"))
    (sink,) = sinks(graphite, graphite.folder, ["graphite-web"])
    assert sink.deliver([there, refused]) == Delivered({1: "graphite-web answers HTTP 400"})
    sink.close()


def test_a_password_is_asked_for_and_shows_nowhere(
    graphite: Graphite, tmp_path: Path, ledger: str, environment: str
) -> None:
    deploy(ledger, environment)
    graphite.set_faults(Faults(user="ann:CANARY-pass"))
    spool = tmp_path / "spool"
    (standing,) = ship(graphite, spool, ledger, environment, "graphite-web")
    assert (standing.refused, standing.why) == (True, "HTTP 401. Set user and password_file")
    (standing,) = ship(graphite, spool, ledger, environment, "graphite-web", user="ann", password="CANARY-wrong")
    assert standing.refused
    assert ship(graphite, spool, ledger, environment, "graphite-web", user="ann", password="CANARY-pass")[0].idle
    graphite.set_faults(Faults())
    assert len(lines(graphite, environment)) == 2
    assert b"CANARY" not in kept(spool)


def kept(folder: Path) -> bytes:
    return b"".join(str(path).encode() + path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", ["/render", "/nowhere"])
def test_a_url_that_is_no_graphite_webs_is_told(graphite: Graphite, environment: str, path: str) -> None:
    sink = GraphiteWebSink(WebSettings(graphite.url + path))
    answer = sink.deliver([item(environment)])
    sink.close()
    assert isinstance(answer, Refused) and "Is web the URL of graphite-web?" in answer.why


NAMES = ["trade.api v2", "a/../../etc", "größe", "x\ny 1 2\r\x00\x1b[31m", "{*}", "a;tag=b", "z" * 300, ".", "'; --"]


def item(environment: str, service: str = "tradeapi", **other: Any) -> Item:
    fields: dict[str, Any] = {"service": service, "environment": environment, "deployment": "d", "attempt": 1}
    fields |= {"id": os.urandom(16).hex(), "step": "close", "outcome": "ok", "nodes": [], "wave": None}
    fields |= {"duration_ms": 7, "details": {}, "by": "", **other}
    return Item("event", fields["id"], time.time(), fields)


def test_hostile_names_stay_within_their_place(graphite: Graphite, tmp_path: Path, environment: str) -> None:
    batch = [item(environment, name) for name in NAMES]
    carbon, web = sinks(graphite, tmp_path / "spool")
    assert carbon.deliver(batch) == Delivered({})
    assert web.deliver(batch) == Delivered({})
    assert web.deliver(batch) == Delivered({})
    web.close()
    until(lambda: len(told(graphite, environment)) == 3 * len(NAMES), "each has its own metrics")
    assert set(told(graphite, environment).values()) == {1, 7}
    assert all(line.isprintable() for line in lines(graphite, environment))
    assert len(lines(graphite, environment)) == len(NAMES)
    for each in batch:
        assert len(graphite.markers(f"id:{each.id}")) == 1
    top = graphite.folder / "whisper"
    # corp: that of the dashboard with a prefix of two parts.
    assert {path.name for path in top.iterdir()} <= {"tidegate", "corp"}


def test_what_is_no_event_is_set_aside_and_holds_up_nothing(
    graphite: Graphite, tmp_path: Path, environment: str
) -> None:
    broken = Item("event", "x", time.time(), {"environment": environment})
    for sink in sinks(graphite, tmp_path / "spool"):
        answer = sink.deliver([broken, item(environment)])
        assert isinstance(answer, Delivered) and list(answer.bad) == [0]
        sink.close()
    assert lines(graphite, environment) == [f"tradeapi done in {environment}"]


def test_no_secret_is_in_names_markers_or_the_spool(
    graphite: Graphite, tmp_path: Path, ledger: str, environment: str
) -> None:
    canary = "CANARY-7c1f"
    deploy(ledger, environment, msg=canary, cause=f"failed: {canary}", step=canary, decisions=[canary], url=canary)
    ship(graphite, tmp_path / "spool", ledger, environment)
    until(lambda: bool(told(graphite, environment)), "the metrics are there")
    assert canary.encode() not in kept(tmp_path / "spool")
    assert canary not in json.dumps(graphite.markers(f"environment:{environment}"))
    assert not [path for path in (graphite.folder / "whisper").rglob("*") if canary in str(path)]
    # Nor does a node's name.
    assert "n1" not in json.dumps(graphite.markers(f"environment:{environment}")).replace(environment, "")


def test_a_spool_that_cannot_be_written_is_told_and_nothing_is_sent(
    graphite: Graphite, tmp_path: Path, environment: str
) -> None:
    (tmp_path / "tallies").write_text("no folder")
    answer = CarbonSink(CarbonSettings(graphite.line), tmp_path).deliver([item(environment)])
    assert isinstance(answer, Retry) and "can't be kept" in answer.why
    assert told(graphite, environment) == {}


def test_a_killed_shipper_counts_nothing_twice(
    graphite: Graphite, tmp_path: Path, ledger: str, environment: str
) -> None:
    """kill -9 while graphite-web is slow and carbon is not; then the next one."""
    events = [event for _ in range(4) for event in deploy(ledger, environment, nodes=20)]
    graphite.set_faults(Faults(delay_s=0.3))
    first = start(graphite, tmp_path / "spool", ledger, environment)
    until(lambda: bool(lines(graphite, environment)), "something has arrived")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    graphite.set_faults(Faults())
    second = start(graphite, tmp_path / "spool", ledger, environment)
    assert second.stdin is not None
    second.stdin.close()
    assert second.wait(PATIENCE_S) == 0
    await_told(graphite, environment, *events)
    assert len(lines(graphite, environment)) == 8


def start(graphite: Graphite, spool: Path, ledger: str, environment: str) -> subprocess.Popen[bytes]:
    made = subprocess.Popen([sys.executable, "-m", "tidegate.shipping"], stdin=subprocess.PIPE, start_new_session=True)
    both = [{"sink": "graphite", "carbon": graphite.line}, {"sink": "graphite-web", "web": graphite.url}]
    assert made.stdin is not None
    for line in (
        {"spool": str(spool), "drain": PATIENCE_S, "sinks": both},
        {"ledger": ledger, "environment": environment},
    ):
        made.stdin.write(json.dumps(line).encode() + b"\n")
    made.stdin.flush()
    return made


class Listener:
    """Something at carbon's port that is no carbon: `handle` has each connection."""

    def __init__(self, handle: Any) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listening.getsockname()
        threading.Thread(target=self._serve, args=(handle,), daemon=True).start()

    def _serve(self, handle: Any) -> None:
        connection, _ = self._listening.accept()
        # A client that gives up resets it.
        with connection, contextlib.suppress(OSError):
            handle(connection)


def drained(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def half_closed(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    time.sleep(0.2)


def answers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.0 400 Bad Request\r\n")
    drained(connection)


SMALL, BIG = 10, 200_000


@pytest.mark.parametrize(
    ("handle", "problem", "sizes"),
    [
        (drained, "", (SMALL, BIG)),
        # As carbon does with more connections than MAX_RECEIVER_CONNECTIONS.
        (lambda connection: connection.close(), "carbon", (SMALL, BIG)),
        (lambda connection: connection.recv(10), "carbon", (SMALL, BIG)),
        (half_closed, "carbon", (BIG,)),
        (answers, "it answered", (SMALL, BIG)),
        (lambda _connection: time.sleep(0.5), "carbon did not take everything within 0.2 s", (SMALL, BIG)),
    ],
)
def test_only_an_end_after_all_was_taken_is_a_delivery(handle: Any, problem: str, sizes: tuple[int, ...]) -> None:
    for size in sizes:
        told = send(Listener(handle).address, b"tidegate.a 1 2\n" * size, 0.2)
        assert told.startswith(problem) and bool(told) == bool(problem), size
