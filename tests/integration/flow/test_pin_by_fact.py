"""A deployment whose pins are facts on the nodes themselves: on a Linux node and a Windows-like one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import State
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import HieraFile, with_pins
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.place import Place
from lab import build
from lab.agents import write_yaml
from tests.integration.flow.lab_site import Site, others

pytestmark = [pytest.mark.lab, pytest.mark.slow]
MOVED = ("n3", "n4")
KEY = "tradeapi::deployment"


@pytest.fixture
def by_fact(site: Site, tmp_path: Path) -> Iterator[Site]:
    """A site whose nodes have their pins themselves."""
    folder = site.layout.rollout_dir / "nodes"
    kept = {path: path.read_text() for path in folder.glob("*.yaml")}
    # What other tests left in Hiera is above a node's own.
    for path in kept:
        path.unlink()
    with site.with_services(tmp_path, _by_fact):
        yield site
    for node in (*MOVED, *others(MOVED)):
        pin_file(site, node).unlink(missing_ok=True)
    for path, text in kept.items():
        if path.name.partition(".")[0] not in MOVED:
            path.write_text(text)


def _by_fact(described: dict[str, Any]) -> None:
    described["waves"] = ["100%"]
    described["deploy"]["puppet"].update(pin="fact", open_key=KEY)


def pin_file(site: Site, node: str) -> Path:
    return site.layout.host(node).facts_dir / "tidegate_pins.yaml"


def facts(site: Site, node: str) -> dict[str, object]:
    """What the node has pinned itself."""
    path = pin_file(site, node)
    return dict(yaml.safe_load(path.read_text())["tidegate_pins"]) if path.exists() else {}


def test_nodes_of_both_kinds_take_their_own_pins_and_lose_them_in_the_end(by_fact: Site) -> None:
    site = by_fact
    before, version = site.facts().serving, site.other_version(*MOVED)
    # As a controller leaves it that was killed between pin and seal.
    dead = with_pins(HieraFile("n5"), {KEY: "d0"}, "d0", lambda _id: True)
    pin_file(site, "n5").write_bytes(Place.FACT.written(dead) or b"")
    assert "this ledger doesn't know deployment d0" in site.play("frozen", service="tradeapi").output
    pin_file(site, "n5").unlink()

    played = site.deploy(version, nodes=MOVED)
    assert played.rc == 0, played.output
    serving = site.facts().serving
    assert serving == {**before, **dict.fromkeys(MOVED, version)}
    assert [facts(site, node) for node in MOVED] == [{}, {}]
    for node in others(MOVED):
        assert facts(site, node)["tradeapi::version"] == before[node], "it stays where it is"
    assert list(site.pins()) == ["common.yaml"]


def test_a_node_with_data_above_its_pin_is_held_and_goes_on_when_they_are_gone(by_fact: Site) -> None:
    site, node = by_fact, MOVED[0]
    before, version = site.facts().serving, site.other_version(node)
    # A pin that somebody else wrote into Hiera's top level: the node's own is not read.
    above = site.layout.rollout_dir / "nodes" / f"{site.layout.host(node).certname}.yaml"
    digest = build.digest(site.layout, "tradeapi", before[node])
    write_yaml(above, {"tradeapi::version": before[node], "tradeapi::digest": digest})
    try:
        played = site.deploy(version, nodes=[node])
    finally:
        above.unlink()
    assert played.rc != 0
    # Both differ; the first is told.
    told = f"tradeapi::digest is {digest} in the catalog, and pinned is "
    assert told in played.output, played.output
    held = site.deployment()
    assert held.state is State.HELD
    [run] = [event for event in site.events(held.id) if event.step is Step.PUPPET and event.outcome is Outcome.FAILED]
    assert (run.nodes, run.details["outcome"]) == ((node,), "pin_not_taken")
    seen = site.facts()
    assert seen.serving == before
    assert all(node not in online for online in seen.online.values()), "it waits in the maintenance pool"
    assert pinned(site, node) == version
    assert site.frozen() == []

    resumed = site.play("resume", service="tradeapi")
    assert resumed.rc == 0, resumed.output
    seen = site.facts()
    assert seen.serving == {**before, node: version}
    assert all(node in online for online in seen.online.values())
    assert pinned(site, node) is None


def pinned(site: Site, node: str) -> object:
    """The version that the node has pinned itself."""
    return facts(site, node).get("tradeapi::version")
