"""The dashboard asks for what the sinks send: metrics by their names, markers by their tags."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step
from lab.layout import PROJECT
from tidegate.shipping.graphite.markers import marker
from tidegate.shipping.graphite.tally import Tally

DASHBOARD: dict[str, Any] = json.loads((PROJECT / "extras" / "grafana" / "tidegate.json").read_text())
VARIABLES = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
TARGETS = [(panel["title"], target["target"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]
PATH = re.compile(r"\$prefix(?:\.[\w*$-]+|\.\{[\w,]+\})+")
PLACE = {"prefix": "tidegate", "environment": "prod", "service": "tradeapi"}


def event(step: str, outcome: str) -> dict[str, Any]:
    known = {"environment": "prod", "service": "tradeapi", "step": step, "outcome": outcome, "duration_ms": 5}
    return {**known, "details": {}, "id": "a" * 32, "deployment": "d", "attempt": 1, "nodes": [], "wave": None}


def names() -> set[str]:
    """Of all metrics that there can be."""
    tally = Tally(60)
    for step in Step:
        for outcome in Outcome:
            tally.add(f"{step} {outcome}", 0.0, event(step, outcome))
    return {line.split()[0] for line in tally.lines("tidegate", tally.keys()).decode().splitlines()}


NAMES = names()


def placed(text: str) -> str:
    return re.sub(r"\$(\w+)", lambda found: PLACE[found[1]], text)


def asked(path: str) -> list[str]:
    """The names that a path means, level by level as Graphite has it."""
    choices = re.search(r"\{([^}]*)\}", path)
    if choices:
        return [name for word in choices[1].split(",") for name in asked(path.replace(choices[0], word))]
    levels = path.split(".")
    return [
        name for name in NAMES if len(name.split(".")) == len(levels) and all(map(fnmatchcase, name.split("."), levels))
    ]


@pytest.mark.parametrize("target", [target for _, target in TARGETS], ids=[title for title, _ in TARGETS])
def test_each_target_asks_for_metrics_that_are_sent(target: str) -> None:
    paths = PATH.findall(target)
    assert paths
    for path in paths:
        assert asked(placed(path)), path
        for choices in re.findall(r"\{([^}]*)\}", path):
            assert set(choices.split(",")) <= set(Outcome)


def test_a_path_that_nothing_is_sent_under_is_found() -> None:
    assert not asked("tidegate.prod.tradeapi.helth.ok.count")
    assert not asked("tidegate.prod.tradeapi.health.ok")
    assert asked("tidegate.*.*.health.{ok,failed}.count")


def test_annotations_are_the_markers_by_environment_and_service() -> None:
    made = marker(event("close", "ok"), 1.0)
    assert made is not None
    (annotation,) = DASHBOARD["annotations"]["list"]
    assert annotation["enable"] is True
    wanted = {placed(tag) for tag in annotation["target"]["tags"]}
    # No tag that may never have been used: django-tagging leaves such a one out of the question, and finds all others.
    assert wanted == {"tidegate", "environment:prod", "service:tradeapi"}
    assert wanted <= set(made.tags)


def test_variables_panels_and_places() -> None:
    text = json.dumps(DASHBOARD)
    assert set(re.findall(r"\$\{?(\w+)", text)) <= set(VARIABLES)
    assert VARIABLES["environment"]["query"] == "$prefix.*"
    assert VARIABLES["service"]["query"] == "$prefix.$environment.*"
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {"${datasource}"}
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    for panel in DASHBOARD["panels"]:
        assert panel["title"] and panel["description"]
    cells = [cell for panel in DASHBOARD["panels"] for cell in covered(panel["gridPos"])]
    assert len(set(cells)) == len(cells)


def covered(place: dict[str, int]) -> list[tuple[int, int]]:
    """The cells of the dashboard's grid, 24 wide, that a panel has."""
    assert place["x"] + place["w"] <= 24
    return [
        (column, row)
        for column in range(place["x"], place["x"] + place["w"])
        for row in range(place["y"], place["y"] + place["h"])
    ]
