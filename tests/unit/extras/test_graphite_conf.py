"""Carbon keeps all metrics as extras/graphite says, with a prefix that has dots, too."""

from __future__ import annotations

import re
from configparser import ConfigParser

import pytest

from lab.layout import PROJECT

FOLDER = PROJECT / "extras" / "graphite"
NAME = "prod.tradeapi.health.ok"


def matched(file: str, metric: str) -> list[str]:
    """The sections that a metric matches, as carbon looks for them (carbon/storage.py, PatternSchema)."""
    read = ConfigParser(interpolation=None)
    read.read_string((FOLDER / file).read_text())
    return [name for name in read.sections() if re.search(read[name]["pattern"], metric)]


@pytest.mark.parametrize("prefix", ["tidegate", "corp.tidegate", "a.b-c.tidegate"])
def test_each_metric_has_its_section(prefix: str) -> None:
    metric = f"{prefix}.{NAME}"
    for name, section in {
        "count": "tidegate_count_and_sum",
        "duration_ms.count": "tidegate_count_and_sum",
        "duration_ms.sum": "tidegate_count_and_sum",
        "duration_ms.max": "tidegate_max",
    }.items():
        assert matched("storage-aggregation.conf", f"{metric}.{name}") == [section]
        assert matched("storage-schemas.conf", f"{metric}.{name}") == ["tidegate"]


@pytest.mark.parametrize("prefix", ["nottidegate", "corp.tidegates", "stats"])
def test_nobody_elses_has(prefix: str) -> None:
    for file in ("storage-aggregation.conf", "storage-schemas.conf"):
        assert matched(file, f"{prefix}.{NAME}.count") == []
