"""Restarting every node in turn under the customers' load, and what it cost them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import balancers
from benchmarks.fleet import Fleet
from lab.accesslog import AccessLog, LogCounts
from lab.load import Load
from lab.tally import LoadResult

# Of load alone, before and after the work.
SETTLED_S = 2.0
LONGEST_S = 3600.0


@dataclass(frozen=True, slots=True)
class Account:
    """What happened to customers' requests, by three accounts: their own, HAProxy's logs and HAProxy's counters.

    The customers' client never sends a request twice.
    """

    load: LoadResult
    log: LogCounts
    counted: Mapping[str, int]
    seconds: float

    @property
    def failed(self) -> int:
        """Requests without the right answer as their customers saw it, or as HAProxy did if those are more."""
        return max(self.load.requests_failed, self.log.failed)

    @property
    def retried(self) -> int:
        """Requests for which HAProxy connected to a server more than once, and its connections that were repeated."""
        return max(self.log.retried, self.counted["retried"])

    @property
    def redispatched(self) -> int:
        """Requests that HAProxy sent to another server than was chosen first."""
        return max(self.log.redispatched, self.counted["redispatched"])

    @property
    def doubts(self) -> list[str]:
        """Why the figures are not worth their name; empty if they are. Only for runs without failures."""
        load, log = self.load, self.log
        found = {
            f"the clients wrote {load.requests_written} requests, the logs have {log.total}": (
                load.requests_written != log.total
            ),
            f"{load.unsent} requests were not sent": load.unsent > 0,
            f"{load.stray_bytes} bytes came unasked": load.stray_bytes > 0,
            f"{log.unreadable} lines of the logs are unreadable": log.unreadable > 0,
            f"HAProxy dropped {log.dropped} lines of its logs": log.dropped > 0,
            f"{log.repeated} requests were sent twice": log.repeated > 0,
            f"the load ended by itself ({load.ended_by})": load.ended_by != "stop",
            "there were no requests": load.requests_total == 0,
        }
        return [text for text, doubtful in found.items() if doubtful]

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "seconds": round(self.seconds, 1),
            "requests": self.load.requests_total,
            "failed": self.failed,
            "retried": self.retried,
            "redispatched": self.redispatched,
            "by_kind": {name: {"total": each.total, "failed": each.failed} for name, each in self.load.by_kind.items()},
            "p99_ms": self.load.p99_ms,
            "haproxy_log": {"requests": self.log.total, "failed": self.log.failed},
            "first_errors": self.load.first_errors[:5],
        }


def under_load(
    fleet: Fleet, label: str, rate: float, folder: Path, work: Callable[[], None], longest_s: float = LONGEST_S
) -> Account:
    """Do `work`, which takes `longest_s` at the most, while customers ask: from before its start until after its end.

    Raises Failed or DomainError.
    """
    log, before = AccessLog(fleet.layout), balancers.repeats(fleet.layout, fleet.online_backends)
    with Load(fleet.layout, label, rate=rate, folder=folder, max_seconds=longest_s + 3 * SETTLED_S) as load:
        time.sleep(SETTLED_S)
        began = time.monotonic()
        work()
        seconds = time.monotonic() - began
        time.sleep(SETTLED_S)
    assert load.result is not None
    counts = log.counts(label, load.result.requests_written)
    after = balancers.repeats(fleet.layout, fleet.online_backends)
    return Account(load.result, counts, {name: after[name] - before[name] for name in after}, seconds)


def one_after_the_other(fleet: Fleet, nodes: Sequence[str], restart: Callable[[str], None]) -> None:
    """Restart the nodes; the next one's turn comes when all servers are UP again, whatever the method waits for."""
    for node in nodes:
        restart(node)
        fleet.await_online()
