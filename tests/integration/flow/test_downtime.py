"""A deployment beside a real Nagios: silent about a node as long as it is out, and about no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step
from tests.integration.flow.lab_site import NODES, Played, Site
from tests.integration.nagios.nagios_site import NagiosSite, running

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@pytest.fixture
def nagios(tmp_path: Path) -> Iterator[NagiosSite]:
    with running(tmp_path / "nagios", **dict.fromkeys(NODES, ("tradeapi", "disk"))) as found:
        yield found


@pytest.fixture
def watched(even_site: Site, nagios: NagiosSite, tmp_path: Path) -> Iterator[Watched]:
    with even_site.with_services(tmp_path, lambda d: d.update(nagios={"server": "monitoring"})):
        yield Watched(even_site, nagios, tmp_path / "monitoring.yml")


class Watched:
    """The lab with a monitoring server in its inventory."""

    def __init__(self, site: Site, nagios: NagiosSite, inventory: Path) -> None:
        self.site, self.nagios, self.inventory = site, nagios, inventory
        host = {"ansible_connection": "local", "tidegate_nagios_config": str(nagios.configuration)}
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"monitoring": host}}}))

    def play(self, name: str, **extra: Any) -> Played:
        return self.site.play(name, "-i", str(self.inventory), service="tradeapi", **extra)

    def deploy(self, version: str, *nodes: str) -> Played:
        others = [node for node in NODES if node not in nodes]
        return self.play("deploy", version=version, exclude=others)

    def silent(self) -> set[str]:
        """The hosts and services in downtime, as host or host/service."""
        seen = self.nagios.downtimes() if self.nagios.retained.exists() else []
        return {f"{host}/{service}".rstrip("/") for host, service, _comment in seen}

    def steps(self) -> list[tuple[Step, Outcome]]:
        events = self.site.events(self.site.deployment().id)
        ours = (Step.DOWNTIME, Step.DOWNTIME_END, Step.FREEZE, Step.LEAVE)
        return [(event.step, event.outcome) for event in events if event.step in ours and event.outcome != "started"]


def test_nagios_is_silent_about_a_held_node_until_it_joins(watched: Watched) -> None:
    held = watched.deploy("1.2.0", "n1", "n2")
    assert held.rc != 0
    assert "Nagios is silent about it until" in held.output
    assert watched.silent() == {"n1", "n1/disk", "n1/tradeapi"}
    assert watched.steps()[0] == (Step.DOWNTIME, Outcome.CHANGED), "before anything else is touched"
    back = watched.play("rollback", exclude=[node for node in NODES if node != "n1"])
    assert back.rc == 0, back.output
    assert watched.silent() == set()
    assert (Step.DOWNTIME_END, Outcome.CHANGED) in watched.steps()
    assert "n1;STOPPED" not in watched.nagios.log
    assert watched.nagios.log.count("HOST DOWNTIME ALERT: n1;STARTED") == 1, "no gap between hold and rollback"


def test_by_hand_and_without_a_nagios(watched: Watched) -> None:
    left = watched.play("pool", node="n1", state="maintenance")
    assert left.rc == 0, left.output
    assert watched.silent() == {"n1", "n1/disk", "n1/tradeapi"}
    watched.nagios.end()
    version = watched.site.other_version("n2")
    refused = watched.deploy(version, "n2")
    assert refused.rc != 0
    assert "downtime failed: Nagios does not run" in refused.output
    assert {step for step, _outcome in watched.steps()} == {Step.DOWNTIME}, "nothing was touched"
    joined = watched.play("pool", node="n1", state="online")
    assert joined.rc == 0, joined.output
    assert "the downtime of n1 was not closed: Nagios does not run" in joined.output
    watched.nagios.start()
    resumed = watched.play("resume")
    assert resumed.rc == 0, resumed.output
    assert watched.silent() == {"n1", "n1/disk", "n1/tradeapi"}, "as it was told: it ends by itself"
    seen = watched.play("frozen")
    assert seen.rc == 0, seen.output
    assert "that deployment is done, and the node is not out" in seen.output
    ended = watched.play("thaw")
    assert ended.rc == 0, ended.output
    assert watched.silent() == set(), "or when somebody asks for it"
    assert "nothing to thaw" in watched.play("thaw").output
