"""Killed with -9 at any step, before, inside and after it: customers notice nothing, and the same command completes."""

from __future__ import annotations

import json
from itertools import product

import pytest

from lab.layout import PRICEFEED, PROJECT, TRADEAPI, Layout
from tests.chaos.flow_steps import steps_of_flow
from tests.chaos.kills import By, Flavour, Place, every, everyday
from tests.chaos.siege import Siege, lay
from tests.integration.flow.lab_site import Site

pytestmark = pytest.mark.lab
STEPS = steps_of_flow()
SERVICES = (TRADEAPI.name, PRICEFEED.name)
FOLDER = PROJECT / "build" / "chaos"
SHARES = {"everyday": everyday, "every": every}


@pytest.fixture(scope="module", params=["everyday", pytest.param("every", marks=pytest.mark.slow)])
def siege(lab: Layout, request: pytest.FixtureRequest) -> Siege:
    """A share of the kills, made on a site that is in order."""
    Site(lab, PROJECT / "services").reset()
    return lay(lab, SHARES[request.param](STEPS, SERVICES), FOLDER / request.param)


@pytest.mark.slow
def test_a_node_that_is_rebooted_is_left_to_the_same_command_after_each_kill(lab: Layout) -> None:
    """The part of the whole share in which nodes ask for a reboot."""
    Site(lab, PROJECT / "services").reset()
    reboots = {step.id for step in STEPS if step.reboots}
    kills = [kill for kill in every(STEPS, SERVICES) if kill.step in reboots]
    laid = lay(lab, kills, FOLDER / "reboots")
    problems = [f"{each.kill}: {problem}" for each in laid.fell for problem in each.problems]
    assert not problems, "\n".join(problems)
    assert {each.kill.step for each in laid.fell if each.what} == reboots
    assert {(each.kill.service, each.kill.place) for each in laid.fell} == set(product(SERVICES, Place))
    assert (laid.load.requests_failed, laid.log.failed, laid.log.retried, laid.log.redispatched) == (0, 0, 0, 0)
    assert laid.seen.both_pools == 0


def test_after_each_kill_the_invariants_hold_and_the_same_command_completes(siege: Siege) -> None:
    problems = [f"{each.kill}: {problem}" for each in siege.fell for problem in each.problems]
    assert not problems, "\n".join(problems)
    assert len(siege.fell) >= 20


def test_every_step_of_the_flow_was_killed(siege: Siege, request: pytest.FixtureRequest) -> None:
    everyday_share = "everyday" in request.node.name
    wanted = {step.id for step in STEPS if not (everyday_share and step.reboots)}
    assert {each.kill.step for each in siege.fell if each.what} == wanted
    assert {each.kill.place for each in siege.fell} == set(Place)
    assert {(each.kill.by, each.kill.flavour) for each in siege.fell} == set(product(By, Flavour))


def test_no_step_ran_that_was_not_found_in_the_playbook(siege: Siege) -> None:
    logs = FOLDER.glob("*/*/*-touches.jsonl")
    ran = {json.loads(line)["step"] for log in logs for line in log.read_text().splitlines()}
    assert ran | {step.id for step in STEPS if step.reboots} == {step.id for step in STEPS}


def test_a_puppet_run_that_went_on_at_a_kill_was_adopted(siege: Siege) -> None:
    assert [each for each in siege.fell if each.adopted]


def test_customers_noticed_nothing(siege: Siege) -> None:
    load, log = siege.load, siege.log
    assert (load.requests_failed, load.first_errors) == (0, [])
    assert (log.failed, log.retried, log.redispatched, log.repeated, log.unreadable) == (0, 0, 0, 0, 0)
    assert load.requests_written == log.total > 1000
    assert "1.2.0" not in load.versions


def test_at_every_moment_a_node_was_in_one_pool_at_most_and_enough_were_online(siege: Siege) -> None:
    assert siege.seen.both_pools == 0
    assert (siege.seen.min_online(TRADEAPI.name), siege.seen.min_online(PRICEFEED.name)) == (5, 1)
