"""Many servers in one pair of pools on two real load balancers: nobody's customers, only moves."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import joined
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Pool
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share
from benchmarks import balancers
from benchmarks.measured import Failed
from lab.files import write_file
from lab.haproxy import max_connections
from lab.haproxy_socket import ask, servers
from lab.layout import Host, Layout
from lab.witness import wait_until

ONLINE, MAINTENANCE = "crowd_online", "crowd_maintenance"
_CUSTOMERS_PORT, _TESTERS_PORT = 8080, 8090
# Below those that the kernel gives to clients; each server has one, since a move refuses two names for one address.
_FIRST_APPLICATION_PORT = 20_001
_UP_S = 30.0


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many servers, all with the same application behind them: HAProxy itself, which answers every check."""

    layout: Layout
    names: tuple[str, ...]

    @property
    def pool(self) -> Pool:
        """All of them, with no floor: they may all leave together."""
        return Pool(ONLINE, MAINTENANCE, Share.parse("0"), self.names)

    def bring_back(self) -> None:
        """All of them online and UP at once. Not a safe way to come back, but nobody is there."""
        commands = [
            command
            for name in self.names
            for command in (
                f"set server {MAINTENANCE}/{name} state maint",
                f"set server {ONLINE}/{name} state ready",
                f"set server {ONLINE}/{name} health up",
            )
        ]
        for host in self.layout.load_balancers:
            for line in joined(commands):
                ask(host.haproxy_socket, line)
        if not wait_until(self.is_online, _UP_S):
            raise Failed(f"not all of {len(self.names)} servers are UP after {_UP_S:.0f} s")

    def is_online(self) -> bool:
        """Whether customers reach all of them on every load balancer, and testers none."""
        return self._all(online=True)

    def require_in_maintenance(self) -> None:
        """Raises Failed unless all of them have left on every load balancer."""
        if not self._all(online=False):
            raise Failed("the move ended well, but not all servers are in the maintenance pool")

    def _all(self, *, online: bool) -> bool:
        for host in self.layout.load_balancers:
            for server in servers(host.haproxy_socket):
                taken_out = (server.backend == MAINTENANCE) is online
                # Whoever has just become ready may still wait for the first checks in the maintenance pool.
                if server.is_out is not taken_out or (online and not taken_out and not server.is_up):
                    return False
        return True


@contextlib.contextmanager
def crowd(net: str, count: int) -> Iterator[Crowd]:
    """The load balancers with that many servers online; ended and removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="tg-", dir="/tmp") as folder:
        made = Crowd(Layout(net, Path(folder)), tuple(f"s{number:04}" for number in range(1, count + 1)))
        for host in made.layout.load_balancers:
            _prepare(host, made.names)
        try:
            with balancers.running(made.layout):
                made.bring_back()
                yield made
        finally:
            shutil.rmtree(made.layout.runtime, ignore_errors=True)


def _prepare(host: Host, names: tuple[str, ...]) -> None:
    for folder in (host.haproxy_state_dir, host.log):
        folder.mkdir(parents=True, exist_ok=True)
    for backend in (ONLINE, MAINTENANCE):
        write_file(host.haproxy_state_dir / backend, "1\n")
    write_file(host.haproxy_config, config(host, names))


def config(host: Host, names: tuple[str, ...]) -> str:
    """The load balancer's whole configuration. Checks are rare, so that they take no processor time from a move."""
    ports = range(_FIRST_APPLICATION_PORT, _FIRST_APPLICATION_PORT + len(names))
    targets = {name: f"{host.address}:{port}" for name, port in zip(names, ports, strict=True)}
    lists = {
        backend: "\n".join(f"  server {name} {target} check{options}" for name, target in targets.items())
        for backend, options in ((ONLINE, ""), (MAINTENANCE, " disabled"))
    }
    return f"""global
  stats socket {host.haproxy_socket} mode 600 level admin
  stats maxconn 50
  server-state-base {host.haproxy_state_dir}
  maxconn {max(100, max_connections() - len(names))}
  nbthread 1
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  option httpchk GET /health
  option redispatch
  default-server inter 10s fastinter 500 rise 2 fall 3
  load-server-state-from-file local
frontend application
  bind {host.address}:{ports[0]}-{ports[-1]}
  http-request return status 200
frontend customers
  bind {host.address}:{_CUSTOMERS_PORT}
  default_backend {ONLINE}
frontend testers
  bind {host.address}:{_TESTERS_PORT}
  default_backend {MAINTENANCE}
backend {ONLINE}
  server-state-file-name use-backend-name
{lists[ONLINE]}
backend {MAINTENANCE}
  server-state-file-name use-backend-name
{lists[MAINTENANCE]}
"""
