"""Lost, half, garbled and missing answers: read back, then decide. Never assume, never hang."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Locked, Refused, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import Batch, Runtime
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.parallel import in_parallel
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, Pool
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_report import Stuck, Undone
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_surroundings import Surroundings
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.moves import Move
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share
from tests.integration.haproxy.haproxy_site import (
    MAINTENANCE,
    NET,
    ONLINE,
    PATIENT,
    Customers,
    ScriptedSocket,
    Site,
)
from tests.waiting import PATIENCE_S

Answer = Callable[[], bytes]
# What waits for one that hangs has not ended by then.
HANGS_S = 300.0


def lost(connection: socket.socket, request: bytes, answer: Answer) -> None:
    answer()


def never_sent(connection: socket.socket, request: bytes, answer: Answer) -> None:
    """HAProxy died between connection and command."""


def half(connection: socket.socket, request: bytes, answer: Answer) -> None:
    whole = answer()
    connection.sendall(whole[: len(whole) // 2])


def garbage(connection: socket.socket, request: bytes, answer: Answer) -> None:
    answer()
    connection.sendall(os.urandom(4000) + b"\n\n")


def web_server(connection: socket.socket, request: bytes, answer: Answer) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n<html>\n\nnot a socket of HAProxy</html>\n")


def hang(connection: socket.socket, request: bytes, answer: Answer) -> None:
    answer()
    time.sleep(HANGS_S)


def endless(connection: socket.socket, request: bytes, answer: Answer) -> None:
    while True:
        connection.sendall(b"x" * 65536)


def scripted_runtime(site: Site, scripted: ScriptedSocket, master: str = "", **options: float) -> Runtime:
    access = replace(site.load_balancers["lb2"].access, socket=str(scripted.path))
    access = replace(access, master_socket=master or access.master_socket)
    return Runtime(PosixNode("lb2", LocalShell()), access, **{"answer": 1, **options})


def scripted_move(site: Site, scripted: ScriptedSocket, master: str = "", silent: float = 5, floor: int = 1) -> Move:
    admins = {"lb1": site.load_balancers["lb1"].runtime(), "lb2": scripted_runtime(site, scripted, master)}
    pool = Pool(ONLINE, MAINTENANCE, Share.parse(floor), ("n1",))
    return Move(admins, [pool], replace(PATIENT, silent=silent), Surroundings(in_parallel))


# How the questions of a move begin, by what they are for.
QUESTIONS = {
    b"show info;show cli level;": "read",
    b"show info;show servers state": "guard",
    b"show info\n": "guard",
    b"set server": "send",
    b"show servers state": "save",
    b"show proc": "processes",
}


class OnceEach:
    """Spoils the first answer to each kind of question."""

    def __init__(self, fault: Callable[..., None]) -> None:
        self.spoiled: set[str] = set()
        self._fault = fault

    def __call__(self, connection: socket.socket, request: bytes, answer: Answer) -> None:
        [kind] = [kind for start, kind in QUESTIONS.items() if request.startswith(start)]
        if kind in self.spoiled:
            connection.sendall(answer())
        else:
            self.spoiled.add(kind)
            self._fault(connection, request, answer)


def left(site: Site) -> None:
    move = site.move(["n1"])
    assert move.preview(Intent.LEAVE, ours=())
    move.run(Intent.LEAVE)


@pytest.mark.parametrize(
    ("fault", "intent", "goal"),
    [
        (lost, Intent.LEAVE, Cell.TEST),
        (lost, Intent.JOIN, Cell.ON),
        (never_sent, Intent.JOIN, Cell.ON),
        (half, Intent.LEAVE, Cell.TEST),
        (garbage, Intent.JOIN, Cell.ON),
        (hang, Intent.LEAVE, Cell.TEST),
    ],
)
def test_one_broken_answer_to_each_question_does_not_change_where_a_move_ends(
    site: Site, fault: Callable[..., None], intent: Intent, goal: Cell
) -> None:
    if intent is Intent.JOIN:
        left(site)
    balancer, once = site.load_balancers["lb2"], OnceEach(fault)
    began = time.monotonic()
    with (
        ScriptedSocket(balancer, once, b"", times=10_000) as scripted,
        ScriptedSocket(balancer, once, b"", times=10_000, of_master=True) as master,
        Customers(f"{NET}.0.2") as customers,
    ):
        move = scripted_move(site, scripted, str(master.path), silent=60)
        # The first look asks twice: one broken answer at a time.
        once.spoiled.add("processes")
        assert move.preview(intent, ours={"n1"})
        assert once.spoiled == {"read", "processes"}
        once.spoiled.clear()
        move.run(intent)
        assert once.spoiled == set(QUESTIONS.values())
    assert customers.failures == []
    assert site.cells("n1") == [goal, goal]
    assert time.monotonic() - began < HANGS_S


@pytest.mark.parametrize(
    ("intent", "goal", "carried_out"), [(Intent.LEAVE, Cell.TEST, True), (Intent.JOIN, Cell.ON, False)]
)
def test_haproxy_dies_between_a_command_and_its_answer(
    site: Site, intent: Intent, goal: Cell, carried_out: bool
) -> None:
    """It is started again a moment later, with what was saved before that command."""
    if intent is Intent.JOIN:
        left(site)
    balancer = site.load_balancers["lb2"]
    restart = threading.Thread(target=balancer.start)

    def dies(connection: socket.socket, request: bytes, answer: Answer) -> None:
        if carried_out:
            answer()
        balancer.kill()
        restart.start()

    with ScriptedSocket(balancer, dies) as scripted, Customers(f"{NET}.0.1") as customers:
        # A HAProxy that has just started counts on no server before its first check: a floor would undo the leave.
        move = scripted_move(site, scripted, silent=60, floor=0)
        assert move.preview(intent, ours={"n1"})
        move.run(intent)
        assert scripted.spoiled == 1
    restart.join(PATIENCE_S)
    assert customers.failures == []
    assert site.cells("n1") == [goal, goal]


@pytest.mark.parametrize("fault", [lost, half, garbage, hang])
def test_a_socket_that_stays_broken_midway_is_undone_elsewhere_and_named(
    site: Site, fault: Callable[..., None]
) -> None:
    """From the first command on nothing is answered any more, though HAProxy carries it out."""
    began = time.monotonic()
    dead = threading.Event()

    def from_then_on(connection: socket.socket, request: bytes, answer: Answer) -> None:
        if b"set server" in request:
            dead.set()
        if dead.is_set():
            fault(connection, request, answer)
        else:
            connection.sendall(answer())

    with ScriptedSocket(site.load_balancers["lb2"], from_then_on, b"", times=10_000) as scripted:
        move = scripted_move(site, scripted)
        assert move.preview(Intent.LEAVE, ours=())
        with pytest.raises(Stuck) as stuck:
            move.run(Intent.LEAVE)
    assert time.monotonic() - began < HANGS_S
    assert f"set server {ONLINE}/n1 state ready" in stuck.value.remedy and "on lb2" in stuck.value.remedy
    assert str(scripted.path) in stuck.value.where
    assert site.cells("n1") == [Cell.ON, Cell.DRAIN]


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [
        (lost, Unreachable, "did not answer"),
        (half, Unreachable, r"HAProxy answered \d of 4 questions"),
        (hang, Unreachable, "did not answer"),
        (garbage, (Unreachable, BadInput), "load balancer lb2"),
        (web_server, (Unreachable, BadInput), "load balancer lb2"),
        (endless, BadInput, "larger than 8 MiB"),
    ],
)
def test_a_broken_reading_is_an_error_with_its_place(
    site: Site, fault: Callable[..., None], error: type[Exception], text: str
) -> None:
    """The master's too: without it nobody knows of old workers, and of reloads that failed."""
    balancer = site.load_balancers["lb2"]
    began = time.monotonic()
    with ScriptedSocket(balancer, fault, b"show") as scripted:
        with pytest.raises(error, match=text) as raised:
            scripted_runtime(site, scripted).read()
        assert "lb2" in str(raised.value)
    with ScriptedSocket(balancer, fault, b"show proc", of_master=True) as master:
        access = replace(balancer.access, master_socket=str(master.path))
        with pytest.raises((Unreachable, BadInput), match=r"the master socket|can't be read") as raised:
            Runtime(PosixNode("lb2", LocalShell()), access, answer=1).read()
        assert "lb2" in str(raised.value)
    assert time.monotonic() - began < HANGS_S


def test_a_batch_is_not_sent_when_a_server_is_not_as_expected(site: Site) -> None:
    runtime = site.load_balancers["lb1"].runtime()
    before = runtime.read()
    rows = (before.servers[ONLINE, "n1"], before.servers[ONLINE, "n2"])
    runtime.apply(Batch((f"set server {ONLINE}/n2 state drain",), before.pid), [ONLINE])
    applied = runtime.apply(Batch((f"set server {ONLINE}/n1 state drain",), before.pid, rows, (ONLINE,)), [ONLINE])
    assert applied.changed == f"server {ONLINE}/n2 2 0"
    assert site.cells("n1") == [Cell.ON, Cell.ON]


def test_a_batch_is_not_sent_to_another_worker_than_the_one_that_was_read(site: Site) -> None:
    balancer = site.load_balancers["lb1"]
    before = balancer.read()
    balancer.reload()
    applied = balancer.runtime().apply(Batch((f"set server {ONLINE}/n1 state drain",), before.pid), [ONLINE])
    assert applied.changed == f"pid {before.pid}"
    site.await_cells("n1", Cell.ON)


def test_a_refused_command_is_told_with_haproxys_words(site: Site) -> None:
    runtime = site.load_balancers["lb1"].runtime()
    commands = (f"set server {ONLINE}/n1 state drain", f"set server {ONLINE}/nobody state drain")
    applied = runtime.apply(Batch(commands, runtime.read().pid), [ONLINE])
    assert applied.complete
    assert applied.rejected == ((commands[1], "No such server."),)


def test_a_lock_that_stays_taken_is_told_and_nothing_is_sent(site: Site) -> None:
    balancer = site.load_balancers["lb1"]
    runtime = balancer.runtime(lock=1)
    with Path(balancer.access.lock).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Locked, match="the lock stayed taken for 1 s"):
            runtime.apply(Batch((f"set server {ONLINE}/n1 state drain",), runtime.read().pid), [ONLINE])
    assert site.cells("n1") == [Cell.ON, Cell.ON]


def test_a_state_folder_that_is_gone_refuses_before_anything_is_sent(site: Site) -> None:
    balancer = site.load_balancers["lb1"]
    access = replace(balancer.access, state_dir=str(balancer.home / "nowhere"))
    runtime = Runtime(PosixNode("lb1", LocalShell()), access)
    with pytest.raises(Refused, match="nowhere is no folder"):
        runtime.apply(Batch((f"set server {ONLINE}/n1 state drain",), runtime.read().pid), [ONLINE])
    assert site.cells("n1") == [Cell.ON, Cell.ON]


def test_a_state_that_can_no_longer_be_saved_undoes_the_leave(site: Site) -> None:
    balancer = site.load_balancers["lb2"]
    # In the way of the rename: a folder with the file's name.
    (balancer.state_dir / MAINTENANCE / "x").mkdir(parents=True)
    move = site.move(["n1"], silent=1.0)
    assert move.preview(Intent.LEAVE, ours=())
    with pytest.raises((Undone, Stuck), match="can't be saved"):
        move.run(Intent.LEAVE)
    assert site.cells("n1") == [Cell.ON, Cell.ON]


def shifted(connection: socket.socket, request: bytes, answer: Answer) -> None:
    connection.sendall(b"\n" + answer())


def too_few(connection: socket.socket, request: bytes, answer: Answer) -> None:
    connection.sendall(b"".join(answer().partition(b"\n\n")[:2]))


@pytest.mark.parametrize(
    ("fault", "unsaved"),
    [
        *((fault, (ONLINE, MAINTENANCE)) for fault in (lost, garbage, web_server, shifted)),
        *((fault, (MAINTENANCE,)) for fault in (half, too_few)),
    ],
)
def test_a_broken_answer_is_never_saved(site: Site, fault: Callable[..., None], unsaved: tuple[str, ...]) -> None:
    """HAProxy would ignore such a file as a whole, or take one backend's state for the other's."""

    def spoil_the_save(connection: socket.socket, request: bytes, answer: Answer) -> None:
        if request.startswith(b"show servers state"):
            fault(connection, request, answer)
        else:
            connection.sendall(answer())

    folder = site.load_balancers["lb2"].state_dir
    for name in (ONLINE, MAINTENANCE):
        (folder / name).write_text("as it was\n")
    with ScriptedSocket(site.load_balancers["lb2"], spoil_the_save, b"", times=10_000) as scripted:
        runtime = scripted_runtime(site, scripted)
        applied = runtime.apply(Batch((), runtime.read().pid, save=(ONLINE, MAINTENANCE)), [ONLINE])
    assert applied.unsaved == unsaved
    saved = {path.name: path.read_text() for path in folder.iterdir()}
    assert saved.keys() == {ONLINE, MAINTENANCE}
    assert {name for name, text in saved.items() if text == "as it was\n"} == {*unsaved}


def test_200_changes_are_one_exchange(site: Site) -> None:
    servers = "\n".join(f"  server s{number} {NET}.9.9:1 disabled" for number in range(200))
    balancer = site.load_balancers["lb1"]
    balancer.configure(extra=f"backend many\n  server-state-file-name use-backend-name\n{servers}")
    balancer.reload()
    runtime = balancer.runtime()
    took = []
    for wanted in ("ready", "maint", "drain"):
        before = runtime.read(["many"])
        commands = tuple(f"set server many/s{number} state {wanted}" for number in range(200))
        began = time.monotonic()
        applied = runtime.apply(Batch(commands, before.pid, tuple(before.rows("many")), ("many",)), ["many"])
        took.append(1000 * (time.monotonic() - began))
        assert applied.complete and not (applied.rejected or applied.changed or applied.unsaved)
        assert len({row.admin.effective for row in applied.state.rows("many")}) == 1
