"""The benchmark runs and tells all of its figures; how large they are is no test's business."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import State
from benchmarks.measured import measure
from benchmarks.simulated import PROJECT, SERVICE, site
from benchmarks.waves import NODE_STEPS, WAVE_STEPS, Shape, bench
from tidegate.ledger import SqlLedger
from tidegate.store import Store

NUMBERS = ("wave_overhead_s", "cpu_ms_per_node_step", "stock_ansible_cpu_ms_per_node_step", "share_of_stock", "fixed_s")


@pytest.mark.slow
def test_a_small_run_tells_every_figure_and_how_it_was_measured(tmp_path: Path) -> None:
    measured = bench(Shape(waves=2, nodes_per_wave=1, other_sizes=(2,), runs=1, growth=(3,)), tmp_path)

    assert all(isinstance(measured[key], float) for key in NUMBERS)
    assert [each["nodes_per_wave"] for each in measured["by_wave_size"]] == [1, 2]
    assert measured["by_wave_size"][0]["wave_overhead_s"] == measured["wave_overhead_s"]
    assert [(each["nodes"], each["waves"]) for each in measured["growth"]] == [(3, 3)]
    assert all(each[key] > 0 for each in measured["growth"] for key in ("s", "cpu_s", "cpu_ms_per_node_step"))
    assert measured["about"]["node_steps"] == list(NODE_STEPS)
    assert measured["about"]["wave_steps"] == list(WAVE_STEPS)
    assert "wave_overhead_s = " in measured["about"]["method"]


def test_a_simulated_deployment_is_done_and_has_the_evidence_of_every_node_step(tmp_path: Path) -> None:
    made = site(tmp_path, 2, ("2",), "0%")
    measure(made.deploy(), PROJECT, made.environment, tmp_path / "output.log")

    ledger = SqlLedger(Store(f"sqlite:///{made.ledger}"))
    done = ledger.last_done(SERVICE, "bench")
    assert done is not None
    assert done.state is State.DONE
    events = [entry.event for entry in ledger.entries("bench", deployment=done.id)]
    for node in made.nodes:
        good = [event.step.value for event in events if node in event.nodes and event.outcome.good]
        assert {step.removesuffix(" again") for step in NODE_STEPS} <= set(good)
        assert good.count("release") == 2
    assert ledger.verify("bench").intact


def test_bad_arguments_are_refused_with_usage(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "benchmarks.waves", "--waves", "1", "--output", str(tmp_path / "waves.json")]
    ended = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "at least 2 waves" in ended.stderr


def test_the_stock_playbook_has_the_same_number_of_steps() -> None:
    play = yaml.safe_load((PROJECT / "benchmarks" / "stock.yml").read_text())[0]
    once = [task for task in play["tasks"] if task.get("run_once")]
    assert len(once) == len(WAVE_STEPS)
    assert len(play["tasks"]) - len(once) == len(NODE_STEPS)
