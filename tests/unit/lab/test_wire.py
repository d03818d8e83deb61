"""One connection: a request is written once, an idle close is noticed before anything is written."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from lab.http1 import BadAnswer
from lab.wire import NotConnected, Wire, connect
from tests.waiting import PATIENCE_S

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST = b"GET / HTTP/1.1\r\n\r\n"


@contextlib.contextmanager
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(PATIENCE_S)
        yield made


def talk(act: Callable[[Wire, socket.socket], Awaitable[None]]) -> None:
    """Run `act` with a connected wire and the server's end of it."""

    async def run() -> None:
        with listener() as server:
            wire = await connect("127.0.0.1", server.getsockname()[1], PATIENCE_S)
            far, _ = server.accept()
            with far:
                far.settimeout(PATIENCE_S)
                await act(wire, far)
            wire.close()

    asyncio.run(run())


def test_an_answer_comes_back_and_the_wire_stays_usable() -> None:
    async def act(wire: Wire, far: socket.socket) -> None:
        for _ in range(2):
            far.sendall(b"")
            waiting = asyncio.ensure_future(wire.exchange(REQUEST, PATIENCE_S))
            await asyncio.sleep(0)
            assert far.recv(100) == REQUEST
            far.sendall(GOOD)
            assert (await waiting).body == b"ok"
            assert wire.usable()

    talk(act)


@pytest.mark.parametrize("reset", [False, True])
def test_an_idle_close_is_known_at_once_and_not_a_turn_of_the_loop_later(reset: bool) -> None:
    async def act(wire: Wire, far: socket.socket) -> None:
        assert wire.usable()
        if reset:
            far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        far.close()
        # No await in between: asyncio has not had a chance to tell.
        assert not wire.usable()

    talk(act)


def test_bytes_that_nobody_asked_for_make_it_unusable_and_are_counted() -> None:
    async def act(wire: Wire, far: socket.socket) -> None:
        far.sendall(b"HTTP/1.1 408 Request Time-out\r\n\r\n")
        assert not wire.usable()
        assert wire.stray_bytes == 33

    talk(act)


def test_a_close_in_the_middle_is_a_failure_and_nothing_is_written_again() -> None:
    async def act(wire: Wire, far: socket.socket) -> None:
        waiting = asyncio.ensure_future(wire.exchange(REQUEST, PATIENCE_S))
        await asyncio.sleep(0)
        assert far.recv(100) == REQUEST
        far.sendall(GOOD[:-1])
        far.shutdown(socket.SHUT_WR)
        with pytest.raises(BadAnswer, match=f"closed by the server after {len(GOOD) - 1} bytes"):
            await waiting
        assert far.recv(100) == b""
        assert not wire.usable()

    talk(act)


def test_patience_ends() -> None:
    async def act(wire: Wire, far: socket.socket) -> None:
        began = time.monotonic()
        with pytest.raises(BadAnswer, match=r"no whole answer within 0\.2 s, 0 bytes came"):
            await wire.exchange(REQUEST, 0.2)
        assert 0.15 < time.monotonic() - began < 60
        assert not wire.usable()

    talk(act)


def test_no_connection_is_told_with_the_address() -> None:
    async def run() -> None:
        with listener() as server:
            port = server.getsockname()[1]
        with pytest.raises(NotConnected, match=f"no connection to 127.0.0.1:{port}"):
            await connect("127.0.0.1", port, PATIENCE_S)

    asyncio.run(run())
