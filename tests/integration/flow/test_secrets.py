"""Canary secrets in inventory, environment and in what nodes answer show nowhere: output, process list, files."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step
from lab import agents
from tests.integration.flow.canaries import CANARIES, MARK, Processes, files_with_the_mark, write_inventory
from tests.integration.flow.lab_site import Site
from tests.integration.health.servers import always, respond, serving
from tests.integration.splunk.collecting import Collecting
from tests.waiting import until

pytestmark = pytest.mark.lab


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is added to the lab's inventory, and to the environment of ansible-playbook."""
    monkeypatch.setenv("FOO_SECRET", CANARIES["environment"])
    return write_inventory(tmp_path)


def said(site: Site, step: Step, attempt: int) -> str:
    """What the newest deployment's ledger has of a step that failed."""
    events = site.events(site.deployment().id)
    (event,) = [each for each in events if (each.step, each.attempt, each.outcome) == (step, attempt, Outcome.FAILED)]
    return str(event.details["msg"])


@pytest.mark.slow
def test_no_canary_shows_anywhere(site: Site, tmp_path: Path, inventory: Path, shipped: Collecting) -> None:
    """First Puppet's output carries them, then the service's health; the first wave is held both times.

    With -vvv Ansible shows all that was said to nodes and what they answered: it has to pass us, too.
    """
    processes, version = Processes(), site.other_version("n1")
    with processes.watched():
        # What doesn't fit its pattern, the compiler's message quotes.
        agents.set_node_data(site.layout, "n1", {"monoservice::repository": f"{MARK}-of-the-host"})
        failed = site.deploy(version, "-vvv", "-i", str(inventory), nodes=["n1"])
        agents.clear_node_data(site.layout, "n1")
        answer = {"status": [*CANARIES.values(), *map(quote, CANARIES.values())]}
        with (
            serving(always(respond(answer))) as node,
            site.with_services(
                tmp_path,
                lambda service: service["verify"]["health"].update(url=f"{node.url}/{{service}}", timeout="2s"),
            ),
        ):
            unhealthy = site.deploy(version, "-i", str(inventory), nodes=["n1"])
            until(lambda: {event.id for event in site.events()} <= shipped.acknowledged(), "all has arrived")
    assert failed.rc != 0 and unhealthy.rc != 0

    # They were there to be seen: what is left of the messages shows where.
    assert "***" in said(site, Step.PUPPET, attempt=1)
    assert "***" in said(site, Step.HEALTH, attempt=2)
    assert "***" in failed.output and "***" in unhealthy.output

    assert "Retrieving pluginfacts" in failed.output  # Puppet's own words, as ssh brought them
    assert MARK not in failed.output + unhealthy.output
    assert processes.looks > 20 and not processes.seen
    arrived = [(one.event, one.source, one.host) for one in shipped.receiver.arrivals.events()]
    assert MARK not in json.dumps(arrived) and "***" in json.dumps(arrived)
    assert not files_with_the_mark(shipped.spool)
    kept = files_with_the_mark(site.layout.state)
    # The node and the compile server have what they were given and what Puppet said of it: that is their own.
    theirs = {("hosts", "n1"), ("hosts", "puppet"), ("log", "puppetserver.log")}
    assert {path.parts[:2] for path in kept} <= theirs
    folder = Path(json.loads(site.deployment().plan)["folder"])
    assert {path.name for path in folder.iterdir()} == {
        *("events.jsonl", "plan.json", "puppet", "report.html", "summary.json", "summary.txt")
    }
    site.reset()


def test_a_plan_that_would_carry_a_secret_is_refused(site: Site, tmp_path: Path, inventory: Path) -> None:
    before = site.snapshot()
    with site.with_services(
        tmp_path, lambda service: service["verify"]["health"].update(url=f"http://{{node}}:8080/{CANARIES['host']}")
    ):
        played = site.deploy(site.other_version("n1"), "-i", str(inventory), nodes=["n1"])
    assert played.rc != 0
    assert "the plan would carry a secret" in played.output
    assert "nodes.n1.checks.tradeapi.health.url" in played.output
    assert MARK not in played.output
    assert site.snapshot() == before
