"""The main job: a deployment wave by wave, under customers' load, by the playbooks that people run."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import State
from lab import agents, build
from lab.accesslog import AccessLog
from lab.facts import newest_deployment, read_facts
from lab.layout import PRICEFEED, SERVICES, TRADEAPI, Service
from lab.load import Load
from lab.sampler import Sampler
from tests.integration.flow.lab_site import ENVIRONMENT, Site
from tests.integration.flow.unnoticed import unnoticed

pytestmark = pytest.mark.lab
# Puppet's exit codes: a run that changed nothing, and none, since the agent is disabled.
UNCHANGED, SKIPPED = 0, 1


def test_two_deployments_at_once_on_a_node_that_they_share_and_customers_notice_neither(even_site: Site) -> None:
    """The services share n6, whose own timer runs Puppet meanwhile: they take turns, and each deploys itself alone."""
    site = even_site
    before, after = site.facts().serving["n1"], site.other_version()
    feed_after = other_feed(site)
    with (
        ThreadPoolExecutor(3) as pool,
        unnoticed(site, "deployment", 300, at_least=3_000) as load,
        Sampler(site.layout) as sampler,
    ):
        first = pool.submit(site.deploy, after)
        site.await_lock("service:lab/pricefeed")
        second = pool.submit(site.play, "deploy", service="pricefeed", version=feed_after)
        site.await_wave(TRADEAPI, 3)
        periodic = pool.submit(agents.run_agent, site.layout, "n6")
        played, feed_played = first.result(), second.result()
    customers, seen = load.result, sampler.result
    assert customers is not None
    assert seen is not None
    assert played.rc == 0, played.output
    assert "6 nodes in 4 waves (1, 1, 2, 2)" in played.output
    assert feed_played.rc == 0, feed_played.output
    assert "waiting for its turn, since they share nodes: service:lab/pricefeed is locked by" in feed_played.output
    # Held off by the freeze, or waited for.
    assert periodic.result().exit_code in (UNCHANGED, SKIPPED), periodic.result().output
    assert set(customers.versions) == {before, after}
    for service, floor in ((TRADEAPI, 4), (PRICEFEED, 1)):
        assert (seen.min_online(service.name) or 0) >= floor
    assert seen.both_pools == 0

    for service, version in ((TRADEAPI, after), (PRICEFEED, feed_after)):
        facts = read_facts(site.layout, service)
        assert facts.outcome == "done"
        assert set(facts.serving.values()) == {version}
        assert all(set(nodes) == set(service.nodes) for nodes in facts.online.values())
        assert not any(facts.maintenance.values())
        assert changed_by_puppet(site, service, "n6") == {service.name}
    assert not site.frozen()
    assert not site.locks.held()
    assert site.ledger.verify(ENVIRONMENT).intact
    assert list(site.pins()) == ["common.yaml"]
    common = yaml.safe_load(site.pins()["common.yaml"])
    assert (common["tradeapi::version"], common["pricefeed::version"]) == (after, feed_after)

    waves = [event.nodes for event in site.events(site.deployment().id) if event.details.get("outcome") == "joined"]
    assert [len(wave) for wave in waves] == [1, 1, 2, 2]

    # HAProxy's own account of each node's tests, although all of the lab asks from one address.
    good = [event for event in site.events(site.deployment().id) if event.step is Step.NUNIT and event.outcome.good]
    told = {(event.service, *event.nodes): str(event.details["log"]) for event in good}
    assert set(told) == {*((TRADEAPI.name, node) for node in TRADEAPI.nodes), (PRICEFEED.name, "n6")}
    for (_, node), said in told.items():
        assert re.fullmatch(rf"\d+ requests of the tests, served by {node}, in the log of lb1", said), said

    again = site.deploy(after)
    assert again.rc == 0
    assert not again.changed()
    assert "nothing to do, 6 done already" in again.output


@pytest.mark.slow
def test_who_waited_for_a_deployment_that_is_held_plans_around_what_that_left_out(site: Site) -> None:
    before = read_facts(site.layout, PRICEFEED)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(site.deploy, "1.2.0", nodes=["n6"])
        site.await_lock("service:lab/pricefeed")
        second = pool.submit(site.play, "deploy", service="pricefeed", version=other_feed(site))
        held, refused = first.result(), second.result()
    assert held.rc != 0 and "TheSpreadIsPositive" in held.output
    assert refused.rc != 0 and "waiting for its turn" in refused.output
    assert "pricefeed_online on lb1 keeps 0 of 2 usable servers without p1" in refused.output
    assert site.facts().outcome == "held"
    after = read_facts(site.layout, PRICEFEED)
    assert (after.serving, after.outcome) == (before.serving, before.outcome)
    assert all(nodes == ("p1",) for nodes in after.online.values())
    assert not site.locks.held()


def other_feed(site: Site) -> str:
    """A release of pricefeed that n6 does not serve."""
    serving = read_facts(site.layout, PRICEFEED).serving["n6"]
    return next(each.version for each in build.RELEASES if each.service == PRICEFEED.name and each.version != serving)


def changed_by_puppet(site: Site, service: Service, node: str) -> set[str]:
    """The services whose resources the run of this service's newest deployment changed, by its report."""
    deployment = newest_deployment(site.layout, service)
    assert deployment is not None
    report = json.loads((Path(json.loads(deployment.plan)["folder"]) / "puppet" / f"{node}.1.json").read_text())
    changed = " ".join(report["report"]["changed"])
    return {each.name for each in SERVICES if each.name in changed}


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


def stray(site: Site, described: dict[str, Any]) -> None:
    """All tests pass, and one request of theirs goes to customers' nodes, by the other load balancer."""
    customers = f"http://{site.layout.host('lb2').address}:{TRADEAPI.online_port}/quotes"
    ask = f'curl -fsS -o answer -H "$TIDEGATE_RUN_HEADER: $TIDEGATE_RUN" {customers}'
    described["verify"]["nunit"]["program"] = ["sh", "-c", f'{ask} && exec nunit-console "$@"', "sh"]


def test_a_node_moves_by_hand_and_back_through_all_checks(site: Site, tmp_path: Path) -> None:
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

    with site.with_services(tmp_path, lambda described: stray(site, described)):
        strayed = site.play("pool", service="tradeapi", node="n3", state="online")
    assert strayed.rc != 0
    assert re.search(r"of \d+ requests of the tests 1 by tradeapi_online/n\d, not by n3", strayed.output), (
        strayed.output
    )
    assert all("n3" not in nodes for nodes in site.facts().online.values())

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
