"""A deployment whose events are shipped: an outage, a kill in the middle, and then everything is there."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Step
from lab.splunk.faults import Faults
from tests.integration.command.commanded import Commands, only
from tests.integration.flow.lab_site import Site
from tests.integration.splunk.collecting import Collecting
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@pytest.fixture
def commands(site: Site) -> Commands:
    return Commands(site.layout, site.services)


def ids(site: Site) -> set[str]:
    return {event.id for event in site.events()}


def test_an_outage_and_a_kill_in_the_middle_lose_no_event(site: Site, shipped: Collecting) -> None:
    version = site.other_version("n1")
    before = len(site.events())
    shipped.receiver.set_faults(Faults(refused=True))
    killed = site.start_deploy(version, ["n1"])
    until(lambda: any(event.step is Step.FREEZE for event in site.events()[before:]), "it is under way", of=killed)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert shipped.acknowledged() == set()
    shipped.receiver.set_faults(Faults(latency_s=0.2))
    played = site.deploy(version, nodes=["n1"])
    assert played.rc == 0, played.output
    until(lambda: ids(site) <= shipped.acknowledged(), "every event of the ledger has arrived")
    arrived = [one.event for one in shipped.receiver.arrivals.events() if one.sourcetype == "tidegate:event"]
    hashes = {entry.event.id: entry.hash for entry in site.ledger.entries("lab")}
    assert all(each["hash"] == hashes[each["id"]] for each in arrived)
    # A deployment's own tasks are its events: nothing is told twice.
    assert {one.sourcetype for one in shipped.receiver.arrivals.events()} == {"tidegate:event"}
    site.reset()


def test_the_command_ships_too_and_leaves_nothing_running(site: Site, commands: Commands, shipped: Collecting) -> None:
    shipped.receiver.set_faults(Faults(latency_s=1.0))
    done = commands.call("deploy", "tradeapi", site.other_version("n1"), "-y", *only("n1"))
    assert done.rc == 0, done.stderr
    until(lambda: ids(site) <= shipped.acknowledged(), "every event of the ledger has arrived")
    shipper = json.loads((shipped.spool / "status.json").read_text())["pid"]
    until(lambda: not Path(f"/proc/{shipper}").exists(), "the shipper has ended")
    flushed = commands.call("events", "flush", "--json")
    assert flushed.rc == 0, flushed.stderr
    assert flushed.document["sinks"][0]["shipped"] == 0
    told = commands.call("events", "tail", "--json", "--step", "close", "-n", "1")
    assert json.loads(told.stdout)["id"] in shipped.acknowledged()
    site.reset()
