"""Customers of every kind. None of them ever sends a request a second time: what got no whole answer has failed."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import h2.config
import h2.connection
import h2.errors
import h2.events

from lab.http1 import Answer, AnswerReader, BadAnswer
from tests.waiting import PATIENCE_S

_PAUSE_S = 0.01
# RFC 9113, 4.1 and 6.8.
_FRAME_HEAD, _GOAWAY = 9, 7


class Failed(Exception):
    """A request without a whole good answer."""


class Caller(Protocol):
    """Somebody who asks again and again; each call is one visit, and says which nodes answered."""

    def ask(self, path: str = "/") -> Sequence[str]:
        """The nodes that answered. Raises Failed or OSError."""

    def close(self) -> None:
        """Hang up."""


@dataclass
class Http1:
    """HTTP/1.1 on a connection that is kept, or on a new one for each request.

    A `cookie` is sent, and replaced by what the answers set; without one, none is ever taken.
    """

    address: tuple[str, int]
    keeps: bool = True
    cookie: str = ""
    _socket: socket.socket | None = None

    def ask(self, path: str = "/") -> Sequence[str]:
        return [self.send(f"GET {path} HTTP/1.1\r\n").body.decode()]

    def send(self, line: str, body: bytes = b"", between: Callable[[], object] = lambda: None) -> Answer:
        """One request, its body in two halves with something done between them; its answer."""
        connection = self._connected()
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        cookie = f"Cookie: {self.cookie}\r\n" if self.cookie else ""
        half = len(body) // 2
        connection.sendall(f"{line}Host: shop\r\n{length}{cookie}\r\n".encode() + body[:half])
        if body:
            between()
            connection.sendall(body[half:])
        answer = self._receive(connection)
        if not self.keeps or not answer.keep:
            self.close()
        if answer.status != 200:
            raise Failed(f"{line.strip()}: {answer.status}")
        if self.cookie:
            self.cookie = answer.headers.get("set-cookie", self.cookie).partition(";")[0]
        return answer

    def _receive(self, connection: socket.socket) -> Answer:
        reader = AnswerReader()
        while data := connection.recv(65536):
            try:
                if answer := reader.feed(data):
                    return answer
            except BadAnswer as bad:
                raise Failed(str(bad)) from bad
        raise Failed(f"closed after {reader.received} bytes of the answer")

    def _connected(self) -> socket.socket:
        # What the server closed while nothing was in flight is no lost request: settled before a byte is sent.
        if self._socket is not None and _closed(self._socket):
            self.close()
        if self._socket is None:
            self._socket = socket.create_connection(self.address, PATIENCE_S)
        return self._socket

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@dataclass
class Http2:
    """HTTP/2 without TLS, `streams` requests at once on one connection. GOAWAY is heard before the next are sent."""

    address: tuple[str, int]
    streams: int = 3
    cookie: str = ""
    _socket: socket.socket | None = None
    _protocol: h2.connection.H2Connection = field(default_factory=h2.connection.H2Connection)
    _going_away: bool = False
    _unread: bytes = b""

    def ask(self, path: str = "/") -> Sequence[str]:
        connection = self._connected()
        bodies: dict[int, bytes] = {}
        for _ in range(self.streams):
            stream = self._protocol.get_next_available_stream_id()
            head = {":method": "GET", ":path": path, ":scheme": "http", ":authority": "shop"}
            head |= {"cookie": self.cookie} if self.cookie else {}
            self._protocol.send_headers(stream, list(head.items()), end_stream=True)
            bodies[stream] = b""
        connection.sendall(self._protocol.data_to_send())
        open_streams = set(bodies)
        while open_streams:
            for event in self._receive(connection):
                match event:
                    case h2.events.ResponseReceived(headers=headers, stream_id=stream):
                        status = dict(headers or ())[b":status"]
                        if status != b"200":
                            raise Failed(f"stream {stream} of {path}: {status.decode()}")
                    case h2.events.DataReceived(data=data, stream_id=stream, flow_controlled_length=length):
                        bodies[stream] += data or b""
                        self._protocol.acknowledge_received_data(length or 0, stream)
                    case h2.events.StreamEnded(stream_id=stream):
                        open_streams.discard(stream)
                    case h2.events.StreamReset(stream_id=stream, error_code=code):
                        raise Failed(f"stream {stream} of {path} was reset: {code}")
            connection.sendall(self._protocol.data_to_send())
        return [body.decode() for body in bodies.values()]

    def _receive(self, connection: socket.socket) -> list[h2.events.Event]:
        data = connection.recv(65536)
        if not data:
            raise Failed("the connection was closed with streams open")
        return self._protocol.receive_data(self._without_goaway(data))

    def _without_goaway(self, data: bytes) -> bytes:
        """Whole frames, but for GOAWAY: after one, h2 would not take the answers that are still to come."""
        self._unread, kept = self._unread + data, b""
        while len(self._unread) >= _FRAME_HEAD:
            length = _FRAME_HEAD + int.from_bytes(self._unread[:3])
            if len(self._unread) < length:
                break
            if self._unread[3] == _GOAWAY:
                self._going_away = True
            else:
                kept += self._unread[:length]
            self._unread = self._unread[length:]
        return kept

    def _connected(self) -> socket.socket:
        if self._socket is not None:
            self._hear(self._socket)
        if self._socket is None:
            self._socket = socket.create_connection(self.address, PATIENCE_S)
            self._protocol = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
            self._protocol.initiate_connection()
            self._going_away, self._unread = False, b""
        return self._socket

    def _hear(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError, Failed, OSError):
            while True:
                self._receive(connection)
        if self._going_away or _closed(connection):
            self.close()
        else:
            connection.settimeout(PATIENCE_S)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(PATIENCE_S)


class Line:
    """A connection that stays: a websocket, or one in TCP mode. Whoever is at its other end is its `node`."""

    def __init__(self, address: tuple[str, int], upgrade: bool, cookie: str = "") -> None:
        self._socket = socket.create_connection(address, PATIENCE_S)
        self._upgraded = upgrade
        if upgrade:
            asked = f"GET / HTTP/1.1\r\nHost: shop\r\nCookie: {cookie}\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\n"
            self._socket.sendall(asked.encode())
            head = self._until(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 101 "):
                raise Failed(head[:60].decode())
            _, _, rest = head.lower().partition(b"x-node: ")
            self.node = rest.split(b"\r\n")[0].decode()
        else:
            self.node = self._name()

    def works(self) -> bool:
        """Whether what is said comes back; False once the other side has ended it."""
        try:
            if not self._upgraded:
                return self._name() == self.node
            self._socket.sendall(b"hello\n")
            return self._until(b"\n") == b"hello\n"
        except (Failed, OSError):
            return False

    def close(self) -> None:
        self._socket.close()

    def _name(self) -> str:
        self._socket.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        reader = AnswerReader()
        while data := self._socket.recv(4096):
            if answer := reader.feed(data):
                return answer.body.decode()
        raise Failed("closed")

    def _until(self, end: bytes) -> bytes:
        said = b""
        while not said.endswith(end):
            part = self._socket.recv(4096)
            if not part:
                raise Failed("closed")
            said += part
        return said


class Crowd:
    """Customers that ask as long as the block lasts; `served` are the answers by node, `failures` the rest.

    Each has at least one whole visit before the block begins.
    """

    def __init__(self, *callers: Caller, path: str = "/") -> None:
        self.served: list[tuple[float, str]] = []
        self.failures: list[str] = []
        self._ended = threading.Event()
        self._begun = [threading.Event() for _ in callers]
        self._threads = [
            threading.Thread(target=self._run, args=(caller, path, begun), daemon=True)
            for caller, begun in zip(callers, self._begun, strict=True)
        ]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        for begun in self._begun:
            assert begun.wait(PATIENCE_S), "a customer was never answered"
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def nodes_since(self, moment: float) -> list[str]:
        """Who answered the requests that were sent after a moment of time.monotonic."""
        return [node for sent, node in list(self.served) if sent > moment]

    def _run(self, caller: Caller, path: str, begun: threading.Event) -> None:
        while not self._ended.is_set():
            sent = time.monotonic()
            try:
                self.served += [(sent, node) for node in caller.ask(path)]
            except (Failed, OSError) as error:
                self.failures.append(f"{type(caller).__name__}: {error}")
                caller.close()
            begun.set()
            self._ended.wait(_PAUSE_S)
        caller.close()
