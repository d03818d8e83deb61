"""A server of HTTP/1.1, plain or with TLS, with a thread for each connection, that can end them all."""

from __future__ import annotations

import socket
import socketserver
import ssl
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# A connection may be silent for as long; longer than the longest OperationTimeout of WS-Management.
SILENCE_S = 120
# Who closes on unread data resets the connection, and the client may never see the answer: so much is read first.
READ_OF_TOO_MUCH = 4 * 1024 * 1024


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server's TLS with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


class ConnectionServer(ThreadingHTTPServer):
    """One listener. `tls` is a context that has its certificate loaded; None: plain."""

    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None
    ) -> None:
        self._tls = tls
        self._open: set[socket.socket] = set()
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # Without the look-up of a name that HTTPServer does.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def finish_request(self, request: object, client_address: object) -> None:
        """In the connection's own thread, so that a client that doesn't speak TLS holds up nobody."""
        assert isinstance(request, socket.socket)
        request.settimeout(SILENCE_S)
        self._open.add(request)
        try:
            if self._tls is None:
                super().finish_request(request, client_address)
                return
            with self._tls.wrap_socket(request, server_side=True) as wrapped:
                self._open.add(wrapped)
                try:
                    super().finish_request(wrapped, client_address)
                finally:
                    self._open.discard(wrapped)
        except (OSError, ssl.SSLError):
            pass
        finally:
            self._open.discard(request)

    def shutdown_request(self, request: object) -> None:
        """Also of a socket that TLS took over, or that was reset."""
        with suppress(OSError):
            super().shutdown_request(request)  # type: ignore[arg-type]

    def cut(self) -> None:
        """End every connection."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
