"""Two services that share nodes, on two load balancers, with controllers that die and answers that get lost."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy import Admin, Applied, Batch
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy_state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.moves import Limits, Move, Surroundings
from ansible_collections.tidegate.delivery.plugins.module_utils.parallel import in_parallel
from ansible_collections.tidegate.delivery.plugins.module_utils.pools import Pool
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share
from lab import haproxy_socket
from tests.integration.haproxy.applications import Applications
from tests.integration.haproxy.haproxy_site import LoadBalancer, until

NET = "127.47"
NODES = tuple(f"n{number}" for number in range(1, 7))
SERVICES: Mapping[str, tuple[str, ...]] = {"shop": NODES[:4], "feed": NODES[2:]}
PORTS = {"shop": 8080, "feed": 8081}
_CHECKS = "inter 40 fastinter 40 downinter 40 rise 2 fall 2"
_MAINT = 1
Key = tuple[str, str, str]
View = dict[Key, haproxy_socket.Server]
_LOOK_EVERY_S = 0.01
# Everything here is faster than in production, so is looking.
_FASTER = 10.0


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


class Crossing:
    """The site: started once, brought back to its beginning for each example."""

    def __init__(self, program: str, home: Path) -> None:
        self._applications = Applications({name: f"{NET}.1.{name[1:]}" for name in NODES})
        self.applications = self._applications.by_name
        self.balancers = {
            f"lb{number}": LoadBalancer(f"lb{number}", f"{NET}.0.{number}", [], home / f"lb{number}", program)
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
            "defaults\n  mode http\n  timeout connect 1s\n  timeout client 15s\n  timeout server 15s",
            f"  timeout check 2s\n  timeout queue {5000 + self.generation}\n  load-server-state-from-file local",
            f"  option httpchk GET /health\n  default-server {_CHECKS}",
        ]
        for service, nodes in SERVICES.items():
            parts.append(f"frontend {service}\n  bind {balancer.address}:{PORTS[service]}")
            parts.append(f"  default_backend {service}_online")
            for pool, disabled in (("online", ""), ("maintenance", " disabled")):
                parts.append(f"backend {service}_{pool}\n  server-state-file-name use-backend-name")
                parts += [f"  server {name} {NET}.1.{name[1:]}:8080 check{disabled}" for name in nodes]
        (balancer.home / "haproxy.cfg").write_text("\n".join(parts) + "\n")

    def admins(self, fate: Fate | None = None) -> dict[str, Admin]:
        real: dict[str, Admin] = {name: balancer.runtime() for name, balancer in self.balancers.items()}
        return real if fate is None else {name: Doomed(admin, fate) for name, admin in real.items()}  # type: ignore[misc]

    def move(self, service: str, nodes: Sequence[str], floor: str, fate: Fate | None = None) -> Move:
        pool = Pool(f"{service}_online", f"{service}_maintenance", Share.parse(floor), tuple(nodes))
        limits = Limits(soft=1.0, hard=2.0, join=1.5, silent=2.0)
        around = Surroundings(in_parallel, sleep=lambda seconds: time.sleep(seconds / _FASTER))
        return Move(self.admins(fate), [pool], limits, around)

    def view(self) -> View:
        """What the sockets show, read by the lab's reader and not by the one that is tested."""
        return {
            (name, server.backend, server.name): server
            for name, balancer in self.balancers.items()
            for server in haproxy_socket.servers(balancer.home / "a.sock")
            if server.name in NODES
        }

    def reset(self) -> None:
        """All applications well, everyone online, nobody in a maintenance pool."""
        for application in self.applications.values():
            application.healthy = True
        for balancer in self.balancers.values():
            runtime = balancer.runtime()
            commands = [
                f"set server {service}_{pool}/{name} state {state}"
                for service, nodes in SERVICES.items()
                for name in nodes
                for pool, state in (("maintenance", "maint"), ("online", "ready"))
            ]
            names = tuple(f"{service}_{pool}" for service in SERVICES for pool in ("online", "maintenance"))
            applied = runtime.apply(Batch(tuple(commands), runtime.read().pid, save=names), names)
            assert not applied.rejected and not applied.unsaved, applied
        until(lambda: self.quiet() and set(self.places().values()) == {"online"}, "everybody is online")

    def places(self) -> dict[Key, str]:
        """Where each node of each service is, on each load balancer."""
        view = self.view()
        return {
            (service, name, host): _place(
                view[host, f"{service}_online", name], view[host, f"{service}_maintenance", name]
            )
            for host in self.balancers
            for service, nodes in SERVICES.items()
            for name in nodes
        }

    def quiet(self) -> bool:
        """Whether HAProxy's checks have come to an end: what is well is UP, what is ill DOWN, what is out in MAINT."""
        return all(
            server.status == ("MAINT" if server.admin & _MAINT else "UP" if self.applications[name].healthy else "DOWN")
            for (_host, _backend, name), server in self.view().items()
        )


def places_in(view: View, service: str, name: str) -> dict[str, str]:
    """Where a node is, by load balancer."""
    hosts = dict.fromkeys(host for host, _backend, _name in view)
    return {
        host: _place(view[host, f"{service}_online", name], view[host, f"{service}_maintenance", name])
        for host in hosts
    }


def _place(online: haproxy_socket.Server, maintenance: haproxy_socket.Server) -> str:
    tested = not maintenance.is_out
    if not online.is_out:
        return "both" if tested else "online"
    if not online.admin & _MAINT:
        return "both" if tested else "draining"
    return "maintenance" if tested else "out"


@dataclass
class Watch:
    """What is seen on the sockets while moves are made, which no settled state tells any more."""

    site: Crossing
    wave: Sequence[str]
    found: list[str] = field(default_factory=list)
    looks: int = 0

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._look_until, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        assert not self.found, self.found[:3]

    def _look_until(self, over: threading.Event) -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                first, second, again = self.site.view(), self.site.view(), self.site.view()
                self._judge(first, second, again)
            self.looks += 1
            over.wait(_LOOK_EVERY_S)

    def _judge(self, first: View, second: View, again: View) -> None:
        for service, nodes in SERVICES.items():
            for name in nodes:
                online = {host: second[host, f"{service}_online", name] for host in self.site.balancers}
                rising = [server for server in online.values() if server.status.startswith("UP ") and not server.is_out]
                if rising and name in self.wave and self.site.applications[name].healthy:
                    self.found.append(f"{name} got customers of {service} before its checks had passed")
                places = [places_in(view, service, name) for view in (first, second, again)]
                if "both" in places[1].values():
                    self.found.append(f"{name} was in both pools of {service}")
                if places[0] == places[2] and {"online", "maintenance"} <= {*places[0].values()}:
                    self.found.append(f"{name} was in another pool of {service} on each load balancer")


def is_usable(server: haproxy_socket.Server) -> bool:
    """Whether customers can count on it."""
    return server.is_up and not server.is_out
