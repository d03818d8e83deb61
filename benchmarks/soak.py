"""Leave and join of every node in turn, on and on, under load: `python -m benchmarks.soak` writes build/soak.json."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, pairwise
from pathlib import Path
from statistics import median
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from benchmarks import balancers
from benchmarks.fleet import Fleet, fleet
from benchmarks.measured import Failed
from benchmarks.rolling import Account, under_load
from benchmarks.simulated import PROJECT
from lab.load import MAX_REQUESTS
from lab.progress import Progress
from lab.witness import write_json

OUTPUT = PROJECT / "build" / "soak.json"
# No other network of the project: a lab, the demo and tests may run beside it.
NET = "127.54"
SECONDS, RATE = 600.0, 200.0
# A turn that has begun is brought to its end.
_LAST_TURN_S = 300.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One node out and back in: seconds of its leave, of its services' restart, of its join."""

    node: str
    leave_s: float
    restart_s: float
    join_s: float


@dataclass(slots=True)
class Soak:
    """The nodes' turns, one after the other, until `seconds` are over; `error` is why they ended before."""

    fleet: Fleet
    seconds: float
    say: Progress
    turns: list[Turn] = field(default_factory=list)
    error: str = ""

    def run(self) -> None:
        """Take turns. An error ends them, and the load goes on to its account."""
        end = time.monotonic() + self.seconds
        try:
            for node in cycle(self.fleet.nodes):
                if time.monotonic() >= end:
                    return
                self.turns.append(self._turn(node))
                self._tell(self.turns[-1])
        except (DomainError, Failed) as problem:
            self.error = f"turn {len(self.turns) + 1}: {problem}"
            self.say(self.error)

    def _turn(self, node: str) -> Turn:
        marks = [time.monotonic()]
        balancers.move(self.fleet.layout, self.fleet.pools(node), Intent.LEAVE)
        marks.append(time.monotonic())
        self.fleet.restart(node)
        marks.append(time.monotonic())
        balancers.move(self.fleet.layout, self.fleet.pools(node), Intent.JOIN)
        marks.append(time.monotonic())
        leave, restart, join = (later - earlier for earlier, later in pairwise(marks))
        return Turn(node, leave, restart, join)

    def _tell(self, turn: Turn) -> None:
        counted = balancers.repeats(self.fleet.layout, self.fleet.online_backends)
        self.say(
            f"turn {len(self.turns)}: {turn.node} left in {turn.leave_s:.1f} s, joined in {turn.join_s:.1f} s; so far"
            f" {counted['retried']} retried, {counted['redispatched']} re-dispatched"
        )


def soak(seconds: float, rate: float, net: str, folder: Path) -> dict[str, Any]:
    """Run it and tell what came of it; `problems` is empty if nothing failed. Raises Failed or DomainError."""
    say = Progress()
    say("starting load balancers and services")
    with fleet(net) as made:
        version = balancers.version(made.layout)
        turns = Soak(made, seconds, say)
        account = under_load(made, "soak", rate, folder, turns.run, seconds + _LAST_TURN_S)
    return {**report(turns.turns, account, turns.error), "about": _about(seconds, rate, version)}


def report(turns: Sequence[Turn], account: Account, error: str) -> dict[str, Any]:
    """The figures, and what of them must not be."""
    return {
        "problems": problems(turns, account, error),
        **account.to_json(),
        "turns": len(turns),
        "turns_by_node": dict(sorted(Counter(turn.node for turn in turns).items())),
        "leave_s": _spread([turn.leave_s for turn in turns]),
        "join_s": _spread([turn.join_s for turn in turns]),
    }


def problems(turns: Sequence[Turn], account: Account, error: str) -> list[str]:
    """What must not be; empty if all is well."""
    lost = {"failed": account.failed, "retried": account.retried, "re-dispatched": account.redispatched}
    found = [f"{number} requests {what}" for what, number in lost.items() if number]
    return [*([error] if error else []), *found, *account.doubts, *([] if turns else ["no node had a turn"])]


def _spread(seconds: Sequence[float]) -> Mapping[str, float]:
    return {"median": round(median(seconds), 2), "longest": round(max(seconds), 2)} if seconds else {}


def _about(seconds: float, rate: float, version: str) -> dict[str, Any]:
    return {
        "method": (
            "Each node in turn leaves both load balancers, has its services killed and started, and joins, while "
            "customers ask: kept and new connections, orders, reports of three seconds, by a client that never sends "
            "twice. Redispatch and 3 retries are on. failed is the greater of what customers and HAProxy's logs saw, "
            "retried and redispatched are the greater of HAProxy's logs and counters."
        ),
        "seconds": seconds,
        "rate": rate,
        "processors": os.cpu_count(),
        "haproxy": version,
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of turns (default %(default)g)")
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second (default %(default)g)")
    parser.add_argument("--net", default=NET, help="loopback prefix (default %(default)s)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default build/soak.json")
    given = parser.parse_args()
    if given.seconds <= 0 or given.rate <= 0:
        parser.error("--seconds and --rate must be greater than 0")
    if given.rate * (given.seconds + _LAST_TURN_S) > MAX_REQUESTS:
        parser.error(f"at most {MAX_REQUESTS} requests: lower --seconds or --rate")
    return given


def main() -> int:
    """0: nothing failed; 1: something did; 130: interrupted."""
    given = _arguments()
    # So that all that is under way ends with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        told = soak(given.seconds, given.rate, given.net, folder)
    except (Failed, DomainError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: load balancers, services and load were ended\n")
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    write_json(given.output, told)
    sys.stdout.write(_sentence(told, given.output))
    return 1 if told["problems"] else 0


def _sentence(told: Mapping[str, Any], output: Path) -> str:
    found = told["problems"]
    counts = f"{told['failed']} failed, {told['retried']} retried, {told['redispatched']} re-dispatched"
    what = "".join(f"\n  {problem}" for problem in found)
    return f"{told['turns']} turns, {told['requests']} requests: {counts} ({output}){what}\n"


if __name__ == "__main__":
    sys.exit(main())
