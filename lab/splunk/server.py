"""The collector behind HTTP/1.1, plain or with TLS, a thread for each connection; and the network's faults."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
import time
import urllib.parse
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

from lab.https import READ_OF_TOO_MUCH, SILENCE_S, ConnectionServer
from lab.splunk.collector import ENDPOINTS, Collector, Reply, Request, plain
from lab.splunk.faults import Faults, Kind

# Closing with this lingering sends a reset at once.
_RESET = struct.pack("ii", 1, 0)


class Server(ConnectionServer):
    """One listener. `tls` is a context that has its certificate loaded."""

    request_queue_size = 128

    def __init__(self, address: tuple[str, int], collector: Collector, tls: ssl.SSLContext | None) -> None:
        self.collector = collector
        self.over = threading.Event()
        super().__init__(address, Handler, tls)

    def end(self) -> None:
        """Nobody listens any more, and every connection ends."""
        self.over.set()
        self.shutdown()
        self.server_close()
        self.cut()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "Splunkd"
    sys_version = ""
    wbufsize = 64 * 1024
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests have tokens in them."""

    def do_POST(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def _handle(self) -> None:
        target = urllib.parse.urlsplit(self.path)
        endpoint = {"raw": "event"}.get(found := ENDPOINTS.get(target.path, ""), found)
        faults, kind, changed = self.server.collector.faults.of_next_request(endpoint)
        self._wait(faults.latency_s, changed=None)
        length = self._length()
        if length is None:
            return
        if kind is Kind.RESET:
            self.rfile.read(length // 2)
            self._reset()
            return
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        if kind is Kind.SILENT:
            self._fall_silent(changed)
            return
        request = Request(
            self.command,
            target.path,
            dict(urllib.parse.parse_qsl(target.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            body,
        )
        self._answer(self.server.collector.handle(request, faults, kind), kind, changed)

    def _answer(self, reply: Reply, kind: Kind | None, changed: threading.Event) -> None:
        if kind is Kind.SILENT_AFTER:
            self._fall_silent(changed)
        elif kind is Kind.RESET_AFTER:
            self._reset()
        else:
            self._send(reply, half=kind is Kind.HALF_REPLY)

    def _length(self) -> int | None:
        """None: it was answered, or the connection is over. A request without a length is refused: strict."""
        if "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self._send(plain(411, "Length Required"))
            return None
        given = self.headers.get("Content-Length", "0" if self.command == "GET" else "")
        if not (given.isascii() and given.isdecimal()) or len(given) > 12:
            self.close_connection = True
            self._send(plain(411, "Length Required"))
            return None
        if int(given) > self.server.collector.configuration.limits.max_content_length:
            self.close_connection = True
            self._send(plain(413, "Content-Length too large"))
            self.rfile.read(min(int(given), READ_OF_TOO_MUCH))
            return None
        return int(given)

    def _send(self, reply: Reply, half: bool = False) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[: len(reply.body) // 2] if half else reply.body)
        self.wfile.flush()
        if half:
            self.close_connection = True

    def _fall_silent(self, changed: threading.Event) -> None:
        """The connection is held, until the faults change or the server ends."""
        self.close_connection = True
        self._wait(SILENCE_S, changed)

    def _wait(self, seconds: float, changed: threading.Event | None) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self.server.over.is_set():
            if changed is None:
                self.server.over.wait(left)
            elif changed.wait(min(left, 0.1)):
                return

    def _reset(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            # Detached: TLS would say goodbye first, and http.server shut it down in good order.
            os.close(self.connection.detach())


class Receiver:
    """A collector that listens, for tests and for `python -m lab.splunk`."""

    def __init__(
        self,
        collector: Collector,
        address: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.collector = collector
        self.arrivals = collector.arrivals
        self._address = address
        self._tls = tls
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self.port = port
        self._listen()

    @property
    def url(self) -> str:
        """Of the root: clients add the path."""
        return f"{'https' if self._tls else 'http'}://{self._address}:{self.port}"

    def set_faults(self, faults: Faults) -> None:
        """From now on these, and no others; counting begins anew."""
        if faults.refused:
            self._hang_up()
        self.collector.faults.set(faults)
        if not faults.refused:
            self._listen()

    def close(self) -> None:
        """Nobody listens any more; what arrived stays readable."""
        self._hang_up()
        self.arrivals.close()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> None:
        if self._server is not None:
            return
        self._server = Server((self._address, self.port), self.collector, self._tls)
        # Port 0 is any that is free; after an outage it is the same.
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def _hang_up(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.end()
        self._thread.join()
        self._server = self._thread = None
