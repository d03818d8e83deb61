"""The benchmark of health and Puppet measures both sides on real nodes; how large figures are is no test's business."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.controller_cpu import PARTS, SIDES, Plays, bench
from lab.layout import Layout

pytestmark = [pytest.mark.lab, pytest.mark.slow]


def test_a_small_run_tells_every_figure(lab: Layout, tmp_path: Path) -> None:
    told = bench(Plays(lab, ("n1", "n2"), tmp_path), 1)
    assert told["cpu_ratio_to_shipped_modules"] > 0
    own = told["controller_cpu"]["ms_per_node"]
    assert all(own[side][part] > 0 for side in SIDES for part in PARTS)
    assert "what is left is the steps' own" in told["controller_cpu"]["method"]
