"""A maintenance front end and an artifact repository in one small HTTP server.

The front end follows what was observed of HAProxy (denies for nodes that are down, `X-Served-By` from the server's
name): aimed at a node it answers as that node or with 503, never as another one, unless a test makes it lie.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What the server serves: releases by node, files by path; `lies` names who answers instead of a node."""

    nodes: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    lies: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    # After so many answers as a node, it serves another version or answers as another one.
    change_after: int | None = None
    change: dict[str, str] = field(default_factory=dict)
    url: str = ""

    def answer(self, path: str, aimed: str) -> tuple[int, dict[str, str], bytes]:
        if path in self.files:
            return 200, {}, self.files[path]
        self.asked.append((path, aimed))
        if self.change_after is not None and len(self.asked) > self.change_after:
            self.nodes = self.nodes | self.change
        if aimed not in self.nodes:
            return 503, {}, b"<html><body><h1>503 Service Unavailable</h1></body></html>"
        body = {"service": "probe", "version": self.nodes[aimed], "status": "ok", "pid": 7}
        return 200, {"X-Served-By": self.lies.get(aimed, aimed)}, json.dumps(body).encode()


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """The site on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = site.answer(self.path, self.headers.get("X-Tidegate-Node", ""))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
