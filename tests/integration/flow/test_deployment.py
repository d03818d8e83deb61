"""The main job: a deployment wave by wave, under customers' load, by the playbooks that people run."""

from __future__ import annotations

import re

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.events import Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger import State
from lab import agents, build
from lab.accesslog import AccessLog
from lab.load import Load
from lab.sampler import Sampler
from tests.integration.flow.lab_site import ENVIRONMENT, NODES, Site

pytestmark = pytest.mark.lab
FLOOR = 4


def test_a_deployment_that_customers_do_not_notice(even_site: Site) -> None:
    site = even_site
    before, after = site.facts().serving["n1"], site.other_version()
    log = AccessLog(site.layout)
    with Load(site.layout, "deployment", 300) as load, Sampler(site.layout) as sampler:
        played = site.deploy(after)
    customers, seen = load.result, sampler.result
    assert customers is not None
    assert seen is not None
    assert played.rc == 0, played.output
    assert customers.requests_total > 3_000
    assert customers.requests_failed == 0, customers
    logged = log.counts("deployment", customers.requests_written)
    assert (logged.total, logged.failed, logged.retried, logged.redispatched) == (customers.requests_total, 0, 0, 0)
    assert set(customers.versions) == {before, after}
    assert seen.min_online("tradeapi") is not None
    assert (seen.min_online("tradeapi") or 0) >= FLOOR
    assert seen.both_pools == 0

    facts = site.facts()
    assert facts.outcome == "done"
    assert set(facts.serving.values()) == {after}
    assert all(set(nodes) == set(NODES) for nodes in facts.online.values())
    assert not any(facts.maintenance.values())
    assert not site.frozen()
    assert not site.locks.held()
    assert site.ledger.verify(ENVIRONMENT).intact
    assert list(site.pins()) == ["common.yaml"]

    waves = [event.nodes for event in site.events(site.deployment().id) if event.details.get("outcome") == "joined"]
    assert [len(wave) for wave in waves] == [1, 1, 2, 2]

    again = site.deploy(after)
    assert again.rc == 0
    assert not again.changed()
    assert "nothing to do, 6 done already" in again.output


def test_a_dry_run_shows_the_plan_and_touches_nothing(even_site: Site) -> None:
    site = even_site
    before, entries = site.snapshot(), site.ledger.head(ENVIRONMENT)
    played = site.deploy(site.other_version(), "--check")
    assert played.rc == 0
    assert "6 nodes in 4 waves (1, 1, 2, 2)" in played.output
    assert site.snapshot() == before
    assert site.ledger.head(ENVIRONMENT) == entries


def test_what_somebody_else_took_out_or_froze_is_shown_and_skipped(even_site: Site) -> None:
    site = even_site
    old, new = site.facts().serving["n1"], site.other_version()
    for host in ("lb1", "lb2"):
        site.set_server(host, "tradeapi_online/n1", "maint")
    site.freeze_as_somebody_else("n2")
    played = site.deploy(new, nodes=["n1", "n2", "n3"])
    assert played.rc == 0, played.output
    assert "skipped: taken out by somebody else" in played.output
    assert "skipped: Puppet is disabled there by somebody else: patching, ask Ann" in played.output
    facts = site.facts()
    assert (facts.serving["n1"], facts.serving["n2"], facts.serving["n3"]) == (old, old, new)
    assert "n1" not in facts.online["lb1"]
    assert yaml.safe_load(site.pins()["nodes/n1.lab.yaml"])["tradeapi::version"] == old
    # A periodic run of a node that was left out keeps it where it is, although the common version was raised.
    assert agents.run_agent(site.layout, "n1").exit_code == 0
    assert site.facts().serving["n1"] == old

    for host in ("lb1", "lb2"):
        site.set_server(host, "tradeapi_online/n1", "ready")


def test_a_node_moves_by_hand_and_back_through_all_checks(site: Site) -> None:
    out = site.play("pool", service="tradeapi", node="n3", state="maintenance")
    assert out.rc == 0, out.output
    facts = site.facts()
    assert all("n3" not in nodes for nodes in facts.online.values())
    assert all(nodes == ("n3",) for nodes in facts.maintenance.values())
    assert not site.locks.held()
    assert not site.play("pool", service="tradeapi", node="n3", state="maintenance").changed()[1:]

    status = site.play("status", service="tradeapi").output
    assert re.search(r"n3 +maintenance ", status)
    assert "by hand" in status
    assert "skipped: taken out by" in site.deploy(site.other_version(), "--check").output

    back = site.play("pool", service="tradeapi", node="n3", state="online")
    assert back.rc == 0, back.output
    assert all("n3" in nodes for nodes in site.facts().online.values())
    move = site.ledger.deployments("tradeapi", ENVIRONMENT)[0]
    assert move.state is State.DONE
    proved = {event.step for event in site.events(move.id) if event.attempt == move.attempt and event.outcome.good}
    assert {Step.HEALTH, Step.NUNIT, Step.WARMUP, Step.RELEASE} <= proved


@pytest.mark.slow
def test_a_move_by_hand_respects_the_floor(site: Site) -> None:
    for node in ("n1", "n2"):
        assert site.play("pool", service="tradeapi", node=node, state="maintenance").rc == 0
    refused = site.play("pool", service="tradeapi", node="n3", state="maintenance")
    assert refused.rc != 0
    assert "min_online 60% asks for 4" in refused.output
    for node in ("n1", "n2"):
        assert site.play("pool", service="tradeapi", node=node, state="online").rc == 0


@pytest.mark.slow
def test_without_the_drain_step_the_same_load_does_show_failures(even_site: Site) -> None:
    """The negative control: the same pin and the same Puppet run, on a node that customers are using."""
    site = even_site
    version = site.other_version()
    release = {"tradeapi::version": version, "tradeapi::digest": build.digest(site.layout, "tradeapi", version)}
    log = AccessLog(site.layout)
    with Load(site.layout, "undrained", 300) as load:
        agents.pin(site.layout, "n1", release)
        ran = agents.run_agent(site.layout, "n1")
        agents.unpin(site.layout, "n1")
    assert ran.exit_code == 2, ran.output
    customers = load.result
    assert customers is not None
    logged = log.counts("undrained", customers.requests_written)
    noticed = customers.requests_failed + logged.failed + logged.retried + logged.redispatched
    assert noticed > 0, "the measurement can't see a restart under load: then its zeros prove nothing"
