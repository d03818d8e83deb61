"""Two services that share nodes, on two load balancers, with controllers that die and answers that get lost."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import Admin, Applied, Batch
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.parallel import in_parallel
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Pool
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_surroundings import Limits, Surroundings
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.moves import Move
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share
from lab import haproxy_socket
from tests.integration.haproxy.applications import HELD, Applications
from tests.integration.haproxy.haproxy_site import LoadBalancer
from tests.waiting import PATIENCE_S, until

NODES = tuple(f"n{number}" for number in range(1, 7))
SERVICES: Mapping[str, tuple[str, ...]] = {"shop": NODES[:4], "feed": NODES[2:]}
PORTS = {"shop": 8080, "feed": 8081}
_CHECKS = "inter 40 fastinter 40 downinter 40 rise 2 fall 2"
_MAINT = 1
# Service, node, load balancer.
Place = tuple[str, str, str]
# Load balancer, backend, server.
View = dict[tuple[str, str, str], haproxy_socket.Server]
# Everything here is faster than in production, so is looking.
_FASTER = 6.0
_OFTEN_S = 0.01
# Longer than any move waits for them: one that forgets its deadline ends nevertheless.
_HELD_AT_MOST_S = 180.0


class Killed(BaseException):
    """The controller's end: nothing of it runs any more, as after SIGKILL."""


@dataclass
class Doomed:
    """A load balancer's admin whose controller dies at one of its batches, before or after it was sent."""

    admin: Admin
    fate: Fate

    @property
    def access(self) -> object:
        return self.admin.access

    def read(self, backends: Sequence[str] = ()) -> LoadBalancerState:
        self.fate.require_alive()
        return self.admin.read(backends)

    def apply(self, batch: Batch, backends: Sequence[str]) -> Applied:
        self.fate.before()
        answer = self.admin.apply(batch, backends)
        self.fate.after()
        return answer


@dataclass
class Fate:
    """What becomes of the controller's `at`th batch: it dies then, or with `lost` only the answer is lost.

    `sent` tells whether that batch still went out.
    """

    at: int = 0
    sent: bool = False
    lost: bool = False
    batches: int = 0
    dead: bool = False

    def require_alive(self) -> None:
        if self.dead:
            raise Killed

    def before(self) -> None:
        self.require_alive()
        self.batches += 1
        if self.batches == self.at and not self.sent:
            self._struck()

    def after(self) -> None:
        if self.batches == self.at and self.sent:
            self._struck()
        self.require_alive()

    def _struck(self) -> None:
        if self.lost:
            raise Unreachable("the answer got lost")
        self.dead = True
        raise Killed


class HeldCustomers:
    """Customers of one front end whose requests are answered late; none of them asks a second time."""

    def __init__(self, address: str, port: int, count: int) -> None:
        request = f"GET {HELD} HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n".encode()
        self._connections = [socket.create_connection((address, port), PATIENCE_S) for _ in range(count)]
        for connection in self._connections:
            connection.sendall(request)

    def statuses(self) -> list[int]:
        """What each was answered; 0 when the connection ended without an answer."""
        return [_status(connection) for connection in self._connections]

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


def _status(connection: socket.socket) -> int:
    answer = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            answer += part
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


class Crossing:
    """The site, on network `net`: started once, brought back to its beginning for each example."""

    def __init__(self, program: str, net: str, home: Path) -> None:
        self._net = net
        self._applications = Applications({name: f"{net}.1.{name[1:]}" for name in NODES})
        self.applications = self._applications.by_name
        self.balancers = {
            f"lb{number}": LoadBalancer(f"lb{number}", f"{net}.0.{number}", [], home / f"lb{number}", program)
            for number in (1, 2)
        }
        self.generation = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[Crossing]:
        self._applications.start()
        try:
            for balancer in self.balancers.values():
                self.configure(balancer)
                balancer.start()
            yield self
        finally:
            for balancer in self.balancers.values():
                balancer.kill()
            self._applications.stop()

    def configure(self, balancer: LoadBalancer) -> None:
        """Its configuration, each time with something changed."""
        self.generation += 1
        parts = [
            f"global\n  stats socket {balancer.home}/a.sock level admin\n  server-state-base {balancer.state_dir}",
            # Nor does HAProxy try again: a customer who comes to a server that isn't there is told so.
            "  nbthread 1\ndefaults\n  mode http\n  retries 0\n  timeout connect 10s\n  timeout client 300s",
            f"  timeout server 300s\n  timeout check 10s\n  timeout queue {5000 + self.generation}",
            # With roundrobin one that has just come up may get its first customer a whole round later.
            "  balance leastconn\n  load-server-state-from-file local\n  option httpchk GET /health",
            f"  default-server {_CHECKS}",
        ]
        for service, nodes in SERVICES.items():
            parts.append(f"frontend {service}\n  bind {balancer.address}:{PORTS[service]}")
            parts.append(f"  default_backend {service}_online")
            for pool, disabled in (("online", ""), ("maintenance", " disabled")):
                parts.append(f"backend {service}_{pool}\n  server-state-file-name use-backend-name")
                parts += [f"  server {name} {self._net}.1.{name[1:]}:8080 check{disabled}" for name in nodes]
        (balancer.home / "haproxy.cfg").write_text("\n".join(parts) + "\n")

    def misconfigure(self, balancer: LoadBalancer) -> None:
        """A configuration that HAProxy doesn't take."""
        with (balancer.home / "haproxy.cfg").open("a") as file:
            file.write("nonsense\n")

    def admins(self, fate: Fate | None = None) -> dict[str, Admin]:
        real: dict[str, Admin] = {name: balancer.runtime() for name, balancer in self.balancers.items()}
        return real if fate is None else {name: Doomed(admin, fate) for name, admin in real.items()}  # type: ignore[misc]

    def move(
        self,
        service: str,
        nodes: Sequence[str],
        floor: str,
        fate: Fate | None = None,
        *,
        cut: bool = False,
        soft: float = 60.0,
        hard: float = 120.0,
        join: float = 60.0,
        polled: Callable[[], None] = lambda: None,
    ) -> Move:
        """Its limits are what a busy machine may need, unless others are given. `polled`: called whenever it waits."""
        pool = Pool(f"{service}_online", f"{service}_maintenance", Share.parse(floor), tuple(nodes))

        def sleep(seconds: float) -> None:
            polled()
            time.sleep(seconds / _FASTER)

        around = Surroundings(in_parallel, sleep=sleep)
        return Move(self.admins(fate), [pool], Limits(soft=soft, hard=hard, cut=cut, join=join, silent=60.0), around)

    def send(self, host: str, commands: Sequence[str]) -> None:
        """What an operator does there, who saves what he did."""
        runtime = self.balancers[host].runtime()
        names = tuple(f"{service}_{pool}" for service in SERVICES for pool in ("online", "maintenance"))
        applied = runtime.apply(Batch(tuple(commands), runtime.read().pid, save=names), names)
        assert not (applied.rejected or applied.unsaved or applied.changed), applied

    @contextlib.contextmanager
    def customers(self, host: str, service: str, node: str) -> Iterator[HeldCustomers]:
        """So many that the node has some; they are answered when `release` says so, at the end, or at last."""
        self._applications.hold(True)
        customers = HeldCustomers(self.balancers[host].address, PORTS[service], 2 * len(SERVICES[service]))
        at_last = threading.Timer(_HELD_AT_MOST_S, self.release)
        at_last.start()
        try:
            self._await_customer(node, customers)
            yield customers
        finally:
            at_last.cancel()
            self.release()
            customers.close()

    def _await_customer(self, node: str, customers: HeldCustomers) -> None:
        try:
            until(lambda: self.applications[node].busy > 0, f"a customer is at {node}", every=_OFTEN_S)
        except AssertionError as error:
            busy = {name: application.busy for name, application in self.applications.items()}
            self.release()
            raise AssertionError(f"{error}; {busy} wait, and were answered {customers.statuses()}") from error

    def release(self) -> None:
        """Have the applications answer."""
        self._applications.hold(False)

    def view(self) -> View:
        """What the sockets show, read by the lab's reader and not by the one that is tested."""
        return {
            (name, server.backend, server.name): server
            for name, balancer in self.balancers.items()
            for server in haproxy_socket.servers(balancer.home / "a.sock")
            if server.name in NODES
        }

    def is_leaving(self, service: str, node: str) -> bool:
        """Whether a load balancer keeps customers away from it, and none lets testers in yet."""
        view = self.view()
        kept_away = any(view[host, f"{service}_online", node].is_out for host in self.balancers)
        return kept_away and all(view[host, f"{service}_maintenance", node].is_out for host in self.balancers)

    def reset(self) -> None:
        """All applications well, everyone online, nobody in a maintenance pool."""
        for application in self.applications.values():
            application.live()
        commands = [
            f"set server {service}_{pool}/{name} state {state}"
            for service, nodes in SERVICES.items()
            for name in nodes
            for pool, state in (("maintenance", "maint"), ("online", "ready"))
        ]
        for host in self.balancers:
            self.send(host, commands)
        self.settle("everybody is online")

    def settle(self, what: str) -> None:
        """Until HAProxy's checks have come to an end."""
        until(lambda: self._is_quiet(self.view()), f"all checks are through: {what}", every=_OFTEN_S)

    def _is_quiet(self, view: View) -> bool:
        """Whether what is well is UP, what is ill DOWN, what is out in MAINT."""
        return all(
            server.status == ("MAINT" if server.admin & _MAINT else "UP" if self.applications[name].healthy else "DOWN")
            for (_host, _backend, name), server in view.items()
        )


def places(view: View) -> dict[Place, str]:
    """Where each node of each service is, on each load balancer."""
    return {
        (service, name, host): _place(view[host, f"{service}_online", name], view[host, f"{service}_maintenance", name])
        for host in dict.fromkeys(host for host, _backend, _name in view)
        for service, nodes in SERVICES.items()
        for name in nodes
    }


def _place(online: haproxy_socket.Server, maintenance: haproxy_socket.Server) -> str:
    tested = not maintenance.is_out
    if not online.is_out:
        return "both" if tested else "online"
    if not online.admin & _MAINT:
        return "both" if tested else "draining"
    return "maintenance" if tested else "out"


def is_usable(server: haproxy_socket.Server) -> bool:
    """Whether customers can count on it."""
    return server.is_up and not server.is_out
