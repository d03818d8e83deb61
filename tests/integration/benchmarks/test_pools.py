"""The measurement of moves runs and tells all of its figures; how large they are is no test's business.

Networks: 127.53 here, 127.55 in test_soak.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from benchmarks import balancers
from benchmarks.crowd import crowd
from benchmarks.measured import Failed
from benchmarks.plays import Plays
from benchmarks.pools import METHODS, Shape, bench, grown
from benchmarks.simulated import PROJECT
from lab.layout import Layout

TEST_NET = "127.53"


def test_many_servers_leave_in_one_move_and_are_brought_back_for_the_next() -> None:
    with crowd(TEST_NET, 12) as many:
        with pytest.raises(Failed, match="not all servers are in the maintenance pool"):
            many.require_in_maintenance()
        moved = balancers.move(many.layout, [many.pool], Intent.LEAVE)
        many.require_in_maintenance()
        assert not many.is_online()
        assert {name: len(sent) for name, sent in moved.report.commands.items()} == {"lb1": 36, "lb2": 36}
        many.bring_back()
        assert many.is_online()
    assert not many.layout.state.exists()


def test_a_size_of_the_growth_is_told_with_its_milliseconds() -> None:
    told = grown(TEST_NET, 3, 1)
    assert told["servers"] == 3
    assert told["ms"] > 0


def test_a_play_that_fails_is_no_measurement(tmp_path: Path) -> None:
    made, pools = Plays(Layout(TEST_NET, tmp_path), tmp_path), [{"online": "a", "maintenance": "b", "min_online": "0"}]
    with pytest.raises(Failed, match="there is no socket"):
        made.ours("d1", [made.begin("d1", ["n1"], pools), made.moved("d1", "maintenance", ["n1"], pools)])


@pytest.mark.slow  # it installs the yardstick's Ansible the first time
def test_a_small_run_tells_every_figure_and_how_it_was_measured(tmp_path: Path) -> None:
    measured = bench(Shape(servers=2, rounds=1, rate=100, nodes=("n1", "n6"), growth=(2, 4)), tmp_path, TEST_NET)

    assert all(measured[key] > 0 for key in ("speedup_wall", "speedup_cpu"))
    for key in ("failed", "redispatched", "restarts"):
        assert tuple(measured[key]) == METHODS
    # Redispatch is on, and none of it was needed by ours.
    assert (measured["failed"]["tidegate"], measured["redispatched"]["tidegate"]) == (0, 0)
    assert measured["restarts"]["tidegate"]["requests"] > 100
    assert [each["servers"] for each in measured["growth"]] == [2, 4]
    about = measured["about"]
    assert about["yardstick"]["community_general"]
    assert (about["servers"], about["load_balancers"], about["restarted_nodes"]) == (2, 2, ["n1", "n6"])
    assert "theirs divided by ours" in about["method"]


@pytest.mark.parametrize("options", [["--servers", "0"], ["--rate", "0"], ["--growth", "0"]])
def test_bad_arguments_are_refused_with_usage(options: list[str], tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "benchmarks.pools", *options, "--output", str(tmp_path / "pools.json")]
    ended = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "at least 1 of everything" in ended.stderr
