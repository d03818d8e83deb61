"""The lab's nodes and load balancers without Puppet: its service on each node as a process of ours, under its load."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Pool
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share
from benchmarks import balancers, children
from benchmarks.measured import Failed
from lab import haproxy
from lab.build import Release, build
from lab.haproxy_socket import servers
from lab.layout import FIRST_VERSION, Layout, Service
from lab.net import tcp_answers
from lab.programs import program
from lab.witness import wait_until

# Mono starts in a second; a busy machine takes longer.
_SERVES_S, _UP_S = 60.0, 60.0
_MIN_ONLINE = "1"
_CONTROL_PORT = 8099


@dataclass
class Fleet:
    """Real load balancers with the lab's own configuration (redispatch and retries on) in front of its real service."""

    layout: Layout
    _running: dict[tuple[str, str], subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node of the lab."""
        return tuple(host.name for host in self.layout.nodes)

    def pools(self, node: str) -> list[Pool]:
        """The pairs of pools that the node is in, one for each of its services."""
        services = self.layout.services_on(node)
        return [Pool(each.online, each.maintenance, Share.parse(_MIN_ONLINE), (node,)) for each in services]

    def pool_arguments(self, node: str) -> list[dict[str, str]]:
        """The same for a play."""
        services = self.layout.services_on(node)
        return [{"online": s.online, "maintenance": s.maintenance, "min_online": _MIN_ONLINE} for s in services]

    @property
    def online_backends(self) -> tuple[str, ...]:
        """The backends that customers reach."""
        return tuple(service.online for service in self.layout.services)

    def restart(self, node: str) -> None:
        """kill -9 of the node's services, and a new start; returns when they answer. Raises Failed if they don't."""
        self.kill(node)
        self.start(node)
        self.await_serving(node)

    def kill(self, node: str) -> None:
        """As a crash: requests in flight are lost."""
        for service in self.layout.services_on(node):
            process = self._running.pop((node, service.name), None)
            if process is not None:
                children.kill(process)

    def start(self, node: str) -> None:
        """Start the node's services; they answer in a second or so."""
        for service in self.layout.services_on(node):
            self._running[node, service.name] = self._started(node, service)

    def await_serving(self, node: str) -> None:
        """Raises Failed if the node's services don't answer in time."""
        address = self.layout.host(node).address
        for service in self.layout.services_on(node):
            asked = (address, service.port, b"GET /health HTTP/1.0\r\n\r\n", b"HTTP/1.")
            if not wait_until(lambda asked=asked: tcp_answers(*asked), _SERVES_S):  # type: ignore[misc]
                raise Failed(f"{service.name} on {node} does not answer after {_SERVES_S:.0f} s")

    def await_online(self) -> None:
        """Raises Failed unless every server is UP in time in the backends that customers reach."""
        if not wait_until(self._is_online, _UP_S):
            raise Failed(f"not every server is online and UP after {_UP_S:.0f} s")

    def _is_online(self) -> bool:
        return all(
            server.is_up
            for host in self.layout.load_balancers
            for server in servers(host.haproxy_socket)
            if server.backend in self.online_backends
        )

    def _started(self, node: str, service: Service) -> subprocess.Popen[bytes]:
        content = self._content(service)
        environment = {
            "PATH": os.environ["PATH"],
            "SERVICE_NAME": service.name,
            "LISTEN": f"{self.layout.host(node).address}:{service.port}",
            "NODE": node,
            "DIGEST_FILE": str(content / ".digest"),
        }
        argv = [program("mono"), str(content / "bin" / "Service.exe")]
        return children.start(argv, self.layout.state / f"{node}-{service.name}.log", env=environment)

    def _content(self, service: Service) -> Path:
        target = self.layout.state / "releases" / service.name
        if not target.exists():
            with tarfile.open(build(Release(service.name, FIRST_VERSION))) as archive:
                # An archive of our own; Debian 12's Python has no extraction filters yet.
                archive.extractall(target)  # noqa: S202
            (target / ".digest").write_text("0" * 64)
        return target

    def end(self) -> None:
        """End every service."""
        for node in self.nodes:
            self.kill(node)


@contextlib.contextmanager
def fleet(net: str) -> Iterator[Fleet]:
    """Load balancers and services, all online; ended and removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="tg-", dir="/tmp") as folder:
        made = Fleet(Layout(net, Path(folder)))
        try:
            for node in made.nodes:
                made.start(node)
            for node in made.nodes:
                made.await_serving(node)
            haproxy.prepare(made.layout)
            with balancers.running(made.layout):
                made.await_online()
                yield made
        finally:
            made.end()
            shutil.rmtree(made.layout.runtime, ignore_errors=True)


@contextlib.contextmanager
def restarting(made: Fleet) -> Iterator[str]:
    """A URL whose path `/<node>` restarts that node, for plays; it answers when the node serves again.

    Services that it started end with it.
    """

    class Restart(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            node = self.path.strip("/")
            try:
                made.restart(node)
            except (Failed, KeyError) as problem:
                self.send_error(500, str(problem))
                return
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_args: Any) -> None:  # noqa: ANN401
            """Say nothing."""

    # One at a time: a node is killed and started once for each request.
    with HTTPServer((made.layout.testbox.address, _CONTROL_PORT), Restart) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{server.server_address[0]!s}:{_CONTROL_PORT}"
        finally:
            server.shutdown()
            thread.join()
