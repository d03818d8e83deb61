"""TCP connections to servers that behave and misbehave."""

from __future__ import annotations

import socket

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Stopped
from ansible_collections.tidegate.delivery.plugins.module_utils.health.tcp_answer import (
    ANSWER_LIMIT,
    TcpAnswer,
    TcpQuestion,
    ask_tcp,
)
from tests.integration.health.servers import Behaviour, always, never, serving
from tests.waiting import PATIENCE_S


def asked(
    behave: Behaviour, *, send: bytes = b"PING\r\n", expect: bytes = b"", timeout: float = PATIENCE_S
) -> TcpAnswer:
    with serving(behave) as server:
        port = int(server.url.split(":")[2].split("/")[0])
        return ask_tcp(TcpQuestion("127.0.0.1", port, send, expect), timeout)


def endless(connection: socket.socket, _request: bytes, _number: int) -> None:
    while True:
        connection.sendall(b"x" * 8192)


def test_a_port_that_accepts_is_good() -> None:
    assert asked(never).problem == ""


def test_an_answer_is_read_until_what_is_expected_has_come() -> None:
    def in_pieces(connection: socket.socket, request: bytes, _number: int) -> None:
        assert request == b"PING\r\n"
        for piece in (b"+PO", b"NG\r\n"):
            connection.sendall(piece)
        connection.recv(1)

    assert asked(in_pieces, expect=b"PONG").problem == ""


@pytest.mark.parametrize(
    ("behave", "problem", "late"),
    [
        (never, "'PONG' did not come within 300ms", True),
        (always(b"-ERR loading"), "the connection was closed before 'PONG' came; what came is '-ERR loading'", False),
        (endless, f"{ANSWER_LIMIT // 1024} KiB came without 'PONG'", False),
    ],
)
def test_what_does_not_come_is_told(behave: Behaviour, problem: str, late: bool) -> None:
    answer = asked(behave, expect=b"PONG", timeout=0.3 if late else PATIENCE_S)
    assert (answer.problem, answer.late) == (problem, late)


@pytest.mark.parametrize("name", ["a..b", f"{'a' * 64}.example"])
def test_a_name_that_no_host_can_have_is_told(name: str) -> None:
    answer = ask_tcp(TcpQuestion(name, 80), 5.0)
    assert (answer.problem, answer.late) == ("no host can have that name", False)


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    answer = ask_tcp(TcpQuestion("127.0.0.1", port), PATIENCE_S)
    assert (answer.problem, answer.late) == ("Connection refused", False)


def test_a_stop_ends_the_wait() -> None:
    looks = iter([None, None])

    def look() -> None:
        if next(looks, "stop") == "stop":
            raise Stopped("stopped by ann")

    with serving(never) as server, pytest.raises(Stopped):
        port = int(server.url.split(":")[2].split("/")[0])
        ask_tcp(TcpQuestion("127.0.0.1", port, b"x", b"y"), 60.0, look)


@pytest.mark.parametrize(("address", "port"), [("", 80), ("n1", 0), ("n1", 65536)])
def test_what_can_not_be_connected_to_is_refused(address: str, port: int) -> None:
    with pytest.raises(BadInput, match="can't be connected to"):
        TcpQuestion(address, port)
