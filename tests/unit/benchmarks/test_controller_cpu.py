"""The figures of health and Puppet from processor times, and that what goes into the background is counted."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.controller_cpu import PARTS, SIDES, Plays, figures
from benchmarks.measured import Failed, measure
from benchmarks.simulated import PROJECT
from lab.layout import Layout

# Into the background as ssh's shared connection goes: its parent ends at once. It works until it used half a second.
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    while time.process_time() < 0.5:
        pass
    open("worked", "w").close()
    time.sleep(600)
else:
    while not os.path.exists("worked"):
        time.sleep(0.01)
"""


def rounds(*told: tuple[float, float, float]) -> list[dict[str, float]]:
    return [dict(zip(("", *PARTS), each, strict=True)) for each in told]


def test_the_steps_own_time_is_what_a_play_without_them_does_not_need() -> None:
    seconds = {
        "tidegate": rounds((1.0, 1.1, 1.4), (1.0, 1.3, 1.6), (9.0, 1.2, 1.5)),
        "shipped": rounds((0.5, 2.5, 3.5), (0.5, 2.5, 3.5), (0.5, 2.5, 3.5)),
    }
    told = figures(seconds, 10)
    assert told["cpu_ratio_to_shipped_modules"] == 0.14
    assert told["controller_cpu"]["ratio"] == {"health_check": 0.1, "puppet_run": 0.167}
    assert told["controller_cpu"]["ms_per_node"] == {
        "tidegate": {"health_check": 20.0, "puppet_run": 50.0},
        "shipped": {"health_check": 200.0, "puppet_run": 300.0},
    }
    assert told["controller_cpu"]["start_s"] == {"tidegate": 1.0, "shipped": 0.5}
    assert (told["controller_cpu"]["nodes"], told["controller_cpu"]["rounds"]) == (10, 3)


@pytest.mark.parametrize("script", [DAEMON])
def test_what_a_command_leaves_in_the_background_is_counted_and_ended(tmp_path: Path, script: str) -> None:
    (tmp_path / "daemon.py").write_text(script)
    argv = [sys.executable, "-m", "benchmarks.with_orphans", sys.executable, str(tmp_path / "daemon.py")]
    environment = os.environ | {"PYTHONPATH": f"{PROJECT}:{PROJECT}/collections"}
    run = measure(argv, tmp_path, environment, tmp_path / "log")
    assert run.cpu_s >= 0.5
    assert run.wall_s < 300


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "benchmarks.with_orphans", "false"]
    with pytest.raises(Failed, match="ended with 1"):
        measure(argv, PROJECT, os.environ, tmp_path / "log")


def test_both_sides_do_the_same_parts() -> None:
    plays = Plays(Layout(net="127.24", state=Path("/nowhere")), ("n1", "n2"), Path("/nowhere"))
    for part in ("", *PARTS):
        ours, shipped = plays.tasks(SIDES[0], part, "d", "sqlite://"), plays.tasks(SIDES[1], part, "d", "sqlite://")
        assert len(ours) == (3 if part else 2)
        assert len(shipped) == {"": 1, "health_check": 2, "puppet_run": 3}[part]
