"""The stand-in for Splunk's collector behind sockets: HTTP, TLS, the faults of a network, and as a process."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.files import write_file
from lab.splunk.__main__ import tls_context
from lab.splunk.arrivals import Arrivals, read_arrivals
from lab.splunk.collector import Collector
from lab.splunk.configuration import Configuration, Limits, Token
from lab.splunk.faults import Faults, FaultState, Kind
from lab.splunk.server import Receiver
from tests.waiting import PATIENCE_S, until

TOKEN = "22222222-2222-2222-2222-222222222222"
CHANNEL = "FE0ECFAD-13D5-401B-847D-77833BD77131"
HEADERS = {"Authorization": f"Splunk {TOKEN}", "X-Splunk-Request-Channel": CHANNEL}
EVENT = "/services/collector/event"
LIMIT = 1_000_000


def make(folder: Path | None = None, tls: ssl.SSLContext | None = None) -> Receiver:
    configuration = Configuration((Token("tidegate", TOKEN, use_ack=True),), Limits(max_content_length=LIMIT))
    return Receiver(Collector(configuration, Arrivals(folder), FaultState()), tls=tls)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with make() as made:
        yield made


def connect(receiver: Receiver, timeout: float = PATIENCE_S) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=timeout)


def post(
    connection: http.client.HTTPConnection, body: bytes | str = '{"event": "a"}', path: str = EVENT
) -> tuple[int, dict[str, Any]]:
    connection.request("POST", path, body, HEADERS)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def acks(connection: http.client.HTTPConnection, *numbers: int) -> dict[str, bool]:
    told: dict[str, bool] = post(connection, json.dumps({"acks": numbers}), "/services/collector/ack")[1]["acks"]
    return told


def test_a_connection_is_kept(receiver: Receiver) -> None:
    connection = connect(receiver)
    assert [post(connection)[1]["ackId"] for _ in range(3)] == [0, 1, 2]
    assert acks(connection, 0, 1, 2) == {"0": True, "1": True, "2": True}
    assert [one.told for one in receiver.arrivals.events()] == [True] * 3


def test_many_clients_at_once(receiver: Receiver) -> None:
    def send() -> None:
        connection = connect(receiver)
        for _ in range(20):
            assert post(connection)[0] == 200

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.ack_id or 0 for one in receiver.arrivals.events()) == list(range(160))


def test_tls_is_verified(tmp_path: Path) -> None:
    with make(tls=tls_context(tmp_path, "127.0.0.1")) as receiver:
        trusting = ssl.create_default_context(cafile=str(tmp_path / "splunk.pem"))
        connection = http.client.HTTPSConnection("127.0.0.1", receiver.port, context=trusting, timeout=PATIENCE_S)
        assert post(connection)[0] == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            post(http.client.HTTPSConnection("127.0.0.1", receiver.port, timeout=PATIENCE_S))
        receiver.set_faults(Faults(kind=Kind.RESET_AFTER))
        with pytest.raises(OSError, match=r".*"):
            post(connection)
        assert receiver.arrivals.count() == 2


def test_too_much(receiver: Receiver) -> None:
    connection = connect(receiver)
    connection.request("POST", EVENT, b"x" * (LIMIT + 1), HEADERS)
    assert connection.getresponse().status == 413


@pytest.mark.parametrize("header", ["Transfer-Encoding: chunked", "Content-Length: -1", "Content-Length: many", "A: b"])
def test_a_request_without_a_length(receiver: Receiver, header: str) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port), PATIENCE_S) as connection:
        connection.sendall(f"POST {EVENT} HTTP/1.1\r\nHost: h\r\n{header}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 411 ")


def test_half_a_request_is_no_request(receiver: Receiver) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port), PATIENCE_S) as connection:
        head = f"POST {EVENT} HTTP/1.1\r\nHost: h\r\nAuthorization: Splunk {TOKEN}\r\nContent-Length: 100\r\n\r\n"
        connection.sendall(head.encode() + b'{"event": "a"}')
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
    assert receiver.arrivals.count() == 0


def test_refused_and_back_on_the_same_port(receiver: Receiver) -> None:
    connection = connect(receiver)
    post(connection)
    receiver.set_faults(Faults(refused=True))
    with pytest.raises(OSError, match=r".*"):
        post(connection)
    with pytest.raises(ConnectionRefusedError):
        post(connect(receiver))
    receiver.set_faults(Faults())
    assert post(connect(receiver))[1]["ackId"] == 1


@pytest.mark.parametrize(("kind", "taken"), [(Kind.SILENT, 0), (Kind.SILENT_AFTER, 1)])
def test_accepted_and_never_answered(receiver: Receiver, kind: Kind, taken: int) -> None:
    receiver.set_faults(Faults(kind=kind))
    with pytest.raises(TimeoutError):
        post(connect(receiver, timeout=0.5))
    assert receiver.arrivals.count() == taken
    receiver.set_faults(Faults())
    assert post(connect(receiver))[0] == 200


@pytest.mark.parametrize(("kind", "taken"), [(Kind.RESET, 0), (Kind.RESET_AFTER, 1)])
def test_a_reset(receiver: Receiver, kind: Kind, taken: int) -> None:
    receiver.set_faults(Faults(kind=kind, requests=(2,)))
    connection = connect(receiver)
    assert post(connection)[0] == 200
    with pytest.raises(ConnectionResetError):
        post(connection)
    assert post(connect(receiver))[0] == 200
    assert receiver.arrivals.count() == 2 + taken


def test_half_a_reply(receiver: Receiver) -> None:
    receiver.set_faults(Faults(kind=Kind.HALF_REPLY))
    with pytest.raises(http.client.IncompleteRead):
        post(connect(receiver))
    assert receiver.arrivals.count() == 1


def test_busy_twice(receiver: Receiver) -> None:
    receiver.set_faults(Faults(kind=Kind.BUSY, requests=(1, 2), retry_after_s=3))
    connection = connect(receiver)
    connection.request("POST", EVENT, "", HEADERS)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Retry-After"], json.loads(answer.read())["code"]) == (503, "3", 9)
    assert [post(connection)[0] for _ in range(2)] == [503, 200]


def test_a_fault_of_the_acknowledgements_alone(receiver: Receiver) -> None:
    receiver.set_faults(Faults(kind=Kind.ERROR, to=("ack",)))
    connection = connect(receiver)
    assert post(connection)[0] == 200
    assert post(connection, '{"acks": [0]}', "/services/collector/ack")[0] == 500


def test_latency(receiver: Receiver) -> None:
    receiver.set_faults(Faults(latency_s=PATIENCE_S))
    with pytest.raises(TimeoutError):
        post(connect(receiver, timeout=0.3))
    receiver.close()


def test_as_a_process_through_a_restart(tmp_path: Path) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(*more: str) -> int:
        (tmp_path / "port").unlink(missing_ok=True)
        argv = [sys.executable, "-m", "lab.splunk", "--state", str(tmp_path), *more]
        started.append(subprocess.Popen(argv))
        until((tmp_path / "port").exists, "it listens")
        return int((tmp_path / "port").read_text())

    def ask(port: int, path: str, body: str) -> tuple[int, dict[str, Any]]:
        token = (tmp_path / "token").read_text().strip()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        connection.request(
            "POST", path, body, {"Authorization": f"Splunk {token}", "X-Splunk-Request-Channel": CHANNEL}
        )
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    try:
        port = start()
        assert (tmp_path / "token").stat().st_mode & 0o077 == 0
        assert ask(port, EVENT, '{"event": "one"}{"event": "two"}')[1]["ackId"] == 0
        assert ask(port, "/services/collector/ack", '{"acks": [0]}')[1] == {"acks": {"0": True}}
        faults = Faults(kind=Kind.BUSY)
        write_file(tmp_path / "faults.json", faults.to_json())
        seen = tmp_path / "faults.seen"
        until(lambda: seen.exists() and seen.read_text() == faults.to_json(), "the faults are seen")
        assert ask(port, EVENT, '{"event": "x"}')[0] == 503
        os.kill(started[0].pid, signal.SIGKILL)
        started[0].wait()
        (tmp_path / "faults.json").unlink()
        port = start("--port", str(port))
        assert ask(port, EVENT, '{"event": "three"}')[1]["ackId"] == 0
        started[1].terminate()
        assert started[1].wait(PATIENCE_S) == 0
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert [(one.event, one.told) for one in read_arrivals(tmp_path)] == [
        ("one", True),
        ("two", True),
        ("three", False),
    ]
