"""The figures of `make bench-nunit` from what was measured, and the files that are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks import results_files
from benchmarks.measured import Failed
from benchmarks.nunit import Reading, bench, figures, require_same
from benchmarks.readers import WAYS


def readings(*runs: tuple[float, float, int]) -> list[Reading]:
    return [Reading(wall_s, cpu_s, peak_kb, {"passed": 1}) for wall_s, cpu_s, peak_kb in runs]


def test_speed_is_of_the_median_time_and_memory_the_greatest() -> None:
    told = figures(
        {
            "tidegate": readings((2.0, 1.0, 20_000), (1.0, 0.5, 30_000), (9.0, 8.0, 10_000)),
            "elementtree": readings((4.0, 4.0, 300_000), (5.0, 5.0, 300_000), (6.0, 6.0, 300_000)),
        },
        {"tidegate": 50_000_000, "elementtree": 10_000_000},
    )
    ours = {"mb_per_s": 25.0, "mb_per_cpu_s": 50.0, "peak_mb": 30.7, "cpu_s": 1.0, "file_mb": 50.0}
    theirs = {"mb_per_s": 2.0, "mb_per_cpu_s": 2.0, "peak_mb": 307.2, "cpu_s": 5.0, "file_mb": 10.0}
    assert told == ours | {"peers": {"elementtree": theirs}}


@pytest.mark.parametrize(
    "counts",
    [
        {"tidegate": {"passed": 2}, "elementtree": {"passed": 1, "failed": 1}},
        {"tidegate": {"passed": 0}, "elementtree": {}},
    ],
)
def test_readers_that_disagree_or_find_nothing_are_no_measurement(counts: Mapping[str, Mapping[str, int]]) -> None:
    with pytest.raises(Failed, match="not all read the same"):
        require_same(counts)
    require_same({"tidegate": {"passed": 1, "failed": 0}, "elementtree": {"passed": 1}})


@pytest.mark.parametrize("name", ["nunit3", "nunit2"])
def test_all_readers_find_the_same_in_the_files(name: str, tmp_path: Path) -> None:
    source, converted = tmp_path / "source.xml", tmp_path / "junit.xml"
    getattr(results_files, name)(source, 30_000)
    results_files.junit(converted, source)
    assert 30_000 <= source.stat().st_size < 60_000
    counts = {way: make()(converted if way == "junitparser" else source) for way, make in WAYS.items()}
    require_same(counts)
    assert counts["tidegate"]["failed"] * 20 == sum(counts["tidegate"].values())


def test_the_benchmark_measures_each_in_its_own_process(tmp_path: Path) -> None:
    told = bench(0.05, 1, tmp_path)
    assert {name: sorted(told[name]["peers"]) for name in ("nunit3", "nunit2")} == {
        "nunit3": ["elementtree", "junitparser"],
        "nunit2": ["elementtree", "junitparser"],
    }
    assert 5 < told["nunit3"]["peak_mb"] < 100
