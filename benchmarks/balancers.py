"""Two real load balancers at the lab's addresses, started here and ended with us, and the moves of nodes on them."""

from __future__ import annotations

import contextlib
import csv
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import Runtime
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.parallel import in_parallel
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Pool
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_surroundings import Limits, Surroundings
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.moves import Move
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from benchmarks import children
from benchmarks.measured import Failed
from lab.haproxy import unit_name
from lab.haproxy_socket import answers, ask
from lab.layout import Host, Layout
from lab.programs import program
from lab.witness import wait_until

_START_S = 20.0
LIMITS = Limits(soft=30.0, hard=120.0, join=60.0, silent=20.0)


@contextlib.contextmanager
def running(layout: Layout) -> Iterator[None]:
    """The load balancers with the configurations that were written for them. Raises Failed if one doesn't start."""
    with contextlib.ExitStack() as stack:
        for host in layout.load_balancers:
            stack.callback(children.end, _started(host))
        for host in layout.load_balancers:
            if not wait_until(lambda host=host: _answers(host), _START_S):  # type: ignore[misc]
                said = (host.log / "haproxy-process.log").read_text(errors="replace")
                raise Failed(f"{unit_name(host.name)} does not answer after {_START_S:.0f} s: {said[-1000:]}")
        yield


def _started(host: Host) -> subprocess.Popen[bytes]:
    host.haproxy_socket.parent.mkdir(parents=True, exist_ok=True)
    host.haproxy_lock.touch()
    argv = [program("haproxy"), "-W", "-S", f"{host.haproxy_master_socket},mode,600,level,admin"]
    argv += ["-f", str(host.haproxy_config)]
    return children.start(argv, host.haproxy_log, host.log / "haproxy-process.log")


def _answers(host: Host) -> bool:
    return answers(host.haproxy_socket) and answers(host.haproxy_master_socket)


# -- looking ----------------------------------------------------------------------------------------------------------
def version(layout: Layout) -> str:
    """HAProxy's version, as it says itself."""
    told = re.search(r"^Version: (\S+)", ask(layout.load_balancers[0].haproxy_socket, "show info"), re.MULTILINE)
    return told[1] if told else "unknown"


def repeats(layout: Layout, backends: Iterable[str]) -> Counter[str]:
    """HAProxy's own counts since its start, of all load balancers: `retried` and `redispatched` (wretr, wredis)."""
    wanted, counts = set(backends), Counter(retried=0, redispatched=0)
    for host in layout.load_balancers:
        # "2" asks for the backends' own lines.
        counts.update(counted(ask(host.haproxy_socket, "show stat -1 2 -1"), wanted))
    return counts


def counted(stat: str, backends: set[str]) -> Counter[str]:
    """The same of one answer to `show stat`."""
    rows = [row for row in csv.DictReader(stat.removeprefix("# ").splitlines()) if row["pxname"] in backends]
    return Counter(retried=sum(int(row["wretr"]) for row in rows), redispatched=sum(int(row["wredis"]) for row in rows))


# -- moving -----------------------------------------------------------------------------------------------------------
def move(layout: Layout, pools: Sequence[Pool], intent: Intent, limits: Limits = LIMITS) -> Move:
    """Move the pools' nodes as the action does: look, judge, send, read back, save. Raises DomainError."""
    admins = {host.name: Runtime(PosixNode(host.name, LocalShell()), access(host)) for host in layout.load_balancers}
    made = Move(admins, pools, limits, Surroundings(in_parallel))
    nodes = {node for pool in pools for node in pool.nodes}
    if made.preview(intent, nodes):
        made.run(intent)
    return made


def access(host: Host) -> AdminAccess:
    """Where that load balancer is administered."""
    paths = (host.haproxy_socket, host.haproxy_master_socket, host.haproxy_lock, host.haproxy_state_dir)
    return AdminAccess(host.name, *map(str, paths))


def variables(host: Host) -> Mapping[str, str]:
    """The same for Ansible's inventory."""
    where = access(host)
    return {
        "tidegate_haproxy_socket": where.socket,
        "tidegate_haproxy_master_socket": where.master_socket,
        "tidegate_haproxy_lock": where.lock,
        "tidegate_haproxy_state_dir": where.state_dir,
    }
