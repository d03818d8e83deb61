"""Every target of the Grafana dashboard, and its annotations, asked of graphite-web as Grafana asks."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step
from lab.graphite.server import Graphite
from lab.layout import PROJECT
from tests.integration.graphite.deployments import await_told, deploy, recorded
from tests.integration.graphite.test_shipping import ship

DASHBOARD = json.loads((PROJECT / "extras" / "grafana" / "tidegate.json").read_text())


@pytest.mark.parametrize("prefix", ["tidegate", "corp.tidegate"])
def test_the_dashboard_shows_a_deployment(
    graphite: Graphite, tmp_path: Path, ledger: str, environment: str, prefix: str
) -> None:
    others = recorded(
        *(ledger, environment),
        {"step": Step.CLOSE, "outcome": Outcome.OK},
        {"step": Step.REFUSE, "outcome": Outcome.REFUSED},
        {"step": Step.NUNIT, "outcome": Outcome.CHANGED, "duration_ms": 1500},
    )
    events = [*others, *deploy(ledger, environment)]
    ship(graphite, tmp_path / "spool", ledger, environment, prefix=prefix)
    await_told(graphite, environment, *events, prefix=prefix)
    values = {"prefix": prefix, "environment": environment, "service": "tradeapi", "every": "10min"}

    def placed(text: str) -> str:
        return re.sub(r"\$(\w+)", lambda found: values[found[1]], text)

    now = time.time()
    shown = {
        panel["title"]: graphite.sums(placed(target["target"]), now - 1800, now + 600)
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    }
    for title in ("Begun", "Ended", "Held", "Refused"):
        assert list(shown[title].values()) == [1], title
    assert shown["Events by outcome"] == {"ok": 5, "changed": 1, "refused": 1, "held": 1}
    assert shown["What went wrong"] == {"hold.held": 1, "refuse.refused": 1}
    assert shown["Mean duration of good steps"] == {"health": 200, "nunit": 1500}
    assert shown["Longest"] == {"health.ok": 300, "nunit.changed": 1500}
    assert shown["Steps and outcomes"]["health.ok"] == 3
    tags = [placed(tag) for tag in DASHBOARD["annotations"]["list"][0]["target"]["tags"]]
    # Grafana names no set operation: all tags are meant.
    found = graphite.markers(*tags, set="")
    assert [each["what"].split()[-3] for each in found] == ["done", "begun", "held"]
