"""A whole deployment while a load balancer is down, on the operator's word."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step
from lab import control
from lab.layout import TRADEAPI
from tests.integration.flow.lab_site import NODES, Site

pytestmark = pytest.mark.lab


@pytest.fixture
def without_lb1(site: Site) -> Iterator[Site]:
    """The first load balancer's HAProxy is killed: the one through which tests would go."""
    control.dump_state(site.layout, "lb1")
    control.kill_haproxy(site.layout, "lb1")
    yield site
    control.start_haproxy(site.layout, "lb1")


@pytest.mark.slow
def test_a_deployment_goes_on_without_a_load_balancer_that_is_down(without_lb1: Site) -> None:
    site = without_lb1
    version = site.other_version("n1")
    refused = site.deploy(version, nodes=["n1"])
    assert refused.rc != 0
    assert """go on without it: -e '{"without": ["lb1"]}'""" in refused.output
    for named, why in (
        ("lb2", "lb1"),
        (["lb1", "lb2"], "no load balancer of site"),
        ("n1", "n1 is no load balancer of"),
    ):
        refused = site.deploy(version, nodes=["n1"], without=named)
        assert refused.rc != 0
        assert why in refused.output
    assert not site.locks.held()

    played = site.deploy(version, nodes=["n1"], without="lb1")
    assert played.rc == 0, played.output
    assert "lb1 is left out: no HAProxy process with" in played.output
    assert "lb1 was left out and is not confirmed: when it is back, look at it with ansible-playbook" in played.output
    events = site.events(site.deployment().id)
    moves = [each for each in events if each.step in (Step.LEAVE, Step.JOIN) and each.outcome is Outcome.CHANGED]
    assert [each.step for each in moves] == [Step.LEAVE, Step.JOIN]
    for each in (next(each for each in events if each.step is Step.PLAN), *moves):
        told = each.details["left_out"]
        assert isinstance(told, list) and told[0].startswith("lb1: no HAProxy process") and each.by

    pools = site.play("pools", service="tradeapi")
    assert pools.rc == 0, pools.output
    assert "lb1: no answer" in pools.output and "lb1 did not answer" in pools.output

    out = site.play("pool", service="tradeapi", node="n1", state="maintenance", without="lb1")
    assert out.rc == 0, out.output
    control.start_haproxy(site.layout, "lb1")
    servers = site.servers()
    assert servers[f"lb1 {TRADEAPI.online}/n1"] == servers[f"lb2 {TRADEAPI.online}/n1"] == "admin 1"
    answers = site.deploy(version, nodes=["n2"], without="lb1")
    assert answers.rc != 0 and "lb1 answers: it can't be left out" in answers.output
    back = site.play("pool", service="tradeapi", node="n1", state="online")
    assert back.rc == 0, back.output
    assert all(set(online) == set(NODES) for online in site.facts().online.values())
