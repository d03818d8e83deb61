"""The figures of `make bench-pools` from what was measured, and the plays that are measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Action
from benchmarks import plays
from benchmarks.balancers import counted
from benchmarks.measured import Run
from benchmarks.pools import METHODS, Pair, losses, speedups
from lab.layout import Layout
from tests.unit.benchmarks.accounts import account


def test_speedups_are_the_medians_of_theirs_divided_by_those_of_ours() -> None:
    pairs = [
        Pair(ours=Run(2.0, 1.0), theirs=Run(90.0, 100.0)),
        Pair(ours=Run(4.0, 2.0), theirs=Run(100.0, 120.0)),
        Pair(ours=Run(50.0, 30.0), theirs=Run(500.0, 700.0)),
    ]
    told = speedups(pairs)
    assert (told["speedup_wall"], told["speedup_cpu"]) == (25.0, 60.0)
    assert told["move"]["tidegate"] == {"wall_s": 4.0, "cpu_s": 2.0}
    assert told["move"]["community_general_haproxy"] == {"wall_s": 100.0, "cpu_s": 120.0}


def test_losses_are_told_for_each_method() -> None:
    told = losses(dict(zip(METHODS, [account(failed=7, retried=5), account(redispatched=2), account()], strict=True)))
    assert told["failed"] == {"naive": 7, "recipe": 0, "tidegate": 0}
    assert told["redispatched"] == {"naive": 0, "recipe": 2, "tidegate": 0}
    assert told["restarts"]["naive"]["retried"] == 5
    assert told["restarts"]["recipe"]["requests"] == 100


@pytest.mark.parametrize("servers", [1, 200])
def test_theirs_is_one_loop_with_an_item_for_each_entry_of_a_load_balancer(servers: int) -> None:
    names = [f"s{number}" for number in range(servers)]
    (task,) = plays.stock_move(names, "online", "maintenance")["tasks"]
    assert len({(item["host"], item["backend"]) for item in task["loop"]}) == len(task["loop"]) == 2 * servers
    drained, opened = task["loop"][:2]
    # The steps of our leave: drain and MAINT in the one pool, ready in the other.
    assert (drained["state"], drained["drain"], drained["wait"]) == ("disabled", True, True)
    assert (opened["state"], opened["backend"]) == ("enabled", "maintenance")
    assert [each.value[0].rpartition(" ")[2] for each in (Action.DRAIN, Action.MAINT, Action.OPEN)] == [
        "drain",
        "maint",
        "ready",
    ]


def test_the_recipe_drains_and_waits_before_the_restart_and_enables_after_it() -> None:
    tasks = plays.recipe("n1", ["online"], ["/lb1.sock", "/lb2.sock"], "http://control")["tasks"]
    first, restart, last = tasks
    assert restart["ansible.builtin.uri"]["url"] == "http://control/n1"
    assert [task["community.general.haproxy"]["state"] for task in (first, last)] == ["disabled", "enabled"]
    assert first["community.general.haproxy"]["drain"] is True
    assert all(task["community.general.haproxy"]["wait"] is True for task in (first, last))
    assert all(task["loop"] == [["online", "/lb1.sock"], ["online", "/lb2.sock"]] for task in (first, last))


def test_our_play_names_every_load_balancer(tmp_path: Path) -> None:
    made = plays.Plays(Layout("127.53", tmp_path), tmp_path)
    task = made.moved("d1", "maintenance", ["n1"], [])["tidegate.delivery.haproxy_pool"]
    assert task["load_balancers"] == ["lb1", "lb2"]
    assert (task["deployment"], task["state"], task["nodes"]) == ("d1", "maintenance", ["n1"])


def test_haproxys_counters_are_summed_over_the_backends_that_customers_reach() -> None:
    stat = "# pxname,svname,wretr,wredis,\na_online,BACKEND,3,1,\nb_online,BACKEND,4,0,\na_maintenance,BACKEND,9,9,\n"
    assert counted(stat, {"a_online", "b_online"}) == {"retried": 7, "redispatched": 1}
