"""What came back although we took it out leaves again, as ansible-playbook runs it, against real HAProxy."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.ownership import taken_by
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from tests.integration.haproxy.haproxy_site import ONLINE, Site
from tests.integration.haproxy.test_actions import POOLS, Plays
from tests.integration.haproxy.test_moves import send_by_hand
from tests.waiting import PATIENCE_S, until
from tidegate.ledger import SqlLedger
from tidegate.store import Store

REPAIR = "r1"


@pytest.fixture
def plays(site: Site, tmp_path: Path) -> Plays:
    return Plays(site, tmp_path)


def begin(plays: Plays, *nodes: str, floor: str = "50%") -> dict[str, Any]:
    pools = [{**POOLS[0], "min_online": floor}]
    told = {"ledger": plays.ledger, "deployment": REPAIR, "nodes": ",".join(nodes), "pools": pools}
    return {"begin_deployment": {**told, "intent": "repair"}}


def repair(plays: Plays, *nodes: str, floor: str = "50%", **other: Any) -> dict[str, Any]:
    pools = [{**POOLS[0], "min_online": floor}]
    return plays.pool("repaired", *nodes, deployment=REPAIR, pools=pools, **other)


def left_by_a_deployment(site: Site, plays: Plays, *nodes: str) -> None:
    rc, _, output = plays.run([plays.begin(*nodes), plays.pool("maintenance", *nodes)])
    assert rc == 0, output
    assert site.cells(nodes[0]) == [Cell.TEST, Cell.TEST]


def lose_state(site: Site, name: str, *nodes: str) -> None:
    """HAProxy dies there, and starts without what was saved."""
    balancer = site.load_balancers[name]
    balancer.kill()
    for saved in balancer.state_dir.iterdir():
        saved.write_text("1\n")
    balancer.start()
    until(lambda: all(site.cells(node)[int(name[-1]) - 1] is Cell.ON for node in nodes), f"{nodes} are back on {name}")


def takers(plays: Plays) -> dict[str, str]:
    """By node that is out, the deployment that took it."""
    events = [entry.event for entry in SqlLedger(Store(plays.ledger)).entries("lab")]
    return {node: event.deployment for node, event in taken_by(events).items()}


def test_what_came_back_with_a_lost_state_leaves_again_and_stays_its_owners(site: Site, plays: Plays) -> None:
    left_by_a_deployment(site, plays, "n1")
    lose_state(site, "lb2", "n1")
    tasks = [begin(plays, "n1"), repair(plays, "n1"), repair(plays, "n1")]
    rc, (_, first, second), output = plays.run(tasks)
    assert rc == 0, output
    assert site.cells("n1") == [Cell.TEST, Cell.TEST]
    assert [first["changed"], second["changed"]] == [True, False]
    assert {(cell["load_balancer"], cell["before"]) for cell in first["cells"]} == {("lb1", "TEST"), ("lb2", "ON")}
    assert takers(plays) == {"n1": "d1"}


def test_a_repair_killed_while_it_drains_is_run_again(site: Site, plays: Plays) -> None:
    left_by_a_deployment(site, plays, "n1")
    lose_state(site, "lb2", "n1")
    tasks = [begin(plays, "n1"), repair(plays, "n1")]
    with site.held_customers("lb2") as held:
        process = plays.start(tasks)
        reader = threading.Thread(target=process.communicate, daemon=True)
        reader.start()
        until(lambda: site.cells("n1")[1] is Cell.DRAIN, "n1 drains on lb2")
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
        assert takers(plays) == {"n1": "d1"}
        assert held.statuses() == [200] * 8
    rc, (_, again), output = plays.run(tasks)
    assert rc == 0, output
    assert again["changed"]
    assert site.cells("n1") == [Cell.TEST, Cell.TEST]
    assert takers(plays) == {"n1": "d1"}


def test_what_may_not_be_repaired_is_refused_and_untouched(site: Site, plays: Plays) -> None:
    left_by_a_deployment(site, plays, "n1")
    lose_state(site, "lb2", "n1")
    # As a colleague would; n3 is nobody's, and online.
    send_by_hand(site, f"set server {ONLINE}/n2 state maint")
    everyone = ("n1", "n2", "n3")
    tasks = [
        begin(plays, *everyone, floor="4"),
        {**repair(plays, *everyone, floor="4"), "ignore_errors": True},
        # A wave that is none of the plan, and a leave under a repair's plan.
        {**repair(plays, "n1", floor="4"), "ignore_errors": True},
        {**plays.pool("maintenance", *everyone, deployment=REPAIR), "ignore_errors": True},
    ]
    _, (_, foreign, other, leave), output = plays.run(tasks)
    assert "n2, n3 is not out by our doing: there is nothing to repair; nothing was touched" in foreign["msg"], output
    assert "not what the recorded plan says" in other["msg"]
    assert "not what the recorded plan says" in leave["msg"]
    assert {name: site.cells(name) for name in everyone} == {
        "n1": [Cell.TEST, Cell.ON],
        "n2": [Cell.OUT, Cell.OUT],
        "n3": [Cell.ON, Cell.ON],
    }


def test_a_repair_respects_the_floor(site: Site, plays: Plays) -> None:
    left_by_a_deployment(site, plays, "n1")
    lose_state(site, "lb2", "n1")
    rc, (_, refused), output = plays.run([begin(plays, "n1", floor="4"), repair(plays, "n1", floor="4")])
    assert rc != 0, output
    assert "shop_online on lb2 would keep 3 of 4 usable servers without n1; min_online 4" in refused["msg"]
    assert site.cells("n1") == [Cell.TEST, Cell.ON]


def test_a_repair_that_is_given_up_brings_nothing_in(site: Site) -> None:
    move = site.move(["n1"])
    assert move.preview(Intent.LEAVE, ours=())
    move.run(Intent.LEAVE)
    lose_state(site, "lb2", "n1")
    with site.held_customers("lb2") as held:
        again = site.move(["n1"], soft=0.2, hard=1.0)
        assert again.preview(Intent.LEAVE, ours={"n1"})
        with pytest.raises(Exception, match="sessions are left at the hard deadline"):
            again.run(Intent.LEAVE, kept_out={"n1"})
        assert held.statuses() == [200] * 8
    until(lambda: site.cells("n1")[1] is Cell.ON, "n1 is where it was on lb2")
    assert site.cells("n1")[0] is Cell.OUT
