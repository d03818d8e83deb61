from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lab.haproxy_config import config, log_format
from lab.layout import Layout, Service

LAYOUT = Layout("127.254", Path("/tmp/lab"))
TEXT = config(LAYOUT, LAYOUT.host("lb1"), 1000)


def sections() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for block in re.split(r"\n(?=\w)", TEXT):
        head, *lines = block.splitlines()
        found[head] = [line.strip() for line in lines if line.strip()]
    return found


@pytest.mark.parametrize("service", LAYOUT.services, ids=lambda service: service.name)
def test_both_pools_list_every_node_with_a_check_and_only_maintenance_starts_disabled(service: Service) -> None:
    for backend, options in ((service.online, "check"), (service.maintenance, "check disabled")):
        servers = [line for line in sections()[f"backend {backend}"] if line.startswith("server ")]
        assert servers == [
            f"server {node} {LAYOUT.host(node).address}:{service.port} {options}" for node in service.nodes
        ]
        assert "option httpchk GET /health" in sections()[f"backend {backend}"]
        assert "server-state-file-name use-backend-name" in sections()[f"backend {backend}"]


def test_customers_cannot_aim() -> None:
    for name in ("tradeapi_customers", "shared_customers"):
        assert "http-request del-header X-Tidegate-Node" in sections()[f"frontend {name}"]


def test_no_front_end_of_customers_leads_to_a_maintenance_pool() -> None:
    for head, lines in sections().items():
        if head.endswith("_customers"):
            assert not any("maintenance" in line for line in lines)


def test_production_features_are_on_for_customers_and_off_for_testers() -> None:
    assert {"option redispatch", "retries 3"} <= set(sections()["defaults"])
    for service in LAYOUT.services:
        assert {"no option redispatch", "retries 0"} <= set(sections()[f"backend {service.maintenance}"])


def test_every_node_of_a_maintenance_pool_is_refused_while_it_is_not_up() -> None:
    for service in LAYOUT.services:
        lines = sections()[f"backend {service.maintenance}"]
        for node in service.nodes:
            up = f"srv_is_up({service.maintenance}/{node})"
            assert f"http-request deny deny_status 503 if {{ var(txn.aim) -m str {node} }} !{{ {up} }}" in lines


def test_the_log_line_is_json_once_its_fields_are_filled() -> None:
    filled = re.sub(r"%\[[^]]*\]|%[A-Za-z]+", "1", log_format())
    assert {"time", "server", "status", "termination", "retries", "load", "request_id", "run"} <= set(
        json.loads(filled)
    )


def test_every_front_end_logs_which_test_run_asked() -> None:
    """A request that strays may go to any of them."""
    for head, lines in sections().items():
        if head.startswith("frontend "):
            captures = [line for line in lines if line.startswith("http-request capture ")]
            assert captures[2] == "http-request capture req.hdr(X-Tidegate-Run) len 32", head
    assert '"run":"%[capture.req.hdr(2),json(utf8s)]"' in log_format()


def test_sockets_are_closed_to_others_and_hand_over_listeners() -> None:
    socket = LAYOUT.host("lb1").haproxy_socket
    assert f"stats socket {socket} mode 600 level admin expose-fd listeners" in TEXT
