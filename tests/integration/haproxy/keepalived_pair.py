"""Two load balancers with one address, which real keepalived (VRRP) moves between them, in network namespaces.

`net` has the bridge, the nodes and the customers; each load balancer has a namespace of its own. Threads that open
sockets enter `net` (setns is per thread), so that everything is one process.
"""

from __future__ import annotations

import ctypes
import http.client
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.integration.haproxy.haproxy_site import Backend, LoadBalancer, Site
from tests.waiting import PATIENCE_S, until

PREFIX = "10.34.7"
ADDRESS = f"{PREFIX}.100"
_CLONE_NEWNET = 0x40000000
# A connection whose other end has lost its address hears nothing any more.
_DEAF_S = 10.0
# lb1 has 100 more while it is preferred.
_PRIORITY = {"lb1": 50, "lb2": 80}
Answer = TypeVar("Answer")

_KEEPALIVED = """\
global_defs {{
  vrrp_version 3
  script_user root
}}
vrrp_script answers {{
  script "/bin/sh {home}/answers"
  interval 1
  timeout 30
  fall 1
  rise 1
}}
vrrp_script preferred {{
  script "/bin/sh {home}/preferred"
  interval 1
  weight 100
  fall 1
  rise 1
}}
vrrp_instance edge {{
  state BACKUP
  interface eth0
  virtual_router_id 34
  priority {priority}
  advert_int 1
  virtual_ipaddress {{
    {address}/24 dev eth0
  }}
  track_script {{
    answers
    preferred
  }}
}}
"""


@dataclass(frozen=True)
class Request:
    """One of a customer's: when its connection was opened, and what came; `error` is empty when it was answered."""

    opened: float
    ended: float
    error: str = ""
    node: str = ""
    balancer: str = ""


@dataclass
class Pair:
    """The site behind the address. `moves` are the times in which the address was on its way."""

    site: Site
    net: str
    requests: list[Request] = field(default_factory=list)
    moves: list[tuple[float, float]] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def inside(self, work: Callable[[], Answer]) -> Answer:
        """What `work` gives, run where the nodes and the customers are."""
        with ThreadPoolExecutor(1, initializer=_enter, initargs=(self.net,)) as pool:
            return pool.submit(work).result()

    def prefer(self, name: str, *, yes: bool) -> None:
        """Raise or lower its priority."""
        (self.site.load_balancers[name].home / "preferred").write_text(f"exit {0 if yes else 1}\n")

    def moved(self, to: str, trigger: Callable[[], None]) -> None:
        """Do what makes the address move, and wait until a customer was answered there."""
        began = time.monotonic()
        trigger()
        until(lambda: any(r.balancer == to and r.opened > began for r in list(self.requests)), f"{to} answers")
        self.moves.append((began, time.monotonic()))

    def unexplained(self) -> list[Request]:
        """Failures of connections that no move of the address has met."""
        return [
            request
            for request in self.requests
            if request.error and not any(request.opened <= end and request.ended >= begin for begin, end in self.moves)
        ]

    @contextmanager
    def customers(self) -> Iterator[None]:
        """Some with a connection for each request, some that keep theirs; none retries."""
        self._over.clear()
        threads = [self._start(self._come_again, keep) for keep in (False, False, True, True)]
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join(PATIENCE_S)

    def release(self) -> None:
        """Let the nodes answer those whom they hold."""
        for node in self.site.backends.values():
            node.released.set()

    def hold(self, count: int) -> list[threading.Thread]:
        """Customers whose answers come when the nodes release them."""
        return [self._start(self._hold) for _ in range(count)]

    def _start(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        def run() -> None:
            _enter(self.net)
            work(*arguments)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def _hold(self) -> None:
        self._ask(http.client.HTTPConnection(ADDRESS, 8080, timeout=PATIENCE_S), "/held", time.monotonic())

    def _come_again(self, keep: bool) -> None:
        connection, opened = None, 0.0
        while not self._over.is_set():
            if connection is None:
                connection, opened = (
                    http.client.HTTPConnection(ADDRESS, 8080, timeout=_DEAF_S),
                    time.monotonic(),
                )
            good = self._ask(connection, "/", opened)
            if not (keep and good):
                connection.close()
                connection = None
            time.sleep(0.02)

    def _ask(self, connection: http.client.HTTPConnection, path: str, opened: float) -> bool:
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            node = response.read().decode()
            error = "" if response.status == 200 else str(response.status)
            balancer = response.headers.get("X-Balancer", "")
            self.requests.append(Request(opened, time.monotonic(), error, node, balancer))
        except (OSError, http.client.HTTPException) as failure:
            self.requests.append(Request(opened, time.monotonic(), repr(failure)))
            return False
        return not error


@contextmanager
def pair() -> Iterator[Pair]:
    """Four nodes behind two load balancers; lb1 has the address."""
    names = {place: f"tg{os.getpid()}-{place}" for place in ("net", "lb1", "lb2")}
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tg")))
        for name in names.values():
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
        _connect(names)
        nodes = {f"n{number}": Backend(f"n{number}", f"{PREFIX}.1{number}") for number in range(1, 5)}
        balancers = {
            name: LoadBalancer(name, "*", list(nodes.values()), home / name, _wrapper(home, names[name]))
            for name in ("lb1", "lb2")
        }
        made = Pair(Site(nodes, balancers), names["net"])
        for node in nodes.values():
            made.inside(node.start)
            stack.callback(node.stop)
        for name, balancer in balancers.items():
            _name_in_answers(balancer)
            stack.callback(balancer.kill)
            balancer.start()
            stack.callback(_end, _keepalived(made, name, names[name]))
        stack.callback(made.release)
        until(lambda: _has_address(names["lb1"]), "lb1 has the address")
        yield made


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


def _connect(names: dict[str, str]) -> None:
    net = names["net"]
    _ip("-n", net, "link", "add", "br0", "type", "bridge")
    for number, place in ((1, "lb1"), (2, "lb2")):
        peer = ("peer", "name", "eth0", "netns", names[place])
        _ip("link", "add", place, "netns", net, "type", "veth", *peer)
        _ip("-n", net, "link", "set", place, "master", "br0", "up")
        _ip("-n", names[place], "addr", "add", f"{PREFIX}.{number}/24", "dev", "eth0")
        _ip("-n", names[place], "link", "set", "eth0", "up")
        _ip("-n", names[place], "link", "set", "lo", "up")
    for last in (254, 11, 12, 13, 14):
        _ip("-n", net, "addr", "add", f"{PREFIX}.{last}/24", "dev", "br0")
    for device in ("br0", "lo"):
        _ip("-n", net, "link", "set", device, "up")


def _wrapper(home: Path, name: str) -> str:
    file = home / f"haproxy-{name}"
    file.write_text(f'#!/bin/sh\nexec ip netns exec {name} haproxy "$@"\n')
    file.chmod(0o755)
    return str(file)


def _name_in_answers(balancer: LoadBalancer) -> None:
    file, bind = balancer.home / "haproxy.cfg", "  bind *:8080\n"
    text = file.read_text()
    assert bind in text
    file.write_text(text.replace(bind, f"{bind}  http-response set-header X-Balancer {balancer.name}\n"))


def _keepalived(made: Pair, name: str, namespace: str) -> subprocess.Popen[bytes]:
    home, socket = made.site.load_balancers[name].home, made.site.load_balancers[name].access.socket
    made.prefer(name, yes=name == "lb1")
    (home / "answers").write_text(f"echo 'show info' | socat -t 20 - UNIX-CONNECT:{socket} | grep -q ^Pid\n")
    (home / "keepalived.conf").write_text(_KEEPALIVED.format(home=home, priority=_PRIORITY[name], address=ADDRESS))
    files = ("-f", f"{home}/keepalived.conf", "-p", f"{home}/keepalived.pid", "-r", f"{home}/vrrp.pid")
    with (home / "keepalived.log").open("wb") as log:
        command = ["ip", "netns", "exec", namespace, "keepalived", "-n", "-l", "-D", "-P", *files]
        return subprocess.Popen(command, stdout=log, stderr=log)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(PATIENCE_S)


def _has_address(namespace: str) -> bool:
    return ADDRESS in _ip("-n", namespace, "-4", "addr", "show", "dev", "eth0")


def _enter(namespace: str) -> None:
    """This thread's new sockets are there from now on."""
    with Path("/run/netns", namespace).open() as handle:
        if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"can't enter network namespace {namespace}")
