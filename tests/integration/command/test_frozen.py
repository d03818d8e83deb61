"""What dead deployments left frozen is told, and thawed on request; what is somebody else's stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.freeze import reason_text
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import HieraFile, with_pins
from tests.integration.command.commanded import Commands
from tests.integration.flow.lab_site import ENVIRONMENT, Site

pytestmark = pytest.mark.lab
KEY = "tradeapi::deployment"


def seen(commands: Commands, code: int) -> dict[str, str]:
    """By node that is frozen, whose it is."""
    told = commands.call("frozen", "tradeapi", "--check", "--json")
    assert told.rc == code, told.stdout + told.stderr
    return {each["node"]: each["whose"] for each in told.document["frozen"]}


def left_open(site: Site, node: str, by: str) -> None:
    """As a controller leaves it that is killed between the node's pin and its seal."""
    path = site.layout.rollout_dir / "nodes" / f"{site.layout.host(node).certname}.yaml"
    path.write_text(with_pins(HieraFile(str(path)), {KEY: by}, by, lambda _id: True))


def ended(site: Site) -> Deployment:
    """A deployment that is over, as far as the ledger knows."""
    dead = Deployment(id="tradeapi-20260131-142501-7f3a", kind=Kind.HAND, service="tradeapi", environment=ENVIRONMENT)
    known = site.ledger.deployment(dead.id) or site.ledger.open(dead, of(dead, Step.PLAN))
    return known if known.state.final else site.ledger.update_state(dead.id, State.DONE, of(dead, Step.CLOSE))


def of(dead: Deployment, step: Step) -> Event:
    return Event(
        service=dead.service,
        environment=dead.environment,
        deployment=dead.id,
        attempt=1,
        step=step,
        outcome=Outcome.OK,
    )


def test_what_dead_deployments_left_is_told_and_thawed_on_request(
    site: Site, commands: Commands, tmp_path: Path
) -> None:
    dead = ended(site)
    left_open(site, "n5", dead.id)
    commands.services = site.edited_services(tmp_path, lambda it: it["deploy"]["puppet"].update(open_key=KEY))
    told = commands.call("frozen", "tradeapi", "--check", "--json")
    assert (told.rc, told.document["frozen"]) == (6, []), told.stdout + told.stderr
    assert [(each["node"], each["whose"]) for each in told.document["open"]] == [("n5", "left")]

    # A thaw would let the next periodic run change what is open: it stays frozen until a deployment takes that back.
    site.freeze("n5", reason_text(dead.id, "tradeapi", "ann"))
    kept = commands.call("frozen", "tradeapi", "--thaw", "--yes", "--json")
    assert (kept.rc, kept.document["outcome"]) == (0, "nothing_to_do"), kept.stderr
    assert (
        "n5 (tradeapi): Puppet may change it at any time" in commands.call("frozen", "tradeapi", "--thaw", "-n").stdout
    )
    assert site.frozen() == ["n5"]
    (site.layout.rollout_dir / "nodes" / "n5.lab.yaml").unlink()
    thawed = commands.call("frozen", "tradeapi", "--thaw", "--yes", "--json")
    assert (thawed.document["plan"]["frozen"], site.frozen()) == ({"n5": dead.id}, [])

    site.freeze("n1", reason_text(dead.id, "tradeapi", "ann"))
    site.freeze("n2", reason_text("tradeapi-20200101-000000-0000", "tradeapi", "ann"))
    site.freeze_as_somebody_else("n3")
    assert seen(commands, 6) == {"n1": "left", "n2": "unknown", "n3": "foreign"}

    before = site.snapshot()
    shown = commands.call("frozen", "tradeapi", "--thaw", "--dry-run", "--json")
    assert (shown.rc, shown.document["outcome"]) == (0, "planned"), shown.stderr
    assert shown.document["plan"]["frozen"] == {"n1": dead.id}
    assert site.snapshot() == before

    thawed = commands.call("frozen", "tradeapi", "--thaw", "--yes", "--json")
    assert (thawed.rc, thawed.document["outcome"]) == (0, "done"), thawed.stderr
    assert [each["node"] for each in thawed.document["plan"]["left_alone"]] == ["n2", "n3"]
    assert site.frozen() == ["n2", "n3"]
    assert seen(commands, 0) == {"n2": "unknown", "n3": "foreign"}, "another ledger's is shown, and is not ours to tell"
    moved = site.ledger.deployment(thawed.document["deployment"])
    assert moved is not None and (moved.state, moved.nodes) == (State.DONE, ("n1",))
    assert not site.locks.held()

    named = commands.call("frozen", "tradeapi", "--thaw", "--yes", "--json", "--node", "n2", "--node", "n3")
    assert (named.rc, named.document["outcome"]) == (0, "done"), named.stderr
    assert seen(commands, 0) == {"n3": "foreign"}
    head = site.ledger.head(ENVIRONMENT)
    again = commands.call("frozen", "tradeapi", "--thaw", "--yes", "--json")
    assert (again.rc, again.document["outcome"]) == (0, "nothing_to_do"), again.stderr
    assert site.ledger.head(ENVIRONMENT) == head
    assert "patching, ask Ann" in json.dumps(again.document)
