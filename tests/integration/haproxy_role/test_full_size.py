"""What the role writes for 80 services on 12 nodes each, on a real HAProxy: started, reloaded, and looked at."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.files import Configuration, Files
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.model import Model, model
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from tests.integration.haproxy.haproxy_site import Backend, get
from tests.integration.haproxy_role.written_site import NET, SHARED, Balancer
from tests.unit.plugins.module_utils.written_haproxy import addresses_of, eighty_services, rendered

NODES_NET = f"{NET}.8"
SERVERS = 80 * 12 * 2


@pytest.fixture
def balancer() -> Iterator[Balancer]:
    """A load balancer that is not started yet; every service's nth node is the same machine."""
    machines = [Backend(f"machine{number}", f"{NODES_NET}.{number}") for number in range(1, 13)]
    with tempfile.TemporaryDirectory(prefix="tg") as folder:
        made = Balancer("lb1", f"{NET}.0.8", Path(folder))
        made.prepare()
        made.state_dir.mkdir()
        try:
            for machine in machines:
                machine.start()
            yield made
        finally:
            made.kill()
            for machine in machines:
                machine.stop()


def worked_out(balancer: Balancer, **changed: dict[str, Any]) -> Model:
    everything = eighty_services(**changed)
    addresses = {**addresses_of(everything, NODES_NET), "lb1": balancer.address}
    return model(everything, "lb1", addresses.__getitem__, [f"{balancer.address}:{SHARED}"])


def put(balancer: Balancer, what: Model) -> str:
    """As the role does it, without Ansible."""
    variables = balancer.variables()
    # A check each two seconds of 960 servers is more than the test's own machines could answer.
    variables["haproxy_defaults"] = ["timeout connect 5s", "timeout client 10s", "timeout server 10s"]
    variables["haproxy_defaults"] += ["default-server inter 120s"]
    files = Files(
        folder=variables["haproxy_folder"],
        base=tuple(variables["haproxy_base"]),
        program="haproxy",
        reload=tuple(variables["haproxy_reload"]),
        timeout=variables["haproxy_timeout"],
    )
    configured = Configuration(PosixNode(balancer.name, LocalShell()), balancer.access, files)
    text = rendered(what, **variables)
    configured.check(text)
    return configured.put(text, what.servers)


def met(balancer: Balancer, service: str) -> set[str]:
    """Who answers customers."""
    answers = [get(balancer.address, SHARED, Host=f"{service}.test") for _ in range(24)]
    assert {status for status, _body, _headers in answers} == {200}
    return {body for _status, body, _headers in answers}


def test_a_reload_of_everything_keeps_every_server_and_a_left_one_out(balancer: Balancer) -> None:
    assert put(balancer, worked_out(balancer)).startswith("put in place; HAProxy is not running")
    balancer.start()
    before = balancer.read()
    assert len(before.servers) == SERVERS
    assert len(met(balancer, "s07")) == 12
    # By hand, so that no state file has it yet: the role saves all 160 before it reloads.
    balancer.say("set server s07_online/s07-n03 state maint", "set server s07_maintenance/s07-n03 state ready")

    assert put(balancer, worked_out(balancer, s40={"server_port": 8081})) == "put in place and loaded"
    after = balancer.read()
    assert (after.pid != before.pid, after.failed_reloads) == (True, 0)
    assert after.servers.keys() == before.servers.keys()
    out = {key for key, row in after.servers.items() if row.admin.effective}
    maintenance = {key for key in after.servers if key[0].endswith("_maintenance")}
    assert out == maintenance - {("s07_maintenance", "s07-n03")} | {("s07_online", "s07-n03")}
    assert met(balancer, "s07") == {f"machine{number}" for number in range(1, 13)} - {"machine4"}
    moved = {row.backend for row in after.servers.values() if row.address.endswith(":8081")}
    assert moved == {"s40_online", "s40_maintenance"}
