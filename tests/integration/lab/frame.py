"""A lab without Puppet: real sshd, HAProxy and artifact server, and in place of the nodes' services one stand-in.

The stand-in answers `/health` and every other path with its own name, so that a test sees which node answered.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from lab import artifacts, haproxy, record, sshd
from lab.layout import Layout
from lab.net import tcp_answers
from lab.progress import Progress
from lab.supervise import Unit
from lab.up import await_pools, start, supervise_all

STAND_IN = """
import http.server, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = f"{self.server.server_address[0]} {self.headers.get('X-Tidegate-Node')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 128
port, *addresses = sys.argv[1:]
Server((addresses[0], int(port)), Handler).serve_forever()
"""


@dataclass(frozen=True)
class Frame:
    """The running part of a lab."""

    layout: Layout

    def address(self, host: str) -> str:
        return self.layout.host(host).address


def stand_ins(layout: Layout) -> list[Unit]:
    return [
        _stand_in(layout, node, service.name, service.port) for service in layout.services for node in service.nodes
    ]


def stand_in_name(node: str, service: str) -> str:
    return f"{node}-{service}"


def _stand_in(layout: Layout, node: str, service: str, port: int) -> Unit:
    address = layout.host(node).address
    return Unit(
        name=stand_in_name(node, service),
        host=node,
        argv=[sys.executable, "-I", "-c", STAND_IN, str(port), address],
        ready=lambda: tcp_answers(address, port, b"GET /health HTTP/1.0\r\n\r\n", b"HTTP/1."),
        log=layout.log / f"{stand_in_name(node, service)}.log",
        listens=[(address, port)],
    )


def frame_units(layout: Layout) -> list[Unit]:
    return [*artifacts.units(layout), *sshd.units(layout), *stand_ins(layout), *haproxy.units(layout)]


def start_frame(net: str, state: Path) -> Frame:
    """Start it, or what of it does not run; ended by `lab.down.down`."""
    layout, say = Layout(net, state), Progress()
    record.claim(layout)
    for component in (artifacts, sshd, haproxy):
        component.prepare(layout)
    units = frame_units(layout)
    supervise_all(layout, units, say)
    start(layout, units, say)
    await_pools(layout, say)
    return Frame(layout)
