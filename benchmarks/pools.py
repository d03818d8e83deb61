"""Moves by us and by community.general.haproxy: `python -m benchmarks.pools` writes build/bench/pools.json."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from benchmarks import balancers, plays
from benchmarks.crowd import MAINTENANCE, ONLINE, Crowd, crowd
from benchmarks.fleet import Fleet, fleet, restarting
from benchmarks.measured import Failed, Run
from benchmarks.plays import Plays
from benchmarks.rolling import Account, one_after_the_other, under_load
from benchmarks.simulated import PROJECT
from benchmarks.stock_ansible import StockAnsible, stock_ansible
from lab.witness import write_json

OUTPUT = PROJECT / "build" / "bench" / "pools.json"
# No other network of the project: a lab, the demo and tests may run beside it.
NET = "127.52"
METHODS = ("naive", "recipe", "tidegate")
_POOLS = [{"online": ONLINE, "maintenance": MAINTENANCE, "min_online": "0"}]
_METHOD = """speedup_wall, speedup_cpu: `servers` servers, each an entry in two pools (online and maintenance) of two
HAProxys, leave together: drain, no session left, MAINT in the online pool, ready in the maintenance pool, read back.
By us as one task of tidegate.delivery.haproxy_pool (permit, locks, ledger, guard, batches, state files saved), by
community.general.haproxy as one looped task, an item for each entry, both load balancers side by side
(benchmarks/plays.py). Wall and processor time (user and system, of all processes but HAProxy's) are those of the
whole ansible-playbook, start included; in each of `rounds` rounds one after the other, each checked to have moved
all; theirs divided by ours, of the medians. failed, redispatched: every node of the lab is restarted (kill -9, start)
in turn while customers ask `rate` requests a second through two load balancers with redispatch and 3 retries; their
client never sends twice. naive: nothing else is done. recipe: community.general.haproxy disabled with drain and wait,
restart, enabled with wait. tidegate: haproxy_pool leave, restart, join. In all three the next node's turn comes when
all servers are UP. failed is the greater of what customers and HAProxy's logs saw, redispatched the greater of
HAProxy's logs and counters. growth: ms by the clock of one leave of so many servers on both load balancers in this
process, without ansible-playbook; median of `rounds`."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How much is run: moves of so many servers so often, restarts under that load, moves of these numbers of servers.

    `nodes` are those that are restarted; empty means every node of the lab.
    """

    servers: int = 200
    rounds: int = 3
    rate: float = 200.0
    nodes: tuple[str, ...] = ()
    growth: tuple[int, ...] = (10, 30, 100, 300, 1000)


@dataclass(frozen=True, slots=True)
class Pair:
    """The same move by both, measured right after each other."""

    ours: Run
    theirs: Run


def bench(shape: Shape, folder: Path, net: str = NET) -> dict[str, Any]:
    """Measure all of it. Raises Failed or DomainError when something doesn't end well."""
    _tell("making the yardstick's Ansible, if it is not there yet")
    stock = stock_ansible()
    with crowd(net, shape.servers) as many:
        about = _about(shape, stock, balancers.version(many.layout))
        pairs = [_pair(number, shape, many, stock, _made(folder / f"move-{number}")) for number in range(shape.rounds)]
    with fleet(net) as made:
        accounts = _restarts(shape, made, stock, folder)
    growth = [grown(net, servers, shape.rounds) for servers in shape.growth]
    return {**speedups(pairs), **losses(accounts), "growth": growth, "about": about}


# -- moves of many ----------------------------------------------------------------------------------------------------
def _pair(number: int, shape: Shape, many: Crowd, stock: StockAnsible, folder: Path) -> Pair:
    made = Plays(many.layout, folder)
    tasks = [made.begin("ours", many.names, _POOLS), made.moved("ours", "maintenance", many.names, _POOLS)]
    ours = _checked(many, partial(made.ours, "ours", tasks))
    play = plays.stock_move(many.names, ONLINE, MAINTENANCE)
    theirs = _checked(many, partial(made.stock, "theirs", play, stock))
    _tell(f"move {number + 1} of {shape.rounds}: {_told(ours)}; community.general.haproxy {_told(theirs)}")
    return Pair(ours, theirs)


def _told(run: Run) -> str:
    return f"{run.wall_s:.2f} s, {run.cpu_s:.2f} s of processor time"


def _checked(many: Crowd, run: Callable[[], Run]) -> Run:
    try:
        done = run()
        many.require_in_maintenance()
        return done
    finally:
        many.bring_back()


def grown(net: str, servers: int, rounds: int) -> dict[str, Any]:
    """How long one leave of that many takes. Raises Failed or DomainError."""
    with crowd(net, servers) as many:
        taken = [_leave_ms(many) for _ in range(rounds)]
    _tell(f"{servers} servers: {median(taken):.0f} ms")
    return {"servers": servers, "ms": round(median(taken))}


def _leave_ms(many: Crowd) -> float:
    began = time.monotonic()
    balancers.move(many.layout, [many.pool], Intent.LEAVE)
    taken = 1000 * (time.monotonic() - began)
    many.require_in_maintenance()
    many.bring_back()
    return taken


# -- restarts under load ----------------------------------------------------------------------------------------------
def _restarts(shape: Shape, made: Fleet, stock: StockAnsible, folder: Path) -> dict[str, Account]:
    with restarting(made) as url:
        ways: dict[str, Callable[[str], None]] = {
            "naive": made.restart,
            "recipe": partial(_by_recipe, made, stock, _made(folder / "recipe"), url),
            "tidegate": partial(_by_us, made, _made(folder / "tidegate"), url),
        }
        return {name: _account(shape, made, name, ways[name], folder) for name in METHODS}


def _account(shape: Shape, made: Fleet, name: str, restart: Callable[[str], None], folder: Path) -> Account:
    nodes = shape.nodes or made.nodes
    account = under_load(made, name, shape.rate, folder, partial(one_after_the_other, made, nodes, restart))
    _tell(f"{name}: {account.failed} of {account.load.requests_total} failed, {account.redispatched} re-dispatched")
    return account


def _by_recipe(made: Fleet, stock: StockAnsible, folder: Path, url: str, node: str) -> None:
    backends = [pool.online for pool in made.pools(node)]
    sockets = [str(host.haproxy_socket) for host in made.layout.load_balancers]
    Plays(made.layout, folder).stock(node, plays.recipe(node, backends, sockets, url), stock)


def _by_us(made: Fleet, folder: Path, url: str, node: str) -> None:
    ours, pools = Plays(made.layout, folder), made.pool_arguments(node)
    tasks = [
        ours.begin(node, [node], pools),
        ours.moved(node, "maintenance", [node], pools),
        plays.restarted(url, node),
        ours.moved(node, "online", [node], pools),
    ]
    ours.ours(node, tasks)


# -- figures ----------------------------------------------------------------------------------------------------------
def speedups(pairs: Sequence[Pair]) -> dict[str, Any]:
    """How many times as long, and as much processor time, theirs took; and the medians behind that."""
    ours, theirs = _medians([pair.ours for pair in pairs]), _medians([pair.theirs for pair in pairs])
    return {
        "speedup_wall": round(theirs.wall_s / ours.wall_s, 1),
        "speedup_cpu": round(theirs.cpu_s / ours.cpu_s, 1),
        "move": {"tidegate": _shown(ours), "community_general_haproxy": _shown(theirs)},
    }


def _medians(runs: Sequence[Run]) -> Run:
    return Run(median(run.wall_s for run in runs), median(run.cpu_s for run in runs))


def _shown(run: Run) -> dict[str, float]:
    return {"wall_s": round(run.wall_s, 2), "cpu_s": round(run.cpu_s, 2)}


def losses(accounts: Mapping[str, Account]) -> dict[str, Any]:
    """What customers lost by each method, and all that was counted."""
    return {
        "failed": {name: account.failed for name, account in accounts.items()},
        "redispatched": {name: account.redispatched for name, account in accounts.items()},
        "restarts": {name: account.to_json() for name, account in accounts.items()},
    }


def _about(shape: Shape, stock: StockAnsible, haproxy: str) -> dict[str, Any]:
    return {
        "method": " ".join(_METHOD.split()),
        "servers": shape.servers,
        "pools": 2,
        "load_balancers": 2,
        "rounds": shape.rounds,
        "rate": shape.rate,
        "restarted_nodes": list(shape.nodes) or "all of the lab",
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "haproxy": haproxy,
        "ansible_core": version("ansible-core"),
        "yardstick": stock.versions(),
    }


# -- the command ------------------------------------------------------------------------------------------------------
def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pools", description=__doc__)
    usual = Shape()
    parser.add_argument("--servers", type=int, default=usual.servers, help="that move together (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=usual.rounds, help="of moves, for medians (default %(default)s)")
    parser.add_argument("--rate", type=float, default=usual.rate, help="requests a second (default %(default)g)")
    parser.add_argument("--nodes", nargs="*", default=[], help="to restart (default all of the lab's)")
    parser.add_argument("--growth", type=int, nargs="*", default=list(usual.growth), help="servers of single moves")
    parser.add_argument("--net", default=NET, help="loopback prefix (default %(default)s)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default build/bench/pools.json")
    given = parser.parse_args()
    if min(given.servers, given.rounds, *given.growth, 1) < 1 or given.rate <= 0:
        parser.error("at least 1 of everything")
    return given


def main() -> int:
    """Measure, write the file, print it."""
    given = _arguments()
    shape = Shape(given.servers, given.rounds, given.rate, tuple(given.nodes), tuple(given.growth))
    # So that all that is under way ends with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    # Absolute, as a ledger's path must be.
    folder = Path(tempfile.mkdtemp(prefix="pools-", dir=given.output.parent.resolve()))
    try:
        measured = bench(shape, folder, given.net)
    except (Failed, DomainError) as error:
        _tell(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    write_json(given.output, measured)
    sys.stdout.write(json.dumps(measured, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
