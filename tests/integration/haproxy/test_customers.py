"""Customers of every kind, while a node leaves and joins: what each of them notices, on HAProxy 2.6 and 2.8.

No customer here sends a request twice. Where nothing is cut, none fails, and HAProxy counts no error and no retry.
"""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_report import Undone
from lab import haproxy_socket
from tests.integration.haproxy.clients import Caller, Crowd, Failed, Http1, Http2, Line
from tests.integration.haproxy.customers_site import NODES, SOFT_S, CustomersSite
from tests.integration.haproxy.test_walks import PROGRAMS
from tests.waiting import PATIENCE_S, until

OTHERS = {"n2", "n3"}
TO_N1 = "node=n1"


@pytest.fixture(scope="module", params=sorted(PROGRAMS))
def running(request: pytest.FixtureRequest) -> Iterator[CustomersSite]:
    program = PROGRAMS[request.param]
    with tempfile.TemporaryDirectory(prefix="tg") as home, CustomersSite(program, Path(home)).running() as site:
        yield site


@pytest.fixture
def site(running: CustomersSite) -> Iterator[CustomersSite]:
    """Everybody online, HAProxy's counters at zero."""
    running.forget_counters()
    yield running
    running.mend()


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    """Where a move is made while the test looks at it."""
    with ThreadPoolExecutor(6) as pool:
        yield pool


def assert_clean(site: CustomersSite, kind: str) -> None:
    """HAProxy counted no error, no retry, and no request that went to another server than it was meant for."""
    trouble = site.trouble(kind)
    assert not any(trouble.values()), trouble


def goes_on(crowd: Crowd, without: str = "") -> None:
    """Wait until customers have been served some more, by whom they should be."""
    now = time.monotonic()
    until(lambda: len(crowd.nodes_since(now)) > 30, "customers go on")
    assert without not in crowd.nodes_since(now)


@pytest.mark.parametrize("kind", [Http1, Http2])
def test_no_customer_here_ever_asks_again(kind: type[Http1 | Http2], background: ThreadPoolExecutor) -> None:
    """A server that takes a request and hangs up: each visit is one connection, and one failure."""
    asked: list[bytes] = []

    def hang_up() -> None:
        connection, _ = server.accept()
        with connection:
            asked.append(connection.recv(65536))

    with socket.create_server(("127.48.2.1", 8080)) as server:
        server.settimeout(PATIENCE_S)
        caller = kind(server.getsockname())
        for visit in (1, 2, 3):
            answered = background.submit(hang_up)
            with pytest.raises((Failed, OSError)):
                caller.ask()
            caller.close()
            answered.result()
            assert len(asked) == visit
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()


# Customers who come again and again


def crowds(site: CustomersSite) -> dict[str, tuple[str, list[Caller]]]:
    """Who asks which pool."""
    cookie, plain, http2 = site.address("cookie"), site.address("plain"), site.address("plain", "proto h2")
    sticky = [Http1(cookie, cookie=f"node={node}", keeps=keeps) for node in NODES for keeps in (True, False)]
    return {
        "cookie": ("cookie", [*sticky, Http1(cookie, keeps=False)]),
        "cookie over HTTP/2": ("cookie", [Http2(site.address("cookie", "proto h2"), cookie=TO_N1) for _ in range(3)]),
        "stick table": ("table", [Http1(site.address("table"), cookie=f"who={number}") for number in range(6)]),
        "keep-alive": ("plain", [Http1(plain) for _ in range(5)]),
        "new connections": ("plain", [Http1(plain, keeps=False) for _ in range(5)]),
        "HTTP/2": ("plain", [Http2(http2) for _ in range(4)]),
    }


@pytest.mark.parametrize(
    "who", ["cookie", "cookie over HTTP/2", "stick table", "keep-alive", "new connections", "HTTP/2"]
)
def test_customers_who_come_again_and_again_lose_nothing(site: CustomersSite, who: str) -> None:
    kind, callers = crowds(site)[who]
    with Crowd(*callers) as crowd:
        assert "n1" in crowd.nodes_since(0)
        move = site.leave(kind)
        goes_on(crowd, without="n1")
        site.join(kind)
        joined = time.monotonic()
        # Those who always come with a cookie, or are in a table, stay where they were moved.
        if who not in ("cookie over HTTP/2", "stick table"):
            until(lambda: "n1" in crowd.nodes_since(joined), "n1 has customers again")
    assert crowd.failures == []
    assert move.report.drained_seconds["n1"] < SOFT_S, "before drain.soft"
    assert_clean(site, kind)


def test_cookie_customers_keep_their_node_until_the_soft_deadline(
    site: CustomersSite, background: ThreadPoolExecutor
) -> None:
    soft, newcomer = 1.5, Http1(site.address("cookie"), keeps=False)
    with Crowd(*crowds(site)["cookie"][1]) as crowd:
        began = time.monotonic()
        leave = background.submit(site.leave, "cookie", soft=soft, cookies_stay=True)
        # It may be over before it is looked at.
        until(lambda: leave.done() or site.cells("cookie")[0] is Cell.DRAIN, "n1 drains")
        met = {newcomer.ask()[0] for _ in range(12)}
        still_drained = site.cells("cookie")[0] is Cell.DRAIN
        move = leave.result()
        goes_on(crowd, without="n1")
    assert crowd.failures == []
    assert move.report.drained_seconds["n1"] >= soft
    assert max(sent - began for sent, node in crowd.served if node == "n1") > soft / 2
    assert met == OTHERS or not still_drained
    assert_clean(site, "cookie")


def test_a_cookie_that_overrules_maint_undoes_the_leave(site: CustomersSite) -> None:
    """`option persist`: without a look at who still comes, n1 would be deployed to under its customers."""
    said = "customers still reach n1 in persist_online on lb1, which is in MAINT"
    customers = [Http1(site.address("persist"), cookie=TO_N1) for _ in range(6)]
    with Crowd(*customers) as crowd, pytest.raises(Undone, match=said):
        site.leave("persist")
    assert site.cells("persist") == [Cell.ON] * 3
    assert crowd.failures == []
    assert_clean(site, "persist")


def test_idle_customers_do_not_hold_a_leave_and_are_served_by_others_afterwards(site: CustomersSite) -> None:
    idle: list[Caller] = [
        *(Http1(site.address("plain")) for _ in range(6)),
        *(Http2(site.address("plain", "proto h2")) for _ in range(3)),
    ]
    met = {node for caller in idle for node in caller.ask()}
    assert met == set(NODES)
    move = site.leave("plain")
    assert move.report.drained_seconds["n1"] < SOFT_S, "before drain.soft"
    assert {node for caller in idle for _ in range(3) for node in caller.ask()} == OTHERS
    assert_clean(site, "plain")


def test_a_queue_is_waited_for_though_its_customers_may_be_meant_for_others(
    site: CustomersSite, background: ThreadPoolExecutor
) -> None:
    """One request at a time for each server: a fourth customer waits for any of them."""
    for node in NODES:
        site.applications[node].holding = True
    asking = [background.submit(Http1(site.address("queue")).ask, "/held") for _ in range(4)]
    until(lambda: site.stat("queue", "BACKEND")["qcur"] == "1", "one waits for any node")
    leave = background.submit(site.leave, "queue")
    site.await_cell("queue", Cell.DRAIN)
    site.applications["n1"].holding = False
    until(lambda: site.stat("queue", "n1")["scur"] == "0", "n1 has answered")
    time.sleep(0.3)
    assert not leave.done() and site.cells("queue")[0] is Cell.DRAIN
    for node in OTHERS:
        site.applications[node].holding = False
    assert sorted(each.result()[0] for each in asking)[:1] == ["n1"]
    leave.result()
    assert_clean(site, "queue")


def test_customers_in_a_servers_own_queue_are_given_to_others(
    site: CustomersSite, background: ThreadPoolExecutor
) -> None:
    """Their cookie names a server that is full: HAProxy moves them, counts that as re-dispatched, and sends once."""
    site.applications["n1"].holding = True
    asking = [background.submit(Http1(site.address("queue"), cookie=TO_N1).ask, "/held") for _ in range(3)]
    until(lambda: site.stat("queue", "n1")["qcur"] == "2", "two wait for n1")
    leave = background.submit(site.leave, "queue", soft=0.5)
    until(lambda: sum(each.done() for each in asking) == 2, "those who waited were served")
    assert not leave.done()
    site.applications["n1"].holding = False
    assert sorted(each.result()[0] for each in asking)[0] == "n1"
    assert leave.result().report.sessions_cut == {}
    assert {name: count for name, count in site.trouble("queue").items() if count} in ({}, {"wredis": 2})


# Sessions that last


class Held:
    """One customer's business with n1 that goes on until it is ended: a line, or a request that n1 sits on."""

    def __init__(self, site: CustomersSite, kind: str, sessions: int = 1) -> None:
        self.site, self.kind, self.sessions = site, kind, sessions

    def end(self) -> bool:
        """Bring it to its end, if it still goes on; whether its customer was well served all the time."""
        raise NotImplementedError

    def lasts(self) -> None:
        """Wait until HAProxy counts it."""
        until(lambda: self.site.stat(self.kind, "n1")["scur"] == str(self.sessions), f"n1 has {self.sessions}")


class HeldLine(Held):
    """A websocket, or a connection in TCP mode over which nothing goes."""

    def __init__(self, site: CustomersSite, kind: str) -> None:
        super().__init__(site, kind)
        address = site.address(kind)
        while (line := Line(address, upgrade=kind != "tcp", cookie=TO_N1)).node != "n1":
            line.close()
        self._line = line
        self.lasts()

    def end(self) -> bool:
        works = self._line.works()
        self._line.close()
        return works


class HeldRequest(Held):
    """Requests that n1 answers only when it is let go."""

    def __init__(self, site: CustomersSite, caller: Caller, sessions: int = 1) -> None:
        super().__init__(site, "cookie", sessions)
        site.applications["n1"].holding = True
        self._caller, self._let_go, self._wrong = caller, threading.Event(), list[BaseException]()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.lasts()

    def _run(self) -> None:
        try:
            self.ask()
        except (Failed, OSError) as error:
            self._wrong.append(error)
        self._caller.close()

    def ask(self) -> None:
        self._caller.ask("/held")

    def end(self) -> bool:
        self.site.applications["n1"].holding = False
        self._let_go.set()
        self._thread.join(PATIENCE_S)
        return not self._wrong


class HeldBody(HeldRequest):
    """A request half of whose body is sent, the rest when it is let go."""

    def ask(self) -> None:
        assert isinstance(self._caller, Http1)
        self._caller.send("POST / HTTP/1.1\r\n", b"x" * 1000, lambda: self._let_go.wait(PATIENCE_S))


def websocket(site: CustomersSite) -> Held:
    return HeldLine(site, "cookie")


def websocket_in_an_old_worker(site: CustomersSite) -> Held:
    held = HeldLine(site, "cookie")
    site.balancer.reload()
    until(lambda: site.cells("cookie") == [Cell.ON] * 3, "everybody is online after the reload")
    return held


def idle_in_tcp_mode(site: CustomersSite) -> Held:
    return HeldLine(site, "tcp")


def slow_answer(site: CustomersSite) -> Held:
    return HeldRequest(site, Http1(site.address("cookie"), cookie=TO_N1))


def slow_body(site: CustomersSite) -> Held:
    return HeldBody(site, Http1(site.address("cookie"), cookie=TO_N1))


def http2_streams(site: CustomersSite) -> Held:
    caller = Http2(site.address("cookie", "proto h2"), cookie=TO_N1)
    return HeldRequest(site, caller, caller.streams)


HOLDS = (websocket, websocket_in_an_old_worker, idle_in_tcp_mode, slow_answer, slow_body, http2_streams)
# The everyday run has each kind once, and on both versions what depends on them.
ONCE = (websocket, idle_in_tcp_mode, slow_answer, slow_body)


@pytest.mark.parametrize(
    ("running", "hold"),
    [
        pytest.param(version, hold, marks=[pytest.mark.slow] if version == "2.6" and hold in ONCE else [])
        for version in sorted(PROGRAMS)
        for hold in HOLDS
    ],
    indirect=["running"],
    scope="module",
)
def test_what_lasts_holds_a_leave_and_is_put_back_or_cut_at_the_hard_deadline(
    site: CustomersSite, background: ThreadPoolExecutor, hold: Callable[[CustomersSite], Held]
) -> None:
    held = hold(site)
    place = f"n1 in {held.kind}_online on lb1: {held.sessions}"
    with pytest.raises(Undone, match=rf"sessions are left at the hard deadline \({place}\)"):
        site.leave(held.kind, soft=0.2, hard=0.4)
    assert site.cells(held.kind) == [Cell.ON] * 3
    # The same session goes on, and the next leave waits for its end.
    leave = background.submit(site.leave, held.kind, soft=0.2)
    site.await_cell(held.kind, Cell.OUT)
    time.sleep(0.3)
    assert not leave.done() and site.cells(held.kind)[0] is Cell.OUT
    assert held.end(), "its customer was served to the end"
    assert leave.result().report.sessions_cut == {}
    site.join(held.kind)
    assert_clean(site, held.kind)

    held = hold(site)
    move = site.leave(held.kind, soft=0.2, hard=0.4, cut=True)
    assert move.report.sessions_cut == {"n1": held.sessions}
    assert site.cells(held.kind)[0] is Cell.TEST
    assert not held.end(), "its customer notices"


def test_a_request_that_an_old_worker_may_still_send_anywhere_holds_the_leave(
    site: CustomersSite, background: ThreadPoolExecutor
) -> None:
    """To the old worker n1 is UP whatever is set, and nothing can be set there."""
    with socket.create_connection(site.address("cookie"), PATIENCE_S) as customer:
        customer.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n")
        time.sleep(0.1)
        site.balancer.reload()
        site.await_cell("cookie", Cell.ON)
        said = r"old workers may still give customers' requests to nodes that left, at the hard deadline \(lb1: 1\)"
        with pytest.raises(Undone, match=said):
            site.leave("cookie", soft=0.2, hard=0.4)
        leave = background.submit(site.leave, "cookie", soft=0.2)
        site.await_cell("cookie", Cell.OUT)
        time.sleep(0.3)
        assert not leave.done()
        customer.sendall(f"Cookie: {TO_N1}\r\n\r\n".encode())
        assert customer.recv(4096).endswith(b"n1"), "n1 was there for it"
    leave.result()
    assert site.cells("cookie")[0] is Cell.TEST


# What the configuration adds


def test_slowstart_begins_when_the_node_is_up_and_not_before(
    site: CustomersSite, background: ThreadPoolExecutor
) -> None:
    site.leave("ramp")
    join = background.submit(site.join, "ramp")
    shown: list[tuple[str, int]] = []

    def look() -> bool:
        row = site.stat("ramp", "n1")
        shown.append((row["status"], int(row["weight"])))
        return shown[-1] == ("UP", 100)

    until(look, "n1 has its whole weight")
    join.result()
    ramp = [weight for status, weight in shown if status == "UP"]
    assert ramp == sorted(ramp)
    assert ramp[0] < 50, "as after a start: the safe re-entry has not used it up"
    assert len(set(ramp)) > 2


@pytest.mark.slow
def test_waiting_in_drain_would_use_slowstart_up(site: CustomersSite) -> None:
    """So that the test above means something: the other safe way to come back does not ramp."""
    socket_path = site.balancer.home / "a.sock"
    for state, seconds in (("maint", 0.2), ("drain", 6.0), ("ready", 0.0)):
        haproxy_socket.ask(socket_path, f"set server ramp_online/n1 state {state}")
        time.sleep(seconds)
    row = site.stat("ramp", "n1")
    assert (row["status"], row["weight"]) == ("UP", "100")


def test_shutdown_sessions_cuts_at_maint_and_the_drain_before_it_keeps_requests(
    site: CustomersSite, background: ThreadPoolExecutor
) -> None:
    """`on-marked-down shutdown-sessions` can't be seen from outside: only the soft deadline shows it."""
    callers = [Http1(site.address("shutdown")) for _ in range(3)]

    def held() -> list[Future[Sequence[str]]]:
        for node in NODES:
            site.applications[node].holding = True
        asking = [background.submit(caller.ask, "/held") for caller in callers]
        until(lambda: all(site.stat("shutdown", node)["scur"] == "1" for node in NODES), "all work")
        return asking

    def let_go() -> None:
        for node in NODES:
            site.applications[node].holding = False

    asking = held()
    leave = background.submit(site.leave, "shutdown")
    site.await_cell("shutdown", Cell.DRAIN)
    let_go()
    leave.result()
    assert {each.result()[0] for each in asking} == set(NODES)
    site.join("shutdown")
    asking = held()
    move = site.leave("shutdown", soft=0.2)
    let_go()
    assert move.report.sessions_cut == {}, "HAProxy does not tell"
    assert sorted(bool(each.exception()) for each in asking) == [False, False, True]
