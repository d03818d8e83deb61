"""What playbooks answer to programs: the plan and its confirmation, what goes on, what was, where everything is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import State
from tests.integration.flow.lab_site import ENVIRONMENT, NODES, Played, Site, kill, others

pytestmark = pytest.mark.lab


def result(played: Played, marker: str) -> dict[str, Any]:
    """The result of localhost's first task that has this key, as `-v` prints it."""
    for line in played.output.splitlines():
        _status, arrow, text = line.partition(": [localhost] => ")
        told = json.JSONDecoder().raw_decode(text)[0] if arrow and text.startswith("{") else {}
        if marker in told:
            return dict(told)
    raise AssertionError(f"no task returned {marker}:\n{played.output}")


@contextmanager
def changed_plan(site: Site, deployment: str) -> Iterator[None]:
    """The deployment's plan as somebody with the ledger's file could change it."""
    with closing(sqlite3.connect(site.layout.ledger)) as ledger:
        [(kept,)] = ledger.execute("SELECT plan FROM deployments WHERE id = ?", (deployment,))
        _set_plan(ledger, deployment, '{"excluded": []}')
        try:
            yield
        finally:
            _set_plan(ledger, deployment, kept)


def _set_plan(ledger: sqlite3.Connection, deployment: str, plan: str) -> None:
    with ledger:
        ledger.execute("UPDATE deployments SET plan = ? WHERE id = ?", (plan, deployment))


def planned(site: Site, version: str, nodes: list[str]) -> dict[str, Any]:
    return dict(result(site.deploy(version, "--check", "-v", nodes=nodes), "plan")["plan"])


def test_a_dry_run_tells_the_plan_and_touches_nothing_and_another_than_the_confirmed_one_is_refused(
    site: Site,
) -> None:
    version = site.other_version("n1", "n2")
    before, entries = site.snapshot(), site.ledger.head(ENVIRONMENT)
    plan = planned(site, version, ["n1"])
    assert [(node["name"], node["fate"]) for node in plan["nodes"]] == [
        (name, "move" if name == "n1" else "skip") for name in NODES
    ]
    assert [wave["nodes"] for wave in plan["waves"]] == [["n1"]]
    assert plan["co_hosted"] == {"pricefeed": ["n6"]}
    assert {(pool["load_balancer"], pool["service"], pool["floor"]) for pool in plan["capacity"]} == {
        (host, service, floor) for host in ("lb1", "lb2") for service, floor in (("tradeapi", 4), ("pricefeed", 1))
    }

    assert (site.snapshot(), site.ledger.head(ENVIRONMENT)) == (before, entries)
    refused = site.deploy(version, nodes=["n2"], confirmed=plan["decisions_sha256"])
    assert refused.rc != 0
    assert "the plan changed since it was confirmed" in refused.output
    assert site.snapshot() == before


@pytest.mark.slow
def test_a_confirmed_deployment_that_was_killed_is_resumed_as_it_was(site: Site) -> None:
    version = site.other_version("n1")
    confirmed = planned(site, version, ["n1"])["decisions_sha256"]
    process = site.start("deploy", service="tradeapi", version=version, exclude=others(["n1"]), confirmed=confirmed)
    site.await_event(lambda event: event.step is Step.LEAVE and event.outcome is Outcome.CHANGED, process)
    kill(process)
    killed = site.deployment()
    assert killed.state is State.OPEN

    with changed_plan(site, killed.id):
        refused = site.play("resume", service="tradeapi")
        assert refused.rc != 0
        assert f"the plan of deployment {killed.id} is not the one that was recorded" in refused.output
        assert f"playbooks/deploy.yml -e service=tradeapi -e version={version}" in refused.output

    resumed = site.play("resume", service="tradeapi")
    assert resumed.rc == 0, resumed.output
    ended = site.deployment()
    assert (ended.id, ended.state, ended.attempt, ended.version) == (killed.id, State.DONE, 2, version)
    moved = {node for event in site.events(ended.id) if event.step is Step.LEAVE for node in event.nodes}
    assert moved == {"n1"}

    again = site.play("resume", service="tradeapi")
    assert again.rc != 0
    assert f"no deployment of tradeapi is open; the last one, deploy to {version} ({ended.id})" in again.output

    past = result(site.play("history", "-v", service="tradeapi", limit=1), "deployments")["deployments"]
    assert [(each["id"], each["state"], each["attempt"], each["kind"]) for each in past] == [
        (ended.id, "done", 2, "deploy")
    ]
    assert past[0]["took_s"] > 0
    told = result(site.play("history", "-v", deployment=ended.id), "events")
    assert [event["id"] for event in told["events"]] == [event.id for event in site.events(ended.id)]
    assert len(told["table"]) > len(told["events"])


def test_history_of_what_never_was_is_refused(site: Site) -> None:
    played = site.play("history", deployment="tradeapi-made-up")
    assert played.rc != 0
    assert f"there is no deployment 'tradeapi-made-up' in environment {ENVIRONMENT}" in played.output


def test_pools_are_told_for_each_load_balancer(site: Site) -> None:
    site.set_server("lb2", "tradeapi_online/n3", "maint")
    told = result(site.play("pools", "-v", service="tradeapi"), "pools")
    site.set_server("lb2", "tradeapi_online/n3", "ready")
    pools = {pool["load_balancer"]: pool for pool in told["pools"]}
    assert {host: (pool["usable"], pool["configured"], pool["floor"]) for host, pool in pools.items()} == {
        "lb1": (6, 6, 4),
        "lb2": (5, 6, 4),
    }
    places = {host: {node["name"]: node["place"] for node in pool["nodes"]} for host, pool in pools.items()}
    assert places["lb1"] == dict.fromkeys(NODES, "online")
    assert places["lb2"]["n3"] == "out (MAINT)"
    assert all(node["online"]["sessions"] >= 0 for node in pools["lb1"]["nodes"])
