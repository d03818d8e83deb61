"""One HAProxy with a pair of pools for each kind of customer, all on the same three applications."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import Batch
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import (
    Record,
    parse_servers_state,
    parse_stat,
    server_rows,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.parallel import in_parallel
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, Pool, classify
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_surroundings import Limits, Surroundings
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.moves import Move
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share
from lab import haproxy_socket
from tests.integration.haproxy.applications import Applications
from tests.integration.haproxy.haproxy_site import LoadBalancer
from tests.waiting import PATIENCE_S, until

NET = "127.48"
NODES = ("n1", "n2", "n3")
# So long a leave may wait, unless a test says less: a good one never does.
SOFT_S = 100.0
# Everything here is faster than in production, so is looking.
_FASTER = 5.0
Address = tuple[str, int]


@dataclass(frozen=True)
class Kind:
    """How a pair of pools is configured; `bind` may be in more ways than one."""

    binds: Mapping[int, str]
    backend: tuple[str, ...] = ()
    server: str = ""
    mode: str = "http"


_COOKIE = "cookie node insert indirect nocache"
KINDS = {
    "plain": Kind({8081: "", 8082: "proto h2"}),
    "cookie": Kind({8083: "", 8089: "proto h2"}, (_COOKIE,), "cookie {name}"),
    "tcp": Kind({8084: ""}, mode="tcp"),
    "queue": Kind({8085: ""}, (_COOKIE,), "cookie {name} maxconn 1"),
    "ramp": Kind({8086: ""}, ("balance roundrobin",), "weight 100 slowstart 5s"),
    "shutdown": Kind({8087: ""}, (), "on-marked-down shutdown-sessions"),
    "table": Kind({8090: ""}, ("stick-table type string size 1k", "stick on req.cook(who)")),
    "persist": Kind({8088: ""}, (_COOKIE, "option persist"), "cookie {name}"),
}


class CustomersSite:
    """Started once for all tests of a version; each test has a pair of pools that is whole again afterwards."""

    def __init__(self, program: str, home: Path) -> None:
        self._applications = Applications({name: f"{NET}.1.{name[1:]}" for name in NODES})
        self.applications = self._applications.by_name
        self.balancer = LoadBalancer("lb1", f"{NET}.0.1", [], home / "lb1", program)
        (self.balancer.home / "haproxy.cfg").write_text(self._configuration())

    @contextlib.contextmanager
    def running(self) -> Iterator[CustomersSite]:
        self._applications.start()
        try:
            self.balancer.start()
            until(lambda: not self._strangers(), "everybody is online")
            yield self
        finally:
            self.balancer.kill()
            self._applications.stop()

    def _configuration(self) -> str:
        balancer = self.balancer
        parts = [
            f"global\n  stats socket {balancer.home}/a.sock level admin\n  server-state-base {balancer.state_dir}",
            "defaults\n  timeout connect 1s\n  timeout client 120s\n  timeout server 120s\n  timeout queue 120s",
            "  timeout check 10s\n  load-server-state-from-file local\n  retries 3\n  option redispatch",
            "  default-server inter 50 fastinter 50 downinter 50 rise 2 fall 3",
        ]
        for name, kind in KINDS.items():
            parts.append(f"frontend {name}\n  mode {kind.mode}\n  default_backend {name}_online")
            parts += [f"  bind {balancer.address}:{port} {how}" for port, how in kind.binds.items()]
            for pool, disabled in (("online", ""), ("maintenance", " disabled")):
                parts.append(f"backend {name}_{pool}\n  mode {kind.mode}\n  server-state-file-name use-backend-name")
                parts += [f"  {line}" for line in ("option httpchk GET /health", *kind.backend)]
                parts += [
                    f"  server {node} {NET}.1.{node[1:]}:8080 check {kind.server.format(name=node)}{disabled}"
                    for node in NODES
                ]
        return "\n".join(parts) + "\n"

    def address(self, kind: str, how: str = "") -> Address:
        """Where customers of this kind connect; `how` chooses among its ways."""
        port = next(port for port, bound in KINDS[kind].binds.items() if bound == how)
        return self.balancer.address, port

    def pool(self, kind: str, *nodes: str) -> Pool:
        return Pool(f"{kind}_online", f"{kind}_maintenance", Share.parse("1"), nodes or ("n1",))

    def _move(self, kind: str, intent: Intent, *, ours: bool, **limits: Any) -> Move:
        wanted = Limits(**{"soft": SOFT_S, "hard": 2 * SOFT_S, "join": PATIENCE_S, "silent": 60.0, **limits})
        around = Surroundings(in_parallel, sleep=lambda seconds: time.sleep(seconds / _FASTER))
        move = Move({"lb1": self.balancer.runtime()}, [self.pool(kind)], wanted, around)
        assert move.preview(intent, ours=("n1",) if ours else ())
        move.run(intent)
        return move

    def leave(self, kind: str, **limits: Any) -> Move:
        """n1 leaves; `limits` as move_surroundings.Limits has them, all of them long if they are left out."""
        return self._move(kind, Intent.LEAVE, ours=False, **limits)

    def join(self, kind: str, **limits: Any) -> Move:
        """n1 joins, which had left before."""
        return self._move(kind, Intent.JOIN, ours=True, **limits)

    def await_cell(self, kind: str, cell: Cell) -> None:
        """Until n1 is there."""
        until(lambda: self.cells(kind)[0] is cell, lambda: f"n1 gets {cell}, is {self.cells(kind)[0]}")

    def cells(self, kind: str) -> list[Cell]:
        """Where each node is."""
        return self._cells()[kind]

    def _cells(self) -> dict[str, list[Cell]]:
        # Without the programs that Runtime starts on the host: tests look often.
        stat = parse_stat("lb1", self._ask("show stat -1 4 -1"))
        rows = server_rows("lb1", stat, parse_servers_state("lb1", self._ask("show servers state")))
        return {
            kind: [classify(rows[f"{kind}_online", node], rows[f"{kind}_maintenance", node]) for node in NODES]
            for kind in KINDS
        }

    def stat(self, kind: str, server: str) -> Record:
        """HAProxy's own row; BACKEND is the whole pool's."""
        rows = parse_stat("lb1", self._ask(f"show stat {kind}_online 6 -1"))
        return next(row for row in rows if row["svname"] == server)

    def trouble(self, kind: str) -> dict[str, int]:
        """What went wrong between HAProxy and the online pool since its last reload, retries included."""
        row = self.stat(kind, "BACKEND")
        columns = ("econ", "eresp", "wretr", "wredis", "hrsp_5xx")
        return {name: int(row[name] or 0) for name in columns}

    def forget_counters(self) -> None:
        """HAProxy's counters begin at zero."""
        self._ask("clear counters all")

    def mend(self) -> None:
        """Bring the pools back to their beginning, whatever a test left, and save that for the next reload."""
        for application in self.applications.values():
            application.holding = False
        strangers = self._strangers()
        commands = [
            f"set server {kind}_{pool}/{node} state {state}"
            for kind in strangers
            for pool, state in (("maintenance", "maint"), ("online", "ready"))
            for node in NODES
        ]
        if commands:
            runtime = self.balancer.runtime()
            names = tuple(f"{kind}_{pool}" for kind in strangers for pool in ("online", "maintenance"))
            applied = runtime.apply(Batch(tuple(commands), runtime.read().pid, save=names), [])
            assert not applied.rejected and not applied.changed and not applied.unsaved, applied
        until(lambda: not self._strangers(), "everybody is online again")

    def _strangers(self) -> list[str]:
        return [kind for kind, cells in self._cells().items() if set(cells) != {Cell.ON}]

    def _ask(self, question: str) -> str:
        return haproxy_socket.ask(self.balancer.home / "a.sock", question).rstrip("\n")
