"""Puppet in the lab: a real server, real agents, and the service that they install."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import build
from lab.agents import AgentRun, clear_node_data, pin, run_agent, set_node_data, unpin
from lab.layout import MARKER_VARIABLE, Layout
from lab.processes import of_lab
from tests.integration.lab.service_process import Customer
from tests.waiting import PATIENCE_S, until

pytestmark = [pytest.mark.lab, pytest.mark.slow]

UNCHANGED, CHANGED, FAILED, CHANGED_AND_FAILED = 0, 2, 4, 6
NODE = "n5"
OTHER = "n4"
NEW = "1.3.0"


def health(layout: Layout, node: str = NODE) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://{layout.host(node).address}:8080/health", timeout=PATIENCE_S) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def await_served(layout: Layout, version: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def served() -> bool:
        found.clear()
        with contextlib.suppress(OSError):
            found.update(health(layout))
        return found.get("version") == version

    until(served, lambda: f"{NODE} serves {version}, not {found.get('version')}", every=0.1)
    return found


def pin_to(layout: Layout, version: str = NEW, digest: str = "") -> None:
    digest = digest or build.digest(layout, "tradeapi", version)
    pin(layout, NODE, {"tradeapi::version": version, "tradeapi::digest": digest})


def on_disk(layout: Layout) -> str:
    """The version that the node's `current` link names."""
    return (layout.host(NODE).releases / "tradeapi" / "current").readlink().name


def report_status(run: AgentRun) -> str:
    lines = run.report.read_text().splitlines()
    return next(line for line in lines if line.startswith("status: "))


def settle(layout: Layout, node: str) -> None:
    """Apply what the checkout's Puppet code has changed since the lab was started: no part of what is tested."""
    assert run_agent(layout, node).exit_code in (UNCHANGED, CHANGED)


@pytest.fixture
def node(lab: Layout) -> Iterator[Layout]:
    """The lab with one node that a test may change; it is brought back to what all nodes run."""
    common = health(lab, OTHER)["version"]
    await_served(lab, common)
    yield lab
    clear_node_data(lab, NODE)
    unpin(lab, NODE)
    settle(lab, NODE)
    await_served(lab, common)


def test_a_pinned_node_alone_moves_and_a_second_run_changes_nothing(node: Layout) -> None:
    settle(node, OTHER)
    common = health(node, OTHER)
    pin_to(node)
    run = run_agent(node, NODE)
    assert (run.exit_code, report_status(run)) == (CHANGED, "status: changed"), run.output
    served = await_served(node, NEW)
    assert served["digest"] == build.digest(node, "tradeapi", NEW)
    other = run_agent(node, OTHER)
    assert other.exit_code == UNCHANGED, other.output
    assert health(node, OTHER)["pid"] == common["pid"]
    again = run_agent(node, NODE)
    assert (again.exit_code, report_status(again)) == (UNCHANGED, "status: unchanged"), again.output
    assert health(node)["pid"] == served["pid"]


def test_a_released_common_value_is_below_the_pin(node: Layout) -> None:
    settle(node, NODE)
    before = health(node)["version"]
    path = node.rollout_dir / "common.yaml"
    old = path.read_text() if path.exists() else None
    pin_to(node, before)
    try:
        path.write_text('{"tradeapi::version": "0.0.1", "tradeapi::digest": "' + "0" * 64 + '"}')
        assert run_agent(node, NODE).exit_code == UNCHANGED
    finally:
        path.unlink()
        if old is not None:
            path.write_text(old)


def test_success_without_a_restart_leaves_the_old_version_serving(node: Layout) -> None:
    before = health(node)
    set_node_data(node, NODE, {"tradeapi::restart": False})
    pin_to(node)
    run = run_agent(node, NODE)
    assert (run.exit_code, report_status(run)) == (CHANGED, "status: changed"), run.output
    assert on_disk(node) == NEW
    after = health(node)
    assert (after["version"], after["pid"]) == (before["version"], before["pid"])
    assert run_agent(node, NODE).exit_code == UNCHANGED
    # What the test leaves: the process must be restarted, for Puppet sees nothing to do.
    set_node_data(node, NODE, {})
    pin_to(node, before["version"])
    assert run_agent(node, NODE).exit_code == CHANGED


def test_a_broken_node_fails_and_keeps_the_old_version(node: Layout) -> None:
    before = health(node)
    archive = node.host(NODE).releases / "tradeapi" / ".archives" / f"tradeapi-{NEW}.tar.gz"
    archive.unlink(missing_ok=True)
    set_node_data(node, NODE, {"tradeapi::break": True})
    pin_to(node)
    first = run_agent(node, NODE)
    assert (first.exit_code, report_status(first)) == (CHANGED_AND_FAILED, "status: failed"), first.output
    assert f"tradeapi::break is set in the data of {NODE}" in first.output
    second = run_agent(node, NODE)
    assert (second.exit_code, report_status(second)) == (FAILED, "status: failed"), second.output
    assert on_disk(node) == before["version"]
    assert health(node)["pid"] == before["pid"]


def test_an_artifact_with_another_digest_is_refused(node: Layout) -> None:
    before = health(node)
    archive = node.host(NODE).releases / "tradeapi" / ".archives" / f"tradeapi-{NEW}.tar.gz"
    archive.unlink(missing_ok=True)
    pin_to(node, digest="0" * 64)
    run = run_agent(node, NODE)
    assert run.exit_code in (FAILED, CHANGED_AND_FAILED), run.output
    assert on_disk(node) == before["version"]
    assert health(node)["pid"] == before["pid"]


def test_a_version_that_is_nowhere_fails_and_keeps_the_old_one(node: Layout) -> None:
    before = health(node)
    pin_to(node, "9.9.9", digest="0" * 64)
    run = run_agent(node, NODE)
    assert run.exit_code in (FAILED, CHANGED_AND_FAILED), run.output
    assert "tradeapi-9.9.9.tar.gz" in run.output
    assert health(node)["pid"] == before["pid"]


def test_a_catalog_that_does_not_compile_is_exit_1_and_not_a_cached_success(node: Layout) -> None:
    set_node_data(node, NODE, {"tradeapi::port": "no number"})
    run = run_agent(node, NODE)
    assert run.exit_code == 1, run.output
    assert "Could not retrieve catalog from remote server" in run.output


def test_requests_in_flight_survive_puppets_restart(node: Layout) -> None:
    old = health(node)["version"]
    customers = [Customer(node.host(NODE).address, "GET", "/report?ms=700") for _ in range(6)]
    for customer in customers:
        customer.start()
    pin_to(node)
    run = run_agent(node, NODE)
    assert run.exit_code == CHANGED, run.output
    for customer in customers:
        customer.join(PATIENCE_S)
    assert [customer.lost for customer in customers] == [[]] * 6
    assert all(customer.closed and customer.answers for customer in customers)
    assert old != await_served(node, NEW)["version"]


def test_services_that_puppet_started_belong_to_the_lab(lab: Layout) -> None:
    marker = f"{MARKER_VARIABLE}={lab.id}".encode()
    for host in lab.nodes:
        for service in lab.services_on(host.name):
            executable = str(host.releases / service.name / "current" / "bin" / "Service.exe")
            owned = [process for process in of_lab(lab) if executable in process.argv]
            assert len(owned) == 1, (host.name, service.name)
            assert marker in Path(f"/proc/{owned[0].pid}/environ").read_bytes().split(b"\0")
