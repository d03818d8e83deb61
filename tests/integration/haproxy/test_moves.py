"""Leave and join against real HAProxy."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import Batch
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, Pool, Spot
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_report import Stuck, Undone
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Action, Change, Intent
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share
from tests.integration.haproxy.haproxy_site import (
    MAINTENANCE,
    NET,
    ONLINE,
    SOFT_S,
    Customers,
    Site,
    die_while_waiting_for,
    get,
)
from tests.waiting import PATIENCE_S, until

ALL = ["n1", "n2", "n3", "n4"]


def leave(site: Site, *nodes: str, floor: str = "1", **limits: Any) -> None:
    move = site.move(nodes, floor, cut=False, **limits)
    assert move.preview(Intent.LEAVE, ours=())
    move.run(Intent.LEAVE)


def reentry(node: str) -> tuple[str, ...]:
    pool = Pool(ONLINE, MAINTENANCE, Share.parse(0), (node,))
    return Change(Spot("lb1", pool, node), Action.REENTER).commands


def send_by_hand(site: Site, *commands: str, names: tuple[str, ...] = ("lb1", "lb2")) -> None:
    for name in names:
        runtime = site.load_balancers[name].runtime()
        applied = runtime.apply(Batch(commands, runtime.read().pid), [ONLINE, MAINTENANCE])
        assert applied.complete and not applied.rejected and not applied.changed, applied


def test_a_rolling_restart_under_load_fails_no_request(site: Site) -> None:
    with Customers(f"{NET}.0.1") as one, Customers(f"{NET}.0.2") as two:
        time.sleep(0.5)
        for wave in (["n1"], ["n2", "n3"]):
            out = site.move(wave)
            assert out.preview(Intent.LEAVE, ours=())
            out.run(Intent.LEAVE)
            served = {name: site.backends[name].customers for name in wave}
            for name in wave:
                site.backends[name].stop()
                site.backends[name].start()
            time.sleep(0.3)
            assert {name: site.backends[name].customers for name in wave} == served
            back = site.move(wave)
            assert back.preview(Intent.JOIN, ours=wave)
            back.run(Intent.JOIN)
            assert set(back.report.after.values()) == {Cell.ON}
            assert max(out.report.drained_seconds.values()) < SOFT_S
    assert one.failures == two.failures == []
    assert one.good + two.good > 100


def test_without_the_drain_the_same_load_does_fail(site: Site) -> None:
    with Customers(f"{NET}.0.1") as customers:
        time.sleep(0.5)
        # Whether a request is on its way there at that moment is chance.
        for _ in range(10):
            site.backends["n1"].stop()
            time.sleep(1)
            site.backends["n1"].start()
            site.await_cells("n1", Cell.ON)
            if customers.failures:
                break
    assert customers.failures


def test_leave_and_join_again_change_nothing_the_second_time(site: Site) -> None:
    leave(site, "n1")
    again = site.move(["n1"])
    assert not again.preview(Intent.LEAVE, ours={"n1"})
    back = site.move(["n1"])
    assert back.preview(Intent.JOIN, ours={"n1"})
    back.run(Intent.JOIN)
    assert not site.move(["n1"]).preview(Intent.JOIN, ours=())
    assert site.cells("n1") == [Cell.ON, Cell.ON]


def test_a_slow_request_ends_before_the_leave_does(site: Site) -> None:
    move = site.move(["n1"])
    with ThreadPoolExecutor(1) as pool, site.held_customers("lb1") as held:
        assert move.preview(Intent.LEAVE, ours=())
        began = time.monotonic()
        leaving = pool.submit(move.run, Intent.LEAVE)
        site.await_cells("n1", Cell.DRAIN)
        time.sleep(0.5)
        assert not leaving.done()
        assert held.statuses() == [200] * 8
        leaving.result()
        took = time.monotonic() - began
    assert 0.5 < move.report.drained_seconds["n1"] < took


def test_sessions_at_the_hard_deadline_undo_the_leave(site: Site) -> None:
    with site.held_customers("lb1") as held:
        with pytest.raises(Undone, match=r"sessions are left at the hard deadline \(n1 in shop_online on lb1: 2\)"):
            leave(site, "n1", soft=0.5, hard=1)
        assert site.cells("n1") == [Cell.ON, Cell.ON]
        assert held.statuses() == [200] * 8


def test_sessions_at_the_hard_deadline_are_cut_and_counted(site: Site) -> None:
    with site.held_customers("lb1") as held:
        move = site.move(["n1"], soft=0.5, hard=1, cut=True)
        assert move.preview(Intent.LEAVE, ours=())
        move.run(Intent.LEAVE)
        assert held.statuses() == [200] * 6 + [502] * 2
    assert move.report.sessions_cut == {"n1": 2}
    assert site.cells("n1") == [Cell.TEST, Cell.TEST]


def test_sessions_of_an_old_worker_hold_the_leave(site: Site) -> None:
    with ThreadPoolExecutor(1) as pool, site.held_customers("lb1") as held:
        site.load_balancers["lb1"].reload()
        site.await_cells("n1", Cell.ON)
        leaving = pool.submit(leave, site, "n1")
        site.await_cells("n1", Cell.DRAIN)
        time.sleep(0.5)
        assert not leaving.done()
        assert held.statuses() == [200] * 8
        leaving.result()


def test_the_floor_is_asked_of_each_load_balancer(site: Site) -> None:
    send_by_hand(site, f"set server {ONLINE}/n4 state maint", names=("lb2",))
    move = site.move(["n1"], floor="75%")
    with pytest.raises(Refused, match=r"shop_online on lb2 would keep 2 of 3 usable .* min_online 75% of 4 .* is 3"):
        move.preview(Intent.LEAVE, ours=())
    assert site.cells("n1") == [Cell.ON, Cell.ON]


def test_a_floor_that_breaks_while_draining_undoes_the_leave(site: Site) -> None:
    def another_falls_ill() -> None:
        until(lambda: Cell.DRAIN in site.cells("n1"), "n1 is drained")
        site.backends["n4"].healthy = False

    with ThreadPoolExecutor(1) as pool, site.held_customers("lb1") as held:
        pool.submit(another_falls_ill)
        with pytest.raises(Undone, match="would keep 2 of 3 usable servers without n1"):
            leave(site, "n1", floor="3")
        assert held.statuses() == [200] * 8
    assert site.cells("n1") == [Cell.ON, Cell.ON]


def test_a_node_that_no_one_can_use_leaves_below_the_floor(site: Site) -> None:
    site.backends["n1"].healthy = False
    balancers = site.load_balancers.values()
    until(lambda: {lb.read().servers[ONLINE, "n1"].status for lb in balancers} == {"DOWN"}, "n1 is DOWN")
    leave(site, "n1", floor="100%")
    assert site.cells("n1") == [Cell.TEST, Cell.TEST]


def test_a_dead_application_does_not_join_and_gets_no_customer(site: Site) -> None:
    leave(site, "n1")
    site.backends["n1"].stop()
    until(lambda: site.load_balancers["lb1"].read().servers[MAINTENANCE, "n1"].status == "DOWN", "n1 is DOWN")
    with Customers(f"{NET}.0.1") as customers:
        move = site.move(["n1"], join=1)
        assert move.preview(Intent.JOIN, ours={"n1"})
        with pytest.raises(Refused, match="not UP in time in the maintenance pool: n1 in shop_online on lb1"):
            move.run(Intent.JOIN)
    assert customers.failures == []
    assert site.cells("n1") == [Cell.TEST, Cell.TEST]


def test_an_application_that_dies_while_joining_is_taken_out_again(site: Site) -> None:
    leave(site, "n1")
    until(lambda: site.load_balancers["lb2"].read().servers[MAINTENANCE, "n1"].status == "UP", "n1 is UP for testers")
    move = site.move(["n1"], join=1)
    assert move.preview(Intent.JOIN, ours={"n1"})
    # Dies right after HAProxy's last check in the maintenance pool.
    site.backends["n1"].stop()
    with Customers(f"{NET}.0.1") as customers, pytest.raises((Undone, Refused), match="not UP in time"):
        move.run(Intent.JOIN)
    assert customers.failures == []
    assert site.cells("n1") == [Cell.TEST, Cell.TEST]


def test_a_join_killed_after_its_batch_leaves_nothing_to_repair(site: Site) -> None:
    leave(site, "n1")
    with Customers(f"{NET}.0.1") as one, Customers(f"{NET}.0.2") as two:
        send_by_hand(site, f"set server {MAINTENANCE}/n1 state maint")
        send_by_hand(site, *reentry("n1"))
        # Here the controller is dead.
        site.await_cells("n1", Cell.ON)
    assert one.failures == two.failures == []


def test_a_join_killed_after_its_batch_keeps_a_dead_application_out(site: Site) -> None:
    leave(site, "n1")
    site.backends["n1"].stop()
    with Customers(f"{NET}.0.1") as customers:
        send_by_hand(site, f"set server {MAINTENANCE}/n1 state maint", *reentry("n1"))
        time.sleep(1)
        assert site.cells("n1") == [Cell.RISING, Cell.RISING]
        site.backends["n1"].start()
        site.await_cells("n1", Cell.ON)
    assert customers.failures == []


def test_a_bare_ready_after_maint_does_send_customers_to_a_dead_application(site: Site) -> None:
    leave(site, "n1")
    site.backends["n1"].stop()
    with Customers(f"{NET}.0.1") as customers:
        send_by_hand(site, f"set server {ONLINE}/n1 state ready")
        time.sleep(1)
    assert customers.failures


@pytest.mark.parametrize(
    "left_behind",
    [
        (f"set server {ONLINE}/n1 state drain",),
        (f"set server {ONLINE}/n1 state maint",),
        (f"set server {ONLINE}/n1 state maint", f"set server {MAINTENANCE}/n1 state ready"),
        (f"set server {MAINTENANCE}/n1 state ready",),
    ],
    ids=["DRAIN", "OUT", "TEST", "BOTH"],
)
@pytest.mark.parametrize("intent", [Intent.LEAVE, Intent.JOIN])
def test_what_a_killed_run_left_on_one_load_balancer_is_continued(
    site: Site, left_behind: tuple[str, ...], intent: Intent
) -> None:
    send_by_hand(site, *left_behind, names=("lb1",))
    move = site.move(["n1"])
    with Customers(f"{NET}.0.1") as customers:
        assert move.preview(intent, ours={"n1"})
        move.run(intent)
    assert customers.failures == []
    goal = Cell.TEST if intent is Intent.LEAVE else Cell.ON
    assert site.cells("n1") == [goal, goal]


def test_what_someone_else_took_out_is_not_touched(site: Site) -> None:
    send_by_hand(site, f"set server {ONLINE}/n1 state maint")
    for intent in (Intent.LEAVE, Intent.JOIN):
        with pytest.raises(Refused, match=r"n1 is OUT in shop_online on lb1, .* someone else has taken it out"):
            site.move(["n1", "n2"]).preview(intent, ours={"n2"})
    assert site.cells("n2") == [Cell.ON, Cell.ON]


def test_aiming_at_a_node_that_is_down_answers_503_and_no_other_node_answers(site: Site) -> None:
    leave(site, "n1", "n2")
    address = f"{NET}.0.1"
    state = site.load_balancers["lb1"]
    until(lambda: state.read().servers[MAINTENANCE, "n1"].status == "UP", "n1 is UP for testers")
    status, body, headers = get(address, 8090, **{"X-Node": "n1"})
    assert (status, body, headers.get("x-served-by")) == (200, "n1", "n1")
    site.backends["n1"].stop()
    until(lambda: state.read().servers[MAINTENANCE, "n1"].status == "DOWN", "n1 is DOWN for testers")
    assert get(address, 8090, **{"X-Node": "n1"})[0] == 503
    assert get(address, 8090, **{"X-Node": "n3"})[0] == 503
    assert get(address, 8090, **{"X-Node": "unknown"})[0] == 400


@pytest.mark.parametrize("how", ["reload", "kill"])
def test_a_left_node_stays_out_over_reload_and_crash(site: Site, how: str) -> None:
    leave(site, "n1")
    for balancer in site.load_balancers.values():
        if how == "reload":
            balancer.reload()
        else:
            balancer.kill()
            balancer.start()
    assert site.cells("n1") == [Cell.TEST, Cell.TEST]
    assert {get(f"{NET}.0.1", 8080)[1] for _ in range(12)} == {"n2", "n3", "n4"}


def test_a_joined_node_is_online_at_once_after_a_crash(site: Site) -> None:
    leave(site, "n1")
    move = site.move(["n1"])
    move.preview(Intent.JOIN, ours={"n1"})
    move.run(Intent.JOIN)
    balancer = site.load_balancers["lb1"]
    balancer.kill()
    for backend in site.backends.values():
        backend.healthy = False
    balancer.start()
    # Saved right after the re-entry alone, n1 would come back DOWN and wait for its checks.
    saved = [line.split()[5] for line in (balancer.state_dir / ONLINE).read_text().splitlines() if " n1 " in line]
    assert saved == ["2"]


def test_a_load_balancer_that_is_dead_before_anything_moved_refuses(site: Site) -> None:
    site.load_balancers["lb2"].kill()
    with pytest.raises(Refused, match="nothing was touched") as refusal:
        site.move(["n1"]).preview(Intent.LEAVE, ours=())
    assert "lb2" in refusal.value.where
    site.load_balancers["lb2"].start()
    site.await_cells("n1", Cell.ON)


def test_a_load_balancer_that_stops_answering_midway_is_named_with_its_command(site: Site) -> None:
    paused = site.load_balancers["lb2"].read().pid
    move = site.move(["n1"], answer=3.0, silent=6.0)

    def stops_answering() -> None:
        site.await_cells("n1", Cell.DRAIN)
        os.kill(paused, signal.SIGSTOP)

    with ThreadPoolExecutor(1) as pool, site.held_customers("lb1") as held:
        assert move.preview(Intent.LEAVE, ours=())
        stopping = pool.submit(stops_answering)
        try:
            with pytest.raises(Stuck) as stuck:
                move.run(Intent.LEAVE)
        finally:
            stopping.result()
            os.kill(paused, signal.SIGCONT)
        assert held.statuses() == [200] * 8
    message = str(stuck.value)
    assert "load balancer lb2 stopped answering" in message
    assert "online again: n1 in shop_online on lb1" in message
    assert f"on lb2: echo 'set server {ONLINE}/n1 state ready' | socat" in message
    site.load_balancers["lb2"].read()
    assert site.cells("n1") == [Cell.ON, Cell.DRAIN]


def test_concurrent_callers_serialise_and_move_only_once(site: Site) -> None:
    """Two callers take out different nodes at once, and the floor has room for one of them only."""
    outcomes: list[str] = []

    def caller(node: str) -> None:
        move = site.move([node], floor="3")
        try:
            move.preview(Intent.LEAVE, ours=())
            barrier.wait(PATIENCE_S)
            move.run(Intent.LEAVE)
            outcomes.append("moved")
        except (Refused, Undone):
            outcomes.append("refused")

    barrier = threading.Barrier(2)
    threads = [threading.Thread(target=caller, args=(node,)) for node in ("n1", "n2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert outcomes.count("moved") <= 1 and len(outcomes) == 2
    out = [node for node in ALL if site.cells(node) != [Cell.ON, Cell.ON]]
    assert len(out) == outcomes.count("moved")


def test_a_front_end_of_the_same_name_does_not_hide_a_backend(site: Site) -> None:
    for balancer in site.load_balancers.values():
        text = (balancer.home / "haproxy.cfg").read_text()
        (balancer.home / "haproxy.cfg").write_text(text.replace("frontend customers", f"frontend {ONLINE}"))
        balancer.reload()
    leave(site, "n1")
    assert site.cells("n1") == [Cell.TEST, Cell.TEST]
    back = site.move(["n1"])
    assert back.preview(Intent.JOIN, ours=["n1"])
    back.run(Intent.JOIN)
    assert site.cells("n1") == [Cell.ON, Cell.ON]


def test_a_batch_that_waited_for_the_lock_longer_than_its_controller_lived_is_not_sent(site: Site) -> None:
    balancer = site.load_balancers["lb1"]
    state = balancer.read()
    command, row = f"set server {ONLINE}/n1 state drain", state.servers[ONLINE, "n1"]
    batch = Batch((command,), state.pid, (row,), (ONLINE,))
    die_while_waiting_for(balancer.access.lock, lambda: balancer.runtime().apply(batch, [ONLINE]))
    assert site.cells("n1") == [Cell.ON, Cell.ON]
    assert not balancer.runtime().apply(batch, [ONLINE]).changed
    assert site.cells("n1") == [Cell.DRAIN, Cell.ON]
