"""A scripted service: answers as `lab/service/src/Routes.cs` does, or misbehaves in one of the ways a server can.

It notes every request that it gets, so that a test can compare what a client sent with what it counted.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import IO, Self


class Act(StrEnum):
    """What the service does with one request."""

    GOOD = "good"
    CHUNKED = "good, in chunks"
    ANNOUNCED_CLOSE = "good, says Connection: close, closes"
    IDLE_CLOSE = "good, closes the idle connection without a word"
    DROP = "closes without an answer"
    RESET = "resets the connection without an answer"
    HALF_HEAD = "closes in the middle of the head"
    HALF_BODY = "closes in the middle of the body"
    HALF_CHUNK = "closes before the last chunk"
    GARBAGE = "sends bytes that are no HTTP"
    NO_LENGTH = "ends the answer with the connection"
    SURPLUS = "sends more than it announced"
    ERROR = "status 500"
    WRONG_ORDER = "good but for another body than was asked"
    NO_VERSION = "good but for X-Version"


FINE = frozenset({Act.GOOD, Act.CHUNKED, Act.ANNOUNCED_CLOSE, Act.IDLE_CLOSE})
Script = Callable[[int], Act]


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Upstream:
    """The server: a thread for each connection, requests numbered from 1 in order of arrival."""

    address: str
    port: int
    script: Script = lambda _: Act.GOOD
    version: str = "1.0.0"
    report_s: float = 3.0
    requests: list[tuple[Asked, Act]] = field(default_factory=list)
    connections: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: set[socket.socket] = field(default_factory=set)
    _listener: socket.socket | None = None

    def __enter__(self) -> Self:
        self._listener = socket.create_server((self.address, self.port), backlog=256)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """As `kill -9` would: the port and every connection are gone at once, requests in flight included."""
        if self._listener is not None:
            # A thread that sits in accept() keeps the socket alive over close(); shutdown() wakes it.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._lock:
            victims = list(self._open)
        for victim in victims:
            _cut(victim)

    def asked(self, label: str) -> list[tuple[Asked, Act]]:
        """The requests of one load."""
        with self._lock:
            return [(asked, act) for asked, act in self.requests if asked.headers.get("x-load") == label]

    def acts(self, label: str) -> Counter[Act]:
        return Counter(act for _, act in self.asked(label))

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
                self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                while (asked := _read(stream)) is not None and self._answer(connection, asked):
                    pass
        except OSError:
            pass  # Killed, or the client went away.
        finally:
            with self._lock:
                self._open.discard(connection)

    def _answer(self, connection: socket.socket, asked: Asked) -> bool:
        health = "/health" in asked.line
        with self._lock:
            loaded = [each for each in self.requests if "x-load" in each[0].headers]
            act = Act.GOOD if health else self.script(len(loaded) + 1)
            self.requests.append((asked, act))
        if "/report" in asked.line:
            time.sleep(self.report_s)
        if act is Act.RESET:
            # Closing with nothing to linger for sends RST; the caller closes.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if act is Act.IDLE_CLOSE:
            # The end leaves together with the answer: on a busy machine the next request could else meet it halfway.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        for part in _bytes_of(act, asked, self.version):
            connection.sendall(part)
        return act in {Act.GOOD, Act.CHUNKED, Act.ERROR, Act.WRONG_ORDER, Act.NO_VERSION}


def _cut(connection: socket.socket) -> None:
    # close() would wait for the thread that still reads; shutdown() does not.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _read(stream: IO[bytes]) -> Asked | None:
    line = stream.readline(8192).decode().strip()
    if not line:
        return None
    headers: dict[str, str] = {}
    while field_line := stream.readline(8192).decode().strip():
        name, _, value = field_line.partition(":")
        headers[name.lower()] = value.strip()
    return Asked(line, headers, stream.read(int(headers.get("content-length", "0"))))


def _body(asked: Asked, act: Act, version: str) -> bytes:
    if "/orders" in asked.line:
        body = asked.body + b"!" if act is Act.WRONG_ORDER else asked.body
        digest = hashlib.sha256(body).hexdigest()
        return json.dumps({"id": "n1-1-1", "bytes": len(asked.body), "sha256": digest}).encode()
    if "/report" in asked.line:
        return b'{"report":"positions","milliseconds":3000}'
    service = "pricefeed" if "feed" in asked.headers.get("host", "") else "tradeapi"
    shown = "0.0.0" if act is Act.WRONG_ORDER else version
    return json.dumps({"service": service, "version": shown, "quotes": [{"symbol": "EURUSD"}]}).encode()


def _bytes_of(act: Act, asked: Asked, version: str) -> list[bytes]:
    body = _body(asked, act, version)
    status = "500 Oops" if act is Act.ERROR else "201 Created" if "/orders" in asked.line else "200 OK"
    start = f"HTTP/1.1 {status}\r\n" + ("" if act is Act.NO_VERSION else f"X-Version: {version}\r\n")
    length = f"Content-Length: {len(body)}\r\n"
    whole = f"{start}{length}\r\n".encode() + body
    chunked = f"{start}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n"
    if act is Act.CHUNKED:
        return [chunked[:-7], chunked[-7:] + b"0\r", b"\n\r\n"]
    answers = {
        Act.DROP: b"",
        Act.HALF_HEAD: whole[:20],
        Act.HALF_BODY: whole[:-5],
        Act.HALF_CHUNK: chunked,
        Act.GARBAGE: b"\x00\x01 what?\r\n\r\n",
        Act.NO_LENGTH: start.encode() + b"\r\n" + body,
        Act.SURPLUS: whole + b"more",
        Act.ANNOUNCED_CLOSE: f"{start}{length}Connection: close\r\n\r\n".encode() + body,
    }
    return [answers.get(act, whole)]
