"""Moves on load balancers in memory: what is confirmed, retried, undone, continued and told."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Refused, Stopped, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState, OldWorker
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, look
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_report import Stuck, Undone
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_surroundings import Limits, Surroundings
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.moves import Move
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Change, Intent
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, Stopping
from tests.unit.plugins.module_utils import haproxy_rows as shown
from tests.unit.plugins.module_utils.haproxy_rows import MAINTENANCE, ONLINE, pool, row
from tests.unit.plugins.module_utils.simulated_haproxy import Killed, SimulatedHaproxy, Time, one_after_the_other

NODES = ("n1", "n2", "n3", "n4")
LIMITS = {"soft": 30.0, "hard": 120.0, "join": 60.0, "silent": 20.0}


@dataclass
class Stage:
    """Two load balancers, four nodes, time that only waiting moves."""

    time: Time = field(default_factory=Time)
    told: list[str] = field(default_factory=list)
    balancers: dict[str, SimulatedHaproxy] = field(default_factory=dict)
    stopping: Stopping = NEVER

    def __post_init__(self) -> None:
        for name in ("lb1", "lb2"):
            self.balancers[name] = SimulatedHaproxy(name, self.time, NODES)
            self.balancers[name].show(dict.fromkeys(NODES, shown.ON))

    def move(self, *nodes: str, floor: str = "1", **limits: Any) -> Move:
        around = Surroundings(one_after_the_other, self.told.append, self.time, self.time.sleep, self.stopping)  # type: ignore[arg-type]
        return Move(self.balancers, [pool(*(nodes or ("n1",)), floor=floor)], Limits(**{**LIMITS, **limits}), around)

    def run(self, intent: Intent, *nodes: str, ours: Sequence[str] = NODES, floor: str = "1", **limits: Any) -> Move:
        move = self.move(*nodes, floor=floor, **limits)
        if move.preview(intent, ours):
            move.run(intent)
        return move

    def cells(self, node: str = "n1") -> list[Cell]:
        return [look(each.read(), pool(node), node).cell for each in self.balancers.values()]

    def cells_of(self, name: str, node: str = "n1") -> Cell:
        return look(self.balancers[name].read(), pool(node), node).cell

    @property
    def sent(self) -> int:
        return sum(len(each.applied) for each in self.balancers.values())


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_leave_drains_then_closes_then_opens_for_tests(stage: Stage) -> None:
    move = stage.run(Intent.LEAVE, ours=())
    assert stage.cells() == [Cell.TEST, Cell.TEST]
    assert stage.balancers["lb1"].applied == [
        f"set server {ONLINE}/n1 state drain",
        f"set server {ONLINE}/n1 state maint",
        f"set server {MAINTENANCE}/n1 state ready",
    ]
    assert move.report.commands["lb2"] == stage.balancers["lb2"].applied
    assert move.report.drained_seconds == {"n1": 0.0}
    assert {cell.value for cell in move.report.before.values()} == {"ON"}


def test_a_join_waits_for_tests_to_be_up_and_re_enters_safely(stage: Stage) -> None:
    stage.run(Intent.LEAVE)
    for each in stage.balancers.values():
        each.applied.clear()
    stage.run(Intent.JOIN)
    assert stage.cells() == [Cell.ON, Cell.ON]
    assert stage.balancers["lb1"].applied == [
        f"set server {MAINTENANCE}/n1 state maint",
        f"set server {ONLINE}/n1 state drain",
        f"set server {ONLINE}/n1 health down",
        f"set server {ONLINE}/n1 state ready",
    ]


@pytest.mark.parametrize("intent", [Intent.LEAVE, Intent.JOIN])
def test_the_second_time_nothing_is_sent(stage: Stage, intent: Intent) -> None:
    stage.run(Intent.LEAVE)
    stage.run(intent)
    before = stage.sent
    assert not stage.move().preview(intent, NODES)
    stage.run(intent)
    assert stage.sent == before


def test_a_wave_of_many_compares_its_changes_no_more_than_a_few_times_each(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = tuple(f"s{number}" for number in range(60))
    compared, equal = [], Change.__eq__

    def counting(self: Change, other: object) -> bool:
        compared.append(self)
        return equal(self, other)

    for name in stage.balancers:
        stage.balancers[name] = SimulatedHaproxy(name, stage.time, nodes)
        stage.balancers[name].show(dict.fromkeys(nodes, shown.ON))
    monkeypatch.setattr(Change, "__eq__", counting)
    stage.run(Intent.LEAVE, *nodes, ours=nodes, floor="0")
    assert {cell for node in nodes for cell in stage.cells(node)} == {Cell.TEST}
    # Three actions for each node on each of the two load balancers; each against each would be thousands.
    assert len(compared) < 10 * 3 * 2 * len(nodes)


def test_preview_touches_nothing(stage: Stage) -> None:
    assert stage.move().preview(Intent.LEAVE, ())
    assert stage.sent == 0


def kill_before(stage: Stage, exchange: int) -> None:
    """The controller dies before its n-th batch to any load balancer; what was sent stays."""
    left = [exchange]

    def count() -> None:
        if left[0] == 0:
            raise Killed
        left[0] -= 1

    for each in stage.balancers.values():
        each.before_apply = count


def revive(stage: Stage) -> None:
    for each in stage.balancers.values():
        each.before_apply = lambda: None
    stage.time.sleep(2)


@pytest.mark.parametrize("intent", [Intent.LEAVE, Intent.JOIN])
@pytest.mark.parametrize("then", [Intent.LEAVE, Intent.JOIN])
@pytest.mark.parametrize("killed_before", range(10))
def test_a_run_killed_anywhere_is_continued_by_running_again(
    stage: Stage, intent: Intent, then: Intent, killed_before: int
) -> None:
    if intent is Intent.JOIN:
        stage.run(Intent.LEAVE, "n1", "n2")
    kill_before(stage, killed_before)
    with contextlib.suppress(Killed):
        stage.run(intent, "n1", "n2")
    revive(stage)
    stage.run(then, "n1", "n2")
    goal = Cell.TEST if then is Intent.LEAVE else Cell.ON
    assert stage.cells("n1") + stage.cells("n2") == [goal] * 4
    assert stage.cells("n3") == [Cell.ON, Cell.ON]


def lose_answers(stage: Stage, name: str, times: int) -> None:
    left = [times]

    def lose() -> None:
        if left[0]:
            left[0] -= 1
            raise Unreachable("the answer broke off", where=name)

    stage.balancers[name].after_apply = lose


@pytest.mark.parametrize("times", [1, 3, 5])
@pytest.mark.parametrize("intent", [Intent.LEAVE, Intent.JOIN])
def test_lost_answers_are_read_back(stage: Stage, intent: Intent, times: int) -> None:
    if intent is Intent.JOIN:
        stage.run(Intent.LEAVE)
    stage.balancers["lb2"].applied.clear()
    lose_answers(stage, "lb2", times)
    stage.run(intent)
    assert set(stage.cells()) == {Cell.TEST if intent is Intent.LEAVE else Cell.ON}
    assert len(set(stage.balancers["lb2"].applied)) == len(stage.balancers["lb2"].applied), "nothing was sent twice"


def test_someone_who_changes_a_server_between_look_and_batch_is_noticed(stage: Stage) -> None:
    once = [True]
    balancer = stage.balancers["lb1"]

    def interfere() -> None:
        if once and once.pop():
            balancer.rows[ONLINE, "n3"] = replace(balancer.rows[ONLINE, "n3"], status="DOWN", op=0)

    balancer.before_apply = interfere
    with pytest.raises((Refused, Undone), match="shop_online on lb1 would keep 2 of 3 usable servers without n1"):
        stage.run(Intent.LEAVE, floor="3")
    assert stage.cells() == [Cell.ON, Cell.ON]


def test_a_worker_that_was_replaced_between_look_and_batch_is_read_again(stage: Stage) -> None:
    balancer = stage.balancers["lb1"]
    once = [True]

    def reload() -> None:
        if once and once.pop():
            balancer.pid += 1

    balancer.before_apply = reload
    stage.run(Intent.LEAVE)
    assert stage.cells() == [Cell.TEST, Cell.TEST]


def test_a_worker_that_was_replaced_while_it_was_saved_is_saved_again(stage: Stage) -> None:
    """The new one may have read the state before, and be elsewhere."""
    balancer, batches = stage.balancers["lb1"], [0]

    def reload() -> None:
        batches[0] += 1
        if batches[0] == 4:  # drain, maint, open, and then the settled state
            balancer.pid += 1
            balancer.rows[ONLINE, "n1"] = row(shown=shown.READY)
            balancer.rows[MAINTENANCE, "n1"] = row(shown=shown.DISABLED, backend=MAINTENANCE)

    balancer.after_apply = reload
    stage.run(Intent.LEAVE)
    assert stage.cells() == [Cell.TEST, Cell.TEST]
    assert balancer.saved[ONLINE, "n1"].admin == 1


@pytest.mark.parametrize(("looks", "refuses"), [(1, False), (2, True)])
def test_an_old_worker_that_was_just_ending_does_not_refuse(stage: Stage, looks: int, refuses: bool) -> None:
    balancer, real, left = stage.balancers["lb1"], stage.balancers["lb1"].read, [looks]

    def with_an_old_worker(backends: Sequence[str] = ()) -> LoadBalancerState:
        left[0] -= 1
        return replace(real(backends), old_workers=(OldWorker(41, None),) if left[0] >= 0 else ())

    balancer.read = with_an_old_worker  # type: ignore[method-assign]
    if refuses:
        with pytest.raises(Refused, match="old worker 41 still lives and can't be asked"):
            stage.move().preview(Intent.LEAVE, ())
    else:
        assert stage.move().preview(Intent.LEAVE, ())


@pytest.mark.parametrize("intent", [Intent.LEAVE, Intent.JOIN])
def test_a_move_that_is_done_is_saved_all_the_same(stage: Stage, intent: Intent) -> None:
    """What a run that was killed between a command and its saving has left."""
    before = shown.ON if intent is Intent.JOIN else shown.TEST
    for balancer in stage.balancers.values():
        balancer.show(dict.fromkeys(NODES, before))
    move = stage.move()
    assert not move.preview(intent, NODES)
    assert not any(balancer.saved for balancer in stage.balancers.values())
    move.keep()
    assert all(balancer.saved == balancer.rows for balancer in stage.balancers.values())


def test_a_done_move_that_can_not_be_saved_is_told(stage: Stage) -> None:
    balancer = stage.balancers["lb2"]
    real = balancer.apply
    balancer.apply = lambda batch, backends: replace(real(batch, backends), unsaved=batch.save)  # type: ignore[method-assign]
    move = stage.move(silent=5)
    move.preview(Intent.JOIN, NODES)
    with pytest.raises(Refused, match="the state of lb2 can't be saved in /state: shop_online, shop_maintenance"):
        move.keep()


@pytest.mark.parametrize("intent", [Intent.LEAVE, Intent.JOIN])
def test_a_server_that_a_reload_took_away_undoes_the_move_elsewhere(stage: Stage, intent: Intent) -> None:
    if intent is Intent.JOIN:
        stage.run(Intent.LEAVE)
    balancer, batches = stage.balancers["lb1"], [0]

    def reload() -> None:
        batches[0] += 1
        if batches[0] == 2:
            balancer.pid += 1
            for backend in (ONLINE, MAINTENANCE):
                del balancer.rows[backend, "n1"]

    balancer.after_apply = reload
    with pytest.raises(Undone, match="n1 is no longer in shop_online on lb1"):
        stage.run(intent)
    assert stage.cells_of("lb2") is (Cell.ON if intent is Intent.LEAVE else Cell.TEST)


def go_silent_after(stage: Stage, name: str, batches: int, *, carried_out: bool) -> None:
    balancer = stage.balancers[name]
    left = [batches]

    def silence() -> None:
        left[0] -= 1
        if left[0] < 0:
            balancer.silent = True
            raise Unreachable("HAProxy did not answer", where=f"load balancer {name}")

    if carried_out:
        balancer.after_apply = silence
    else:
        balancer.before_apply = silence


@pytest.mark.parametrize(
    ("batches", "command"),
    [
        (0, f"set server {ONLINE}/n1 state ready'"),
        (
            1,
            f"set server {ONLINE}/n1 state drain; set server {ONLINE}/n1 health down; set server {ONLINE}/n1 state r",
        ),
        (2, f"set server {MAINTENANCE}/n1 state maint; set server {ONLINE}/n1 state drain"),
    ],
)
@pytest.mark.parametrize("carried_out", [True, False])
def test_one_that_goes_silent_in_a_leave_undoes_the_others_and_names_its_command(
    stage: Stage, batches: int, command: str, carried_out: bool
) -> None:
    go_silent_after(stage, "lb2", batches, carried_out=carried_out)
    with pytest.raises(Stuck) as stuck:
        stage.run(Intent.LEAVE)
    message = str(stuck.value)
    assert "load balancer lb2 stopped answering" in message
    assert "online again: n1 in shop_online on lb1;" in message
    assert f"on lb2: echo '{command}" in message
    assert "/run/lb2.sock" in message
    stage.balancers["lb2"].silent = False
    assert stage.cells()[0] is Cell.ON


@pytest.mark.parametrize("batches", [0, 1])
def test_one_that_goes_silent_in_a_join_takes_the_wave_back_to_maintenance(stage: Stage, batches: int) -> None:
    stage.run(Intent.LEAVE)
    go_silent_after(stage, "lb2", batches, carried_out=True)
    with pytest.raises(Stuck) as stuck:
        stage.run(Intent.JOIN)
    assert "held out of the online pool: n1 in shop_online on lb1" in str(stuck.value)
    assert f"on lb2: echo 'set server {ONLINE}/n1 state maint'" in str(stuck.value)
    stage.balancers["lb2"].silent = False
    assert stage.cells()[0] is Cell.TEST


def test_one_that_is_silent_before_the_first_command_refuses(stage: Stage) -> None:
    stage.balancers["lb2"].silent = True
    with pytest.raises(Refused, match="nothing was touched") as refusal:
        stage.move().preview(Intent.LEAVE, ())
    assert "If no HAProxy runs there, go on without it" in refusal.value.remedy
    assert stage.sent == 0


def test_a_refused_command_is_told_and_undone(stage: Stage) -> None:
    balancer = stage.balancers["lb2"]
    real = balancer.apply

    def refuse(batch: Any, backends: Sequence[str]) -> Any:
        rejected = tuple((command, "Permission denied") for command in batch.commands)
        return replace(real(replace(batch, commands=()), backends), rejected=rejected)

    balancer.apply = refuse  # type: ignore[method-assign]
    with pytest.raises(DomainError, match="HAProxy refused 'set server shop_online/n1 state drain' on lb2: Per"):
        stage.run(Intent.LEAVE)
    assert stage.cells() == [Cell.ON, Cell.ON]


def test_commands_without_effect_end_at_a_deadline(stage: Stage) -> None:
    balancer = stage.balancers["lb2"]
    real = balancer.apply
    balancer.apply = lambda batch, backends: real(replace(batch, commands=()), backends)  # type: ignore[method-assign]
    with pytest.raises(Undone, match="'set server shop_online/n1 state drain' has no effect on lb2"):
        stage.run(Intent.LEAVE, silent=5)
    assert stage.time.now < 1000 + 60


def test_state_that_can_not_be_saved_undoes_the_leave(stage: Stage) -> None:
    balancer = stage.balancers["lb2"]
    real = balancer.apply

    def unsaved(batch: Any, backends: Sequence[str]) -> Any:
        return replace(real(batch, backends), unsaved=batch.save)

    balancer.apply = unsaved  # type: ignore[method-assign]
    with pytest.raises(DomainError, match="the state of lb2 can't be saved in /state: shop_online, shop_maintenance"):
        stage.run(Intent.LEAVE, silent=5)
    assert stage.cells() == [Cell.ON, Cell.ON]


def test_slow_requests_are_waited_for_and_told(stage: Stage) -> None:
    balancer = stage.balancers["lb1"]
    balancer.serve(ONLINE, "n1", 3)
    stage.time.after(9, lambda: balancer.serve(ONLINE, "n1", 0))
    move = stage.run(Intent.LEAVE, soft=30)
    assert move.report.drained_seconds["n1"] == pytest.approx(9, abs=0.5)
    assert 3 <= len(stage.told) <= 5
    assert stage.told[0] == "draining: n1 in shop_online on lb1 has 3 sessions"


def test_customers_with_a_cookie_are_waited_for_until_the_soft_deadline(stage: Stage) -> None:
    stage.time.after(4, lambda: stage.balancers["lb1"].serve(ONLINE, "n1", 1))
    stage.time.after(6, lambda: stage.balancers["lb1"].serve(ONLINE, "n1", 0))
    move = stage.run(Intent.LEAVE, soft=10, cookies_stay=True)
    assert move.report.drained_seconds["n1"] == pytest.approx(10, abs=0.5)
    assert stage.told[0] == (
        "draining: n1 in shop_online on lb1 has 0 sessions, n1 in shop_online on lb2 has 0 sessions; "
        "until drain.soft customers with a cookie may come back"
    )


def test_customers_who_come_in_spite_of_maint_undo_the_leave(stage: Stage) -> None:
    balancer = stage.balancers["lb2"]

    def another_customer() -> None:
        online = balancer.rows[ONLINE, "n1"]
        if online.admin.effective:
            balancer.rows[ONLINE, "n1"] = replace(online, begun=online.begun + 1)
        stage.time.after(0.1, another_customer)

    balancer.after_apply = another_customer
    with pytest.raises(Undone, match="customers still reach n1 in shop_online on lb2, which is in MAINT"):
        stage.run(Intent.LEAVE)
    assert stage.cells() == [Cell.ON, Cell.ON]


def test_those_who_were_there_at_maint_may_try_again(stage: Stage) -> None:
    """Their application has died: HAProxy tries each three times, a second apart, whatever the server's state."""
    balancer = stage.balancers["lb2"]
    balancer.serve(ONLINE, "n1", 2)

    def attempt() -> None:
        online = balancer.rows[ONLINE, "n1"]
        balancer.rows[ONLINE, "n1"] = replace(online, begun=online.begun + 1, sessions=online.sessions - 1)

    stage.time.after(3, attempt)
    stage.time.after(4, attempt)
    stage.run(Intent.LEAVE, soft=1, hard=10)
    assert stage.cells() == [Cell.TEST, Cell.TEST]


def test_one_late_customer_after_maint_is_waited_for(stage: Stage) -> None:
    balancer = stage.balancers["lb2"]

    def late() -> None:
        online = balancer.rows[ONLINE, "n1"]
        if online.status == "MAINT" and not online.begun:
            balancer.rows[ONLINE, "n1"] = replace(online, begun=1)

    balancer.before_apply = late
    stage.run(Intent.LEAVE)
    assert stage.cells() == [Cell.TEST, Cell.TEST]


@pytest.mark.parametrize("cut", [True, False])
def test_the_hard_deadline_fails_or_cuts(stage: Stage, cut: bool) -> None:
    stage.balancers["lb1"].serve(ONLINE, "n1", 3)
    stage.balancers["lb2"].serve(ONLINE, "n1", 2)
    if cut:
        move = stage.run(Intent.LEAVE, soft=2, hard=4, cut=True)
        assert move.report.sessions_cut == {"n1": 5}
        assert stage.cells() == [Cell.TEST, Cell.TEST]
    else:
        with pytest.raises(Undone, match="sessions are left at the hard deadline"):
            stage.run(Intent.LEAVE, soft=2, hard=4)
        assert stage.cells() == [Cell.ON, Cell.ON]


def test_a_floor_that_breaks_while_draining_undoes_the_leave(stage: Stage) -> None:
    balancer = stage.balancers["lb1"]
    balancer.serve(ONLINE, "n1", 3)
    down = replace(balancer.rows[ONLINE, "n4"], status="DOWN", op=0)
    stage.time.after(3, lambda: balancer.rows.update({(ONLINE, "n4"): down}))
    with pytest.raises(Undone, match="would keep 2 of 3 usable servers"):
        stage.run(Intent.LEAVE, floor="3")
    assert stage.cells() == [Cell.ON, Cell.ON]
    assert not any("health down" in command for command in balancer.applied), "it was only drained: ready is enough"


def test_an_application_that_dies_while_joining_goes_back(stage: Stage) -> None:
    stage.run(Intent.LEAVE)
    for each in stage.balancers.values():
        each.after_apply = partial(each.dead.add, "n1")
    stage.time.sleep(2)
    with pytest.raises(Undone, match="not UP in time in the online pool"):
        stage.run(Intent.JOIN, join=5)
    assert stage.cells() == [Cell.TEST, Cell.TEST]


def test_a_foreign_node_stops_the_whole_wave_before_anything_is_sent(stage: Stage) -> None:
    for each in stage.balancers.values():
        each.show({**dict.fromkeys(NODES, shown.ON), "n2": shown.OUT})
    with pytest.raises(Refused, match="n2 is OUT in shop_online on lb1"):
        stage.run(Intent.LEAVE, "n1", "n2", ours=["n1"])
    assert stage.sent == 0


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda row: replace(row, agent=True), "has an agent-check"),
        (lambda row: replace(row, tracks="other/n1"), "tracks other/n1"),
        (lambda row: replace(row, checked=False), "has no health check that runs"),
    ],
)
def test_servers_that_can_not_be_moved_safely_refuse(stage: Stage, spoil: Callable[[Any], Any], reason: str) -> None:
    balancer = stage.balancers["lb2"]
    balancer.rows[MAINTENANCE, "n1"] = spoil(balancer.rows[MAINTENANCE, "n1"])
    with pytest.raises(Refused, match=f"load balancer lb2: {MAINTENANCE}/n1 {reason}"):
        stage.move().preview(Intent.LEAVE, ())


def test_every_reason_is_told_at_once(stage: Stage) -> None:
    balancer = stage.balancers["lb2"]
    del balancer.rows[MAINTENANCE, "n1"]
    balancer.rows[ONLINE, "n1"] = replace(balancer.rows[ONLINE, "n1"], agent=True)
    with pytest.raises(Refused) as refusal:
        stage.move().preview(Intent.LEAVE, ())
    for reason in ("n1 is missing in shop_maintenance", "agent-check", "lists other servers on lb2 than on lb1: n1"):
        assert reason in str(refusal.value)


def asked_to_stop(stage: Stage, after_s: float) -> None:
    """Somebody asks so many seconds from now."""
    asked: list[bool] = []
    stage.time.after(after_s, lambda: asked.append(True))

    def look_(where: str) -> None:
        if asked:
            raise Stopped(f"stopped by alice {where}")

    stage.stopping = Stopping(look_)


@pytest.mark.parametrize("asked_at", [2, 8], ids=["while draining", "while it empties after MAINT"])
def test_a_stop_brings_a_wave_back_whose_sessions_are_waited_for(stage: Stage, asked_at: float) -> None:
    stage.balancers["lb2"].serve(ONLINE, "n1", 3)
    asked_to_stop(stage, asked_at)
    with pytest.raises(Stopped, match="stopped by alice while the wave left the online pool; online again: n1 in"):
        stage.run(Intent.LEAVE, soft=5.0, hard=60.0)
    assert stage.cells() == [Cell.ON, Cell.ON]
    assert stage.balancers["lb2"].rows[ONLINE, "n1"].sessions == 3
    assert stage.time.now - 1000 < asked_at + 5


def test_a_stop_before_the_first_command_touches_nothing(stage: Stage) -> None:
    asked_to_stop(stage, 0)
    stage.time.sleep(1)
    with pytest.raises(Stopped, match="nothing was touched"):
        stage.run(Intent.LEAVE)
    assert stage.sent == 0


def test_a_wave_without_customers_finishes_its_leave(stage: Stage) -> None:
    for each in stage.balancers.values():
        each.after_apply = partial(_ask_after_maint, stage, each)
    stage.run(Intent.LEAVE)
    assert stage.cells() == [Cell.TEST, Cell.TEST]


def _ask_after_maint(stage: Stage, balancer: SimulatedHaproxy) -> None:
    if balancer.applied[-1].endswith("state ready"):
        asked_to_stop(stage, 0)


def test_a_join_is_brought_to_its_end(stage: Stage) -> None:
    stage.run(Intent.LEAVE)
    asked_to_stop(stage, 0.1)
    stage.run(Intent.JOIN)
    assert stage.cells() == [Cell.ON, Cell.ON]


def test_a_stop_with_a_load_balancer_that_fell_silent_says_what_a_person_has_to_do(stage: Stage) -> None:
    stage.balancers["lb1"].serve(ONLINE, "n1", 1)
    asked_to_stop(stage, 3)
    stage.time.after(2, lambda: setattr(stage.balancers["lb2"], "silent", True))
    with pytest.raises(Stuck, match=f"NOT online again: .*'set server {ONLINE}/n1 state ready"):
        stage.run(Intent.LEAVE, silent=5.0)
    assert stage.cells_of("lb1") == Cell.ON


@pytest.mark.parametrize(
    ("before", "kept_out", "after"),
    [
        # It came back on lb2: customers keep what they had there, and lb1 gets nothing.
        ((shown.TEST, shown.ON), {"n1"}, [Cell.OUT, Cell.ON]),
        ((shown.TEST, shown.ON), set(), [Cell.ON, Cell.ON]),
        # Somebody else's, taken over: nothing comes in by a leave that fails.
        ((shown.DRAINED, shown.OUT), {"n1"}, [Cell.OUT, Cell.OUT]),
        ((shown.ON, shown.ON), {"n1"}, [Cell.ON, Cell.ON]),
    ],
)
def test_a_leave_that_is_given_up_brings_no_node_in_that_was_out_before(
    stage: Stage, before: tuple[Any, Any], kept_out: set[str], after: list[Cell]
) -> None:
    for balancer, entries in zip(stage.balancers.values(), before, strict=True):
        balancer.show({**dict.fromkeys(NODES, shown.ON), "n1": entries})
        balancer.serve(ONLINE, "n1", 1)
    move = stage.move("n1", soft=1, hard=2)
    assert move.preview(Intent.LEAVE, ours={"n1"})
    with pytest.raises(Undone, match="sessions are left at the hard deadline"):
        move.run(Intent.LEAVE, kept_out)
    stage.time.sleep(5)
    assert stage.cells() == after


def is_down(stage: Stage, name: str) -> None:
    """No HAProxy runs there: its saved state is read and written, and no check ever passes in it."""
    balancer = stage.balancers[name]
    real = balancer.read
    balancer.pid = 0
    balancer.read = lambda backends=(): replace(real(backends), pid=balancer.pid, proof="no HAProxy process")  # type: ignore[method-assign]
    balancer.dead.update(NODES)


def comes_back(stage: Stage, name: str) -> None:
    balancer = stage.balancers[name]
    balancer.pid = 200
    balancer.read = partial(SimulatedHaproxy.read, balancer)  # type: ignore[method-assign]
    balancer.dead.clear()


def test_one_that_is_down_is_moved_with_the_others_and_told(stage: Stage) -> None:
    is_down(stage, "lb2")
    move = stage.run(Intent.LEAVE)
    assert stage.cells() == [Cell.TEST, Cell.TEST]
    assert move.report.left_out == {"lb2": "no HAProxy process"}
    move = stage.run(Intent.JOIN)
    assert stage.cells_of("lb1") is Cell.ON
    assert stage.balancers["lb2"].applied[-1] == f"set server {ONLINE}/n1 health up"
    assert not any("health up" in command for command in stage.balancers["lb1"].applied)


def test_one_that_is_down_counts_for_no_floor(stage: Stage) -> None:
    is_down(stage, "lb2")
    stage.balancers["lb2"].show({**dict.fromkeys(NODES, shown.RISING), "n1": shown.ON})
    stage.run(Intent.LEAVE, floor="3")
    assert stage.cells() == [Cell.TEST, Cell.TEST]


def test_one_that_comes_back_is_said_and_moved_like_the_others(stage: Stage) -> None:
    is_down(stage, "lb2")
    stage.balancers["lb1"].serve(ONLINE, "n1", 3)
    stage.time.after(2, lambda: comes_back(stage, "lb2"))
    stage.time.after(4, lambda: stage.balancers["lb1"].serve(ONLINE, "n1", 0))
    move = stage.run(Intent.LEAVE)
    assert stage.cells() == [Cell.TEST, Cell.TEST]
    assert move.report.back == ["lb2"]
    assert len([line for line in stage.told if line.startswith("lb2 is back")]) == 1


def test_nothing_moves_when_all_are_down(stage: Stage) -> None:
    for name in stage.balancers:
        is_down(stage, name)
    with pytest.raises(Refused, match="no HAProxy runs on any of the load balancers; nothing was touched"):
        stage.move().preview(Intent.LEAVE, ())
