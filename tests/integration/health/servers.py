"""Servers that misbehave on purpose, one raw socket each, so that nothing is added by an HTTP library."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

# Nobody who waits for those that never answer, or never end, has given up by chance before that.
NEVER_S = 120.0
Behaviour = Callable[[socket.socket, bytes, int], None]


@dataclass
class Node:
    """A listening server: `behave(connection, request, number)` answers each connection in a thread of its own."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    stop: threading.Event = field(default_factory=threading.Event)


def respond(body: object, status: str = "200 OK", extra: str = "") -> bytes:
    """One whole HTTP answer; dicts become JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n{extra}Connection: close\r\n\r\n"
    return head.encode() + data


def always(answer: bytes) -> Behaviour:
    """The same answer each time."""
    return lambda connection, _request, _number: connection.sendall(answer)


def in_turn(*answers: bytes) -> Behaviour:
    """One answer a connection, the last one from then on."""
    return lambda connection, _request, number: connection.sendall(answers[min(number, len(answers)) - 1])


def never(connection: socket.socket, _request: bytes, _number: int) -> None:
    """Accepts, reads, says nothing."""
    connection.recv(1)


def trickle(connection: socket.socket, _request: bytes, _number: int) -> None:
    """One byte every 50 ms: no single read ever times out."""
    for byte in respond({"status": "ok"} | {"pad": "x" * 10_000}):
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def headers_without_end(connection: socket.socket, _request: bytes, _number: int) -> None:
    """Sends header lines for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X: y\r\n")
        time.sleep(0.05)


@contextmanager
def serving(behave: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[Node]:
    """The server on a free port of 127.0.0.1, closed with all its connections at the end."""
    node = Node()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    node.url = f"http{'s' if tls else ''}://127.0.0.1:{listener.getsockname()[1]}/health"
    open_ones: list[socket.socket] = []

    def handle(raw: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), raw:
            connection = tls.wrap_socket(raw, server_side=True) if tls else raw
            request = connection.recv(65536)
            node.requests.append(request)
            if request:
                behave(connection, request, number)

    def accept() -> None:
        while not node.stop.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                node.connections += 1
                open_ones.append(connection)
                threading.Thread(target=handle, args=(connection, node.connections), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        node.stop.set()
        thread.join()
        listener.close()
        for connection in open_ones:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
