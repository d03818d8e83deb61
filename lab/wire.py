"""One customer's connection: a request is written once, and once only.

There is no code here that could send a request again. What was written and got no whole answer is a failure.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field

from lab.http1 import Answer, AnswerReader, BadAnswer


class NotConnected(Exception):
    """No connection came about, so nothing was written."""


@dataclass(eq=False)
class Wire(asyncio.Protocol):
    """A connection that carries one request at a time."""

    sock: socket.socket
    stray_bytes: int = 0
    _closed: bool = False
    _reader: AnswerReader | None = None
    _waiter: asyncio.Future[Answer] | None = None
    _transport: asyncio.Transport | None = field(default=None, repr=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: bytes that nobody asked for are counted and end the connection."""
        if self._reader is None:
            self.stray_bytes += len(data)
            self.close()
            return
        try:
            answer = self._reader.feed(data)
        except BadAnswer as bad:
            self._settle(bad)
            self.close()
        else:
            if answer is not None:
                self._settle(answer)

    def eof_received(self) -> bool:
        """Called by asyncio when the server closed its side; False lets the transport close ours."""
        self._closed = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio: a request that waits has failed."""
        self._closed = True
        if self._reader is not None:
            why = f"connection broken ({type(exc).__name__})" if exc else "connection closed by the server"
            self._settle(BadAnswer(f"{why} after {self._reader.received} bytes of the answer"))

    def _settle(self, outcome: Answer | BadAnswer) -> None:
        waiter, self._waiter, self._reader = self._waiter, None, None
        if waiter is None or waiter.done():
            return
        if isinstance(outcome, BadAnswer):
            waiter.set_exception(outcome)
        else:
            waiter.set_result(outcome)

    def usable(self) -> bool:
        """Whether a request may be written: neither side has closed, as the kernel knows it *now*.

        asyncio hears of a close one turn of its loop later; the peek closes that gap, so that an idle close is
        not taken for a lost request.
        """
        if self._closed:
            return False
        try:
            self.stray_bytes += len(self.sock.recv(4096, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    async def exchange(self, request: bytes, patience: float) -> Answer:
        """Write the request and wait `patience` seconds for its answer. Raises BadAnswer; never writes twice."""
        assert self._transport is not None and self._waiter is None
        loop = asyncio.get_running_loop()
        self._reader, self._waiter = AnswerReader(), loop.create_future()
        waiter = self._waiter
        limit = loop.call_later(patience, self._give_up, patience)
        try:
            self._transport.write(request)
            return await waiter
        finally:
            limit.cancel()

    def _give_up(self, patience: float) -> None:
        received = self._reader.received if self._reader else 0
        self._settle(BadAnswer(f"no whole answer within {patience:g} s, {received} bytes came"))
        self.close()

    def close(self) -> None:
        """Close at once; what still waits fails."""
        self._closed = True
        if self._transport is not None:
            self._transport.abort() if self._reader is not None else self._transport.close()


async def connect(host: str, port: int, patience: float) -> Wire:
    """A new connection within `patience` seconds. Raises NotConnected."""
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        async with asyncio.timeout(patience):
            await loop.sock_connect(sock, (host, port))
            _, wire = await loop.create_connection(lambda: Wire(sock), sock=sock)
    except (OSError, TimeoutError) as error:
        sock.close()
        raise NotConnected(f"no connection to {host}:{port} ({error or 'timed out'})") from error
    return wire
