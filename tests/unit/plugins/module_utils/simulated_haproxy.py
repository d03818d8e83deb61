"""A load balancer in memory that treats commands as the observed table of states says (HAProxy 2.6.12).

The same behaviour is tested against the real thing in tests/integration/haproxy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import Applied, Batch
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import (
    Admin,
    LoadBalancerState,
    ServerKey,
    ServerRow,
)
from tests.unit.plugins.module_utils.haproxy_rows import state


class Time:
    """A clock that only waiting moves; things can be made to happen at a time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._later: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        due = [event for event in self._later if event[0] <= self.now]
        self._later = [event for event in self._later if event[0] > self.now]
        for _, event in due:
            event()

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        self._later.append((self.now + seconds, event))


class Killed(BaseException):
    """The controller died."""


@dataclass
class SimulatedHaproxy:
    """Admin protocol in memory. `fault` may raise or act before and after each exchange."""

    name: str
    time: Time
    nodes: Sequence[str]
    pid: int = 100
    rows: dict[ServerKey, ServerRow] = field(default_factory=dict)
    applied: list[str] = field(default_factory=list)
    saved: dict[ServerKey, ServerRow] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    silent: bool = False
    before_apply: Callable[[], None] = lambda: None
    after_apply: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.access = AdminAccess(self.name, f"/run/{self.name}.sock", "/run/master.sock", state_dir="/state")

    def show(self, cells: dict[str, tuple[tuple[str, int, int], tuple[str, int, int]]]) -> None:
        self.rows = dict(state(self.name, cells).servers)

    def read(self, backends: Sequence[str] = ()) -> LoadBalancerState:
        if self.silent:
            raise Unreachable("HAProxy did not answer", where=f"load balancer {self.name}")
        return replace(state(self.name, {}), pid=self.pid, servers=dict(self.rows), queues={})

    def apply(self, batch: Batch, backends: Sequence[str]) -> Applied:
        self.before_apply()
        now = self.read()
        unmet = [row for row in batch.expects if _guard(now.servers[row.key]) != _guard(row)]
        if unmet or batch.pid != self.pid:
            return Applied(now, changed=unmet[0].name if unmet else "pid")
        for command in batch.commands:
            self._carry_out(command)
        self.saved |= {key: row for key, row in self.rows.items() if key[0] in batch.save}
        self.after_apply()
        return Applied(self.read())

    def serve(self, backend: str, node: str, sessions: int) -> None:
        self.rows[backend, node] = replace(self.rows[backend, node], sessions=sessions)

    def _carry_out(self, command: str) -> None:
        self.applied.append(command)
        *_, server, what, value = ["", *command.split()] if command.startswith("set") else ["", *command.split(), ""]
        if command.startswith("shutdown"):
            server, what = command.split()[-1], "cut"
        backend, node = server.split("/")
        row = self.rows[backend, node]
        origin = row.admin & Admin.DISABLED_IN_CONFIG
        match what, value:
            case "state", "maint":
                row = replace(row, status="MAINT", op=0, admin=origin | Admin.FORCED_MAINT)
            case "state", "drain":
                alive = row.op == 2 or bool(row.admin & Admin.FORCED_MAINT)
                row = replace(
                    row, status="DRAIN" if alive else "DOWN", op=2 if alive else 0, admin=origin | Admin.FORCED_DRAIN
                )
            case "state", "ready" if row.admin & Admin.FORCED_MAINT:
                # The trap: in the pool at once, whatever the application does.
                row = replace(row, status="UP 1/2", op=2, admin=origin)
                self.time.after(0.4, lambda: self._check(backend, node))
            case "state", "ready":
                row = replace(row, status="UP" if row.op == 2 else "DOWN", admin=origin)
                self.time.after(0.4, lambda: self._check(backend, node))
            case "health", "down":
                row = replace(row, status="DOWN", op=0)
            case "cut", _:
                row = replace(row, sessions=0)
        self.rows[backend, node] = row

    def _check(self, backend: str, node: str) -> None:
        row = self.rows[backend, node]
        if not row.admin.effective:
            up = node not in self.dead
            self.rows[backend, node] = replace(row, status="UP" if up else "DOWN", op=2 if up else 0)


def _guard(row: ServerRow) -> tuple[int, int]:
    return row.op, int(row.admin)


def one_after_the_other(work: Callable[[str], object], names: Sequence[str]) -> dict[str, object]:
    """As Call.in_parallel, without threads."""
    answers: dict[str, object] = {}
    for name in names:
        try:
            answers[name] = work(name)
        except DomainError as error:
            answers[name] = error
    return answers
