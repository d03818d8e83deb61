"""A real HAProxy, configured by the role's own template, with two nodes behind its maintenance front end."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.model import (
    NOWHERE,
    Backends,
    Model,
    NodeHost,
    NodePort,
    Server,
    Testers,
)
from tests.integration.haproxy.haproxy_site import get
from tests.waiting import until

# No other test has this prefix.
ADDRESS = "127.66.0.1"
HEADER_PORT, NODE_PORTS = 8090, 9100
NODES = {"n1": "127.66.1.1", "n2": "127.66.1.2"}
HOSTS = {"n1": "n1.trade.test", "n2": "n2.trade.test"}
AIM, SERVED_BY = "X-Tidegate-Node", "X-Served-By"
BACKENDS = ("trade_online", "trade_maintenance")
TEMPLATES = Path(__file__).parents[3] / "roles" / "haproxy" / "templates"


@dataclass(frozen=True, slots=True)
class Balancer:
    """Where it listens for testers, and its log."""

    url: str
    log: Path

    def port_of(self, node: str) -> str:
        return f"http://{ADDRESS}:{NODE_PORTS + list(NODES).index(node)}"


@contextmanager
def balancing(home: Path) -> Iterator[Balancer]:
    """Both nodes are up in the maintenance pool; nothing else is known of them."""
    with ExitStack() as ending:
        for node, address in NODES.items():
            ending.enter_context(_node(node, address))
        (home / "state").mkdir()
        configuration, log = home / "haproxy.cfg", home / "haproxy.log"
        configuration.write_text(_written(home))
        process = ending.enter_context(
            subprocess.Popen(
                ["haproxy", "-db", "-f", str(configuration)], stdout=log.open("ab"), stderr=subprocess.STDOUT
            )
        )
        ending.callback(process.kill)
        until((home / "a.sock").exists, "HAProxy listens")
        for node in NODES:
            _say(home, f"set server trade_maintenance/{node} state ready")
        for node in NODES:
            until(lambda node=node: _aimed(node) == 200, f"{node} is up")  # type: ignore[misc]
        yield Balancer(f"http://{ADDRESS}:{HEADER_PORT}", log)


def _aimed(node: str) -> int:
    return get(ADDRESS, HEADER_PORT, "/health", **{AIM: node})[0]


def _written(home: Path) -> str:
    servers = tuple(Server(node, address, 8080) for node, address in NODES.items())
    model = Model(
        aims=(AIM,),
        customers=(),
        testers=(
            Testers(
                "trade_testers",
                "trade_maintenance",
                ADDRESS,
                AIM,
                HEADER_PORT,
                tuple(NodePort(NODE_PORTS + number, node) for number, node in enumerate(NODES)),
                tuple(NodeHost(host, node) for node, host in HOSTS.items()),
            ),
        ),
        pools=(Backends("trade", *BACKENDS, "/health", AIM, SERVED_BY, servers),),
        by_hand=(),
    )
    variables: dict[str, Any] = {
        "haproxy_model": {**asdict(model), "nowhere": NOWHERE},
        "haproxy_defaults": [
            # The role's default has `log global`, which is syslog's; the format is the same.
            *("log stdout format raw local0", "option httplog", "timeout connect 5s", "timeout client 30s"),
            *("timeout server 30s", "timeout check 5s", "default-server inter 100 rise 1 fall 2"),
        ],
        "haproxy_server_options": "",
        "tidegate_haproxy_socket": str(home / "a.sock"),
        "tidegate_haproxy_state_dir": str(home / "state"),
    }
    # As Ansible's module `template` sets it up.
    jinja = Environment(loader=FileSystemLoader(TEMPLATES), trim_blocks=True, keep_trailing_newline=True)
    return jinja.get_template("tidegate.cfg.j2").render(variables)


def _say(home: Path, command: str) -> None:
    argv = ["socat", "-t", "5", "-", f"UNIX-CONNECT:{home}/a.sock"]
    subprocess.run(argv, input=command + "\n", text=True, timeout=30, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def _node(name: str, address: str) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"service": name, "version": "1.1.0"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """HAProxy closes its health checks' connections before the body has come."""

    server = Quiet((address, 8080), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
