"""A static HTTP file server on one address: the lab's artifact repository. Run as a file: ADDRESS PORT FOLDER."""

from __future__ import annotations

import socketserver
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """Binds without the reverse DNS look-up of the base class, which can stall for seconds."""

    request_queue_size = 128

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])


class Handler(SimpleHTTPRequestHandler):
    """Keep-alive, and no listing of folders."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def list_directory(self, path: object) -> None:  # noqa: ARG002
        self.send_error(404, "No listing")


def main() -> None:
    address, port, folder = sys.argv[1:]
    FileServer((address, int(port)), partial(Handler, directory=folder)).serve_forever()


if __name__ == "__main__":
    main()
