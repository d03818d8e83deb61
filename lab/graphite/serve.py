"""Serves graphite-web on 127.0.0.1: /usr/bin/python3 serve.py PORT FAULTS, with Django's settings in the environment.

Debian's graphite-web is for the system's Python, and wants a WSGI server: this is Python's own, a thread a request.
"""

from __future__ import annotations

import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

# Beside this file, which is run as a script and so is in no package.
from faults import CONNECTION, InFront  # type: ignore[import-not-found]
from graphite.wsgi import application  # type: ignore[import-not-found]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class Handler(WSGIRequestHandler):
    def get_environ(self) -> dict[str, Any]:
        return {**super().get_environ(), CONNECTION: self.connection}

    def address_string(self) -> str:
        """No name is looked up."""
        return str(self.client_address[0])


def main() -> None:
    with Server(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        server.set_app(InFront(application, Path(sys.argv[2])))
        server.serve_forever()


if __name__ == "__main__":
    main()
