"""A deployment whose timings and markers are read back, and that goes on while Graphite is down."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event
from lab.graphite.server import Graphite, running
from tests.integration.flow.lab_site import ENVIRONMENT, Site, others
from tests.integration.graphite.collected import shipping_to
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@pytest.fixture
def graphite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graphite]:
    with running(tmp_path / "graphite") as made:
        for name, value in shipping_to(made, tmp_path / "spool").items():
            monkeypatch.setenv(name, value)
        yield made


def counted(graphite: Graphite, events: list[Event]) -> bool:
    """Whether graphite-web has as many events of each step and outcome as the ledger, and their milliseconds."""
    counts: Counter[str] = Counter()
    for event in events:
        name = f"tidegate.{ENVIRONMENT}.{event.service or '_'}.{event.step}.{event.outcome}"
        counts[f"{name}.count"] += 1
        if event.duration_ms is not None:
            counts[f"{name}.duration_ms.sum"] += event.duration_ms
    now = time.time()
    begin = now - 86_400
    top = f"tidegate.{ENVIRONMENT}.*.*.*"
    found = graphite.sums(f"{top}.count", begin, now + 60) | graphite.sums(f"{top}.duration_ms.sum", begin, now + 60)
    return found == counts


def test_timings_and_markers_of_deployments_in_an_outage_and_after_it(even_site: Site, graphite: Graphite) -> None:
    """1.2.0 fails its tests and is held while Graphite is down; what follows finds it back."""
    site = even_site
    before, version = site.facts().serving["n1"], site.other_version("n1")
    graphite.end()
    held = site.deploy("1.2.0", nodes=["n1"])
    assert held.rc != 0
    assert "tidegate events flush tells more, and ships what can be" in " ".join(held.output.split())
    own = [site.deployment()]
    graphite.start()
    for play in ("deploy", "rollback"):
        told = {"version": version} if play == "deploy" else {}
        played = site.play(play, service="tradeapi", exclude=others(["n1"]), **told)
        assert played.rc == 0, played.output
        own.append(site.deployment())
    until(lambda: counted(graphite, site.events()), "every event of the ledger is counted", every=1.0)

    def said() -> list[str]:
        markers = graphite.markers("tidegate", f"environment:{ENVIRONMENT}", "service:tradeapi")
        return [each["what"] for each in markers if any(one.id in each["data"] for one in own)]

    until(lambda: len(said()) == 9, "all markers are there")
    superseding = ["tradeapi 1.2.0 superseded in lab", f"tradeapi {version} begun in lab"]
    assert said()[:2] == ["tradeapi 1.2.0 begun in lab", "tradeapi 1.2.0 held in lab"]
    # Written in one transaction, and a marker's time is in seconds.
    assert sorted(said()[2:4]) == sorted(superseding)
    assert said()[4:] == [
        f"tradeapi {version} wave 1 joined in lab",
        f"tradeapi {version} done in lab",
        f"tradeapi rollback to {before} begun in lab",
        f"tradeapi {before} wave 1 joined in lab",
        f"tradeapi rolled back to {before} in lab",
    ]
    site.reset()
