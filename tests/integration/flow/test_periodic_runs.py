"""Puppet's periodic runs in the middle of a rollout, and at the boot of a node that was left out, move nobody early."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import agents, control, supervise
from lab.agents import AgentRun
from lab.layout import TRADEAPI
from tests.integration.flow.lab_site import NODES, Site
from tests.waiting import PATIENCE_S, until

pytestmark = [pytest.mark.lab, pytest.mark.slow]
UNCHANGED = 0
MOVED, BROKEN, LATER, OFF = "n1", "n2", "n3", "n5"


@pytest.fixture
def site_without_one(even_site: Site) -> Iterator[Site]:
    """One node is off: its services and its sshd."""
    switch_off(even_site)
    yield even_site
    switch_on(even_site)


def switch_off(site: Site) -> None:
    control.kill_sshd(site.layout, OFF)
    supervise.stop(site.layout, [f"{OFF}-services"])
    supervise.await_down(site.layout, [f"{OFF}-services"])


def switch_on(site: Site) -> None:
    supervise.start(site.layout, [f"{OFF}-services"])
    control.start_sshd(site.layout, OFF)
    until(lambda: serving(site, OFF)[0], f"{OFF} serves something", every=0.2)


def serving(site: Site, node: str) -> tuple[str, int]:
    """The version and the process that answer there."""
    url = f"http://{site.layout.host(node).address}:{TRADEAPI.port}/health"
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            told = json.load(answer)
    except OSError:
        return "", 0
    return str(told["version"]), int(told["pid"])


def periodic_runs(site: Site, *nodes: str) -> dict[str, AgentRun]:
    """What each node's own timer would start, all at once."""
    with ThreadPoolExecutor(len(nodes)) as pool:
        return dict(zip(nodes, pool.map(lambda node: agents.run_agent(site.layout, node), nodes), strict=True))


def test_periodic_runs_in_a_rollout_move_nobody_early(site_without_one: Site) -> None:
    site = site_without_one
    old, new = site.facts().serving[LATER], site.other_version()
    agents.set_node_data(site.layout, BROKEN, {"tradeapi::break": True})
    held = site.deploy(new, nodes=[MOVED, BROKEN])
    assert held.rc != 0
    assert site.facts().outcome == "held", held.output

    # One node is moved, one is held in the maintenance pool, one isn't in any wave.
    before = {node: serving(site, node) for node in (MOVED, BROKEN, LATER)}
    assert {node: version for node, (version, _pid) in before.items()} == {MOVED: new, BROKEN: old, LATER: old}
    runs = periodic_runs(site, *before)
    assert {node: serving(site, node) for node in before} == before
    assert (runs[MOVED].exit_code, runs[LATER].exit_code) == (UNCHANGED, UNCHANGED), runs
    assert all(BROKEN not in online for online in site.facts().online.values())

    agents.clear_node_data(site.layout, BROKEN)
    resumed = site.play("resume", service="tradeapi")
    assert resumed.rc == 0, resumed.output

    # The common version is raised by now. Who was left out keeps its own, also when it boots only now.
    switch_on(site)
    before = {node: serving(site, node) for node in (MOVED, LATER, OFF)}
    assert {node: version for node, (version, _pid) in before.items()} == {MOVED: new, LATER: old, OFF: old}
    runs = periodic_runs(site, *before)
    assert [run.exit_code for run in runs.values()] == [UNCHANGED] * len(before), runs
    assert {node: serving(site, node) for node in before} == before
    assert set(site.pins()) >= {f"nodes/{site.layout.host(node).certname}.yaml" for node in NODES if node != MOVED} - {
        f"nodes/{site.layout.host(BROKEN).certname}.yaml"
    }
