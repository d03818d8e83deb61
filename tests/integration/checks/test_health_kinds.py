"""Every kind of health check as ansible-playbook runs it: on the node, on the controller, through a real HAProxy."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from tests.integration.checks.plays import Place
from tests.integration.health.listener import free_port, listening
from tests.integration.health.servers import Node, always, respond, serving
from tests.waiting import until

SERVED = {"status": "Degraded", "results": {"db": {"status": "Healthy"}, "mq": {"status": "Degraded"}}, "started": 0}
PLUGINS = "/usr/lib/nagios/plugins"
CANARY = "canary-7be1d0"
# As the lab's and the role's maintenance pool: aimed by a header, and never answered by another node.
HAPROXY = """
global
  stats socket {folder}/haproxy.sock level admin
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  retries 0
listen maintenance
  bind 127.0.0.1:{port}
  http-request set-var(txn.aim) req.hdr(X-Tidegate-Node)
  use-server n1 if {{ var(txn.aim) -m str {first} }}
  use-server n2 if {{ var(txn.aim) -m str n1 n2 }}
  http-response set-header X-Served-By %[srv_name]
  server n1 {n1}
  server n2 {n2}
"""


def port_of(node: Node) -> int:
    return int(node.url.split(":")[2].split("/")[0])


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def front_end(folder: Path, n1: Node, n2: Node, *, astray: bool = False) -> Iterator[int]:
    """A maintenance front end to both; its port. `astray`: it leads to n2, whatever is aimed at."""
    port = free_port()
    config = folder / "haproxy.cfg"
    servers = {"n1": f"127.0.0.1:{port_of(n1)}", "n2": f"127.0.0.1:{port_of(n2)}"}
    config.write_text(HAPROXY.format(folder=folder, port=port, first="nobody" if astray else "n1", **servers))
    with subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", str(config)], stderr=subprocess.DEVNULL) as haproxy:
        try:
            until(lambda: _listens(port), "it listens", of=haproxy)
            yield port
        finally:
            haproxy.terminate()


@pytest.fixture
def node() -> Iterator[Node]:
    with serving(always(respond(SERVED))) as node:
        yield node


@pytest.fixture
def other() -> Iterator[Node]:
    with serving(always(respond(SERVED))) as other:
        yield other


def aimed(port: int, at: str = "n1") -> dict[str, Any]:
    argv = [
        f"{PLUGINS}/check_http",
        "-I",
        "127.0.0.1",
        "-p",
        str(port),
        "-u",
        "/health",
        "-k",
        f"X-Tidegate-Node: {at}",
    ]
    # HAProxy writes its headers' names in small letters, and check_http compares them as they are written.
    return {
        "argv": [*argv, "-d", f"x-served-by: {at}"],
        "run_on": "controller",
        "accept": ["ok"],
        "perfdata": {"time": "~:25"},
        "url": f"http://127.0.0.1:{port}/health",
        "aim": {"header": "X-Tidegate-Node", "served_by": "X-Served-By"},
    }


def every_kind(node: Node, port: int, restarted: int) -> dict[str, Any]:
    """As the plan has them for n1."""
    components = {"path": "$.results", "accept": ["Healthy", "Degraded"], "required": ["db"]}
    aim = {"header": "X-Tidegate-Node", "served_by": "X-Served-By"}
    edge, at = f"http://127.0.0.1:{port}/health", {"address": "127.0.0.1"}
    dummy, worse = [f"{PLUGINS}/check_dummy", "1", "busy"], ["ok", "warning"]
    return {
        "url": node.url,
        "in_a_row": 2,
        "interval": "20ms",
        "timeout": "3m",
        "request_timeout": "90s",
        "components": components,
        "checks": [
            {"name": "edge", "http": {"url": edge, "status": [200], "expect": [], "components": None, "aim": aim}},
            {"name": "port", "tcp": {**at, "port": port_of(node), "send": "GET /\r\n\r\n", "expect": "200 OK"}},
            {"name": "command", "command": {"argv": ["printf", "%s", "a 'b'"], "exit_codes": [0], "output": "^a 'b'$"}},
            {"name": "load", "nagios": {"argv": dummy, "run_on": "node", "accept": worse, "perfdata": {}}},
            {"name": "through", "nagios": aimed(port)},
            {"name": "process", "process": {"port": restarted, **at, "after": "deployment"}},
        ],
    }  # fmt: skip


def puppet_ran(place: Place) -> None:
    place.ledger.append(
        Event(
            service="probe", environment="test", deployment="d1", attempt=1, step=Step.PUPPET, outcome=Outcome.STARTED,
            nodes=("n1",),
        )
    )  # fmt: skip


def test_all_kinds_hold_in_the_same_rounds_and_become_evidence(
    tmp_path: Path, node: Node, other: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    with front_end(tmp_path, node, other) as port:
        restarted = free_port()
        place = Place(tmp_path, {"health": every_kind(node, port, restarted)})
        with monkeypatch.context() as clock:
            clock.setattr("tidegate.ledger._now", lambda: "2026-01-31T12:00:00Z")
            puppet_ran(place)
        with listening(port=restarted):
            done = place.play({"tidegate.delivery.health_check": {"deployment": "d1"}})
    assert done.rc == 0, done.output
    assert (done.result["outcome"], done.result["answers"]) == ("healthy", 2)
    assert done.result["checks"] == ["edge", "port", "command", "load", "through", "process"]
    [event] = place.events(Step.HEALTH)
    assert (event.outcome, event.nodes) == (Outcome.OK, ("n1",))
    assert other.connections == 0


def test_whatever_fails_is_told_by_its_name_and_a_secret_that_it_prints_is_not(
    tmp_path: Path, node: Node, other: Node
) -> None:
    with front_end(tmp_path, node, other) as port:
        # This process listens there: it is older than the deployment.
        planned = every_kind(node, port, port_of(node)) | {"timeout": "6s", "request_timeout": "5s", "in_a_row": 1}
        planned["components"] = {"path": "$.results", "accept": ["Healthy"], "required": ["cache"]}
        planned["checks"][2]["command"]["argv"] = ["sh", "-c", f"echo the password is {CANARY}; exit 4"]
        planned["checks"][3]["nagios"]["argv"][1] = "2"
        place = Place(tmp_path, {"health": planned})
        puppet_ran(place)
        done = place.play({"tidegate.delivery.health_check": {"deployment": "d1"}, "vars": {"own_password": CANARY}})
    assert done.rc != 0
    assert done.result["reason"] == "not_started_since"
    for told in (
        "component cache is missing; component mq is 'Degraded', expected Healthy",
        "command: exit code 4, expected 0, it said 'the password is",
        "load: CRITICAL, expected OK or WARNING, it said 'CRITICAL: busy'",
        "process: process",
        "before the deployment's step, which began",
    ):
        assert told in done.result["msg"]
    assert CANARY not in done.result["msg"]
    assert "edge" not in done.result["msg"]
    [event] = place.events(Step.HEALTH)
    assert (event.outcome, event.details["outcome"]) == (Outcome.FAILED, "not_started_since")
    assert CANARY not in repr(event)


def test_what_another_node_answers_is_no_evidence(tmp_path: Path, node: Node, other: Node) -> None:
    with front_end(tmp_path, node, other, astray=True) as port:
        argv = [f"{PLUGINS}/check_http", "-I", "127.0.0.1", "-p", str(port), "-u", "/health"]
        check = {"name": "through", "nagios": aimed(port) | {"argv": argv}}
        done = Place(tmp_path, {}).play(
            {"tidegate.delivery.health_check": {"checks": [check], "in_a_row": 1, "timeout": "4s"}}, lock=False
        )
    assert done.result["reason"] == "wrong_node"
    assert "through: n2 answered, aimed was at n1" in done.result["msg"]
    assert node.connections == 0
    # The plugin was not even asked: what it says would be about n2.
    assert all(b"tidegate" in request for request in other.requests)
