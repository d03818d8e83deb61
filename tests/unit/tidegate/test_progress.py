from __future__ import annotations

from typing import Any

import pytest

from tidegate.playbook import Said
from tidegate.progress import Mark, Progress, gates_shown, step_of


def row(name: str, wave: int | None, **changed: Any) -> dict[str, Any]:
    base = {"name": name, "site": "main", "standing": "online", "from": "1.0.0", "to": "1.1.0", "fate": "move"}
    return {**base, "wave": wave, "why": "", **changed}


PLANNED = Said(
    "end",
    "plan",
    "localhost",
    result={
        "msg": "tradeapi 1.1.0 to lab",
        "folder": "/var/lib/x",
        "plan": {
            "nodes": [row("n1", 1), row("n2", 2), row("n3", 2), row("n4", None, fate="skip", why="excluded")],
            "waves": [{"nodes": ["n1"]}, {"nodes": ["n2", "n3"]}],
        },
        "ansible_facts": {"tidegate_plan": {"deployment": "tradeapi-1"}},
    },
)


def start(action: str, host: str, *, once: bool = False, **options: str) -> Said:
    return Said("start", action, host, once=once, options=options)


def end(action: str, host: str, *, once: bool = False, ok: bool = True, msg: str = "", **options: str) -> Said:
    return Said("end", action, host, once=once, ok=ok, options=options, result={"msg": msg})


@pytest.fixture
def progress() -> Progress:
    planned = Progress()
    planned.hear(PLANNED, 0.0)
    return planned


def test_the_plan_gives_every_node_its_line(progress: Progress) -> None:
    assert (progress.headline, progress.deployment, progress.folder) == (
        "tradeapi 1.1.0 to lab",
        "tradeapi-1",
        "/var/lib/x",
    )
    lines = {node.name: (node.wave, node.pool, node.way, node.mark) for node in progress.nodes.values()}
    assert lines["n2"] == (2, "online", "1.0.0 → 1.1.0", Mark.WAITING)
    assert lines["n4"] == (None, "online", "1.0.0", Mark.LEFT_ALONE)


def test_a_step_on_one_node_is_that_nodes_alone(progress: Progress) -> None:
    progress.hear(start("puppet_run", "n2"), 10.0)
    assert (progress.nodes["n2"].step, progress.nodes["n2"].since) == ("puppet", 10.0)
    assert progress.nodes["n3"].mark is Mark.WAITING
    ended = progress.hear(end("puppet_run", "n2", msg="changed"), 14.5)
    assert ended is not None
    assert (ended.step, ended.nodes, ended.seconds, ended.message) == ("puppet", ("n2",), 4.5, "changed")


def test_a_step_that_runs_once_is_the_whole_waves(progress: Progress) -> None:
    progress.hear(start("haproxy_pool", "n2", once=True, state="maintenance"), 1.0)
    progress.hear(end("haproxy_pool", "n2", once=True, state="maintenance"), 2.0)
    assert [progress.nodes[name].pool for name in ("n1", "n2", "n3")] == ["online", "maintenance", "maintenance"]


def test_joining_and_confirming_ends_a_nodes_way(progress: Progress) -> None:
    progress.nodes["n1"].pool = "maintenance"
    progress.hear(end("haproxy_pool", "n1", once=True, state="online"), 1.0)
    progress.hear(end("deployment", "n1", once=True, state="joined"), 2.0)
    assert (progress.nodes["n1"].pool, progress.nodes["n1"].mark) == ("online", Mark.DONE)


def test_a_move_that_failed_moved_nothing(progress: Progress) -> None:
    progress.hear(end("haproxy_pool", "n1", once=True, ok=False, state="maintenance", msg="sessions left"), 1.0)
    node = progress.nodes["n1"]
    assert (node.pool, node.mark, node.note) == ("online", Mark.FAILED, "sessions left")


def test_what_comes_after_a_failure_does_not_hide_it(progress: Progress) -> None:
    progress.hear(end("nunit", "n1", ok=False, msg="2 of 14 failed"), 1.0)
    progress.hear(start("puppet_freeze", "n1", state="thawed"), 2.0)
    progress.hear(end("puppet_freeze", "n1", state="thawed"), 3.0)
    node = progress.nodes["n1"]
    assert (node.mark, node.step, node.note) == (Mark.FAILED, "nunit", "2 of 14 failed")
    assert dict(gates_shown(node)) == {"release": None, "health": None, "nunit": False, "warmup": None}


def test_waves_are_counted_when_they_begin(progress: Progress) -> None:
    progress.hear(end("deployment", "n1", once=True, ok=False, state="wave"), 1.0)
    assert progress.wave == 0
    progress.hear(end("deployment", "n1", once=True, state="wave"), 2.0)
    assert progress.wave == 1


def test_what_a_step_says_meanwhile_stands_beside_its_node(progress: Progress) -> None:
    progress.hear(Said("line", text="  n2: 3 sessions left"), 1.0)
    progress.hear(Said("line", text="  asking 2 load balancers"), 1.0)
    progress.hear(Said("line", text="[WARNING]: n1: no progress"), 1.0)
    assert progress.nodes["n2"].note == "3 sessions left"
    assert progress.note == "asking 2 load balancers"
    assert progress.nodes["n1"].note == ""


def test_the_longest_running_step_is_known(progress: Progress) -> None:
    assert progress.longest(9.0) is None
    progress.hear(start("nunit", "n3"), 2.0)
    progress.hear(start("nunit", "n2"), 1.0)
    assert progress.longest(9.0) == ("nunit", "n2", 8.0)
    progress.hear(end("nunit", "n2"), 3.0)
    assert progress.longest(9.0) == ("nunit", "n3", 7.0)


@pytest.mark.parametrize(
    ("said", "step"),
    [
        (start("health_check", "n1", step="release"), "release"),
        (start("puppet_freeze", "n1", state="frozen"), "freeze"),
        (start("puppet_pin", "localhost", state="raised"), "raise"),
        (start("haproxy_pool", "n1", state="online"), "join"),
        (start("deployment", "n1", state="held"), "hold"),
        (start("service_info", "localhost"), "service_info"),
    ],
)
def test_steps_have_the_ledgers_names(said: Said, step: str) -> None:
    assert step_of(said) == step


def of_nodes(step: str, **nodes: dict[str, Any]) -> Said:
    failed = any(result.get("failed") for result in nodes.values())
    result = {"msg": "all of it", "nodes": nodes}
    return Said("end", "health_check", "n2", once=True, ok=not failed, options={"step": step}, result=result)


def test_a_step_of_the_whole_wave_tells_of_each_node(progress: Progress) -> None:
    told = of_nodes("ready", n2={"step": "health"}, n3={"failed": True, "step": "release", "msg": "old release"})
    progress.hear(told, 1.0)
    well, ill = progress.nodes["n2"], progress.nodes["n3"]
    assert well.mark is not Mark.FAILED
    assert well.gates == {"release": True, "health": True}
    assert (ill.mark, ill.gates, ill.note) == (Mark.FAILED, {"release": False}, "old release")


def test_a_gate_that_the_plan_does_not_have_stays_open(progress: Progress) -> None:
    progress.hear(of_nodes("warmup"), 1.0)
    assert progress.nodes["n2"].gates == {}
    assert progress.nodes["n2"].mark is not Mark.FAILED
