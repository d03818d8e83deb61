"""Customers' requests as HAProxy's own logs tell them: the second account, which must agree with the clients'.

A request that reached an online front end has one line, written when it ended. One that its client gave up has one
too (`C…`, or a normal end if HAProxy never noticed); one that got no connection has none. So in a good run the log's
`total` is the clients' `requests_written`, exactly.

The totals are compared because the log alone is too kind (seen on HAProxy 2.6.12): when a server closes without an
answer to any but the first request of a client's connection, HAProxy closes the client's connection without an answer
and *writes no line*, trusting that the client sends again. The customer has lost a request, and only the difference of
the totals shows it in the log. Lines of maintenance front ends are no customers'.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.haproxy import bound_log
from lab.haproxy_config import customers
from lab.haproxy_socket import ask
from lab.layout import Layout

WAIT_S = 10.0
# After the last expected line: would there be one too many?
_SETTLE_S = 0.3
_FAILURES_TOLD = 20
_LINE_LIMIT = 64 * 1024
_CHUNK = 1024 * 1024


@dataclass(slots=True)
class LogCounts:
    """One load's requests by HAProxy's account.

    `failed`: status 500 or higher or none, or a termination state that doesn't begin with `--` (normal end, HAProxy's
    configuration manual, 8.5). `retried` connected to a server more than once, `redispatched` went to another server
    than was chosen first (8.2.3, field retries, marked `+`). `repeated` request ids came more than once: a client that
    sent again. `unreadable` lines would make every other number a guess; `dropped` is how many HAProxy could not
    write in that time, by its own count and of whatever load (DroppedLogs in `show info`).
    """

    label: str
    total: int = 0
    failed: int = 0
    retried: int = 0
    redispatched: int = 0
    repeated: int = 0
    unreadable: int = 0
    dropped: int = 0
    by_server: Counter[str] = field(default_factory=Counter)
    first_failures: list[dict[str, Any]] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set, repr=False)

    def add(self, entry: dict[str, Any]) -> None:
        """Count one request; raises KeyError, TypeError or ValueError if the line lacks a field."""
        status, termination, retries = int(entry["status"]), str(entry["termination"]), str(entry["retries"])
        path = f"{entry['frontend']}/{entry['backend']}/{entry['server']}"
        request_id, again = str(entry["request_id"]), int(retries.lstrip("+"))
        self.total += 1
        self.by_server[path] += 1
        self.retried += again > 0
        self.redispatched += retries.startswith("+")
        self.repeated += request_id in self._ids
        self._ids.add(request_id)
        if not 100 <= status < 500 or not termination.startswith("--"):
            self.failed += 1
            self._tell(entry)

    def _tell(self, entry: dict[str, Any]) -> None:
        if len(self.first_failures) < _FAILURES_TOLD:
            keys = ("time", "frontend", "backend", "server", "status", "termination", "retries", "total_ms", "uri")
            self.first_failures.append({key: entry.get(key) for key in keys})

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        names = ("total", "failed", "retried", "redispatched", "repeated", "unreadable", "dropped", "first_failures")
        return {name: getattr(self, name) for name in names} | {"by_server": dict(sorted(self.by_server.items()))}


def online_front_ends(layout: Layout) -> frozenset[str]:
    """The names of the front ends that customers use."""
    return frozenset({customers("shared"), *(customers(each.name) for each in layout.services if each.online_port)})


def count(lines: Iterable[bytes], counts: LogCounts, front_ends: frozenset[str]) -> None:
    """Add the label's lines to `counts`; what HAProxy says of itself in between is no JSON and skipped."""
    mark = counts.label.encode()
    for line in lines:
        if not line.startswith(b"{") or mark not in line:
            continue
        try:
            entry = json.loads(line)
            if entry["load"] == counts.label and entry["frontend"] in front_ends:
                counts.add(entry)
        except (ValueError, KeyError, TypeError):
            counts.unreadable += 1


@dataclass(slots=True)
class AccessLog:
    """Follows the access logs of a lab's load balancers from where they end when this is made."""

    layout: Layout
    _offsets: dict[Path, int] = field(default_factory=dict)
    _dropped: int = 0

    def __post_init__(self) -> None:
        self._dropped = _dropped_lines(self.layout)
        for host in self.layout.load_balancers:
            bound_log(host)
            path = host.haproxy_log
            self._offsets[path] = path.stat().st_size if path.exists() else 0

    def counts(self, label: str, expected: int, wait_s: float = WAIT_S) -> LogCounts:
        """The label's requests since this was made, once `expected` are there or `wait_s` seconds are over."""
        counts, offsets = LogCounts(label), dict(self._offsets)
        front_ends = online_front_ends(self.layout)
        deadline = time.monotonic() + wait_s
        while self._read(counts, offsets, front_ends) < expected and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(_SETTLE_S)
        self._read(counts, offsets, front_ends)
        counts.dropped = _dropped_lines(self.layout) - self._dropped
        return counts

    def _read(self, counts: LogCounts, offsets: dict[Path, int], front_ends: frozenset[str]) -> int:
        for path in offsets:
            while lines := _whole_lines(path, offsets):
                count(lines, counts, front_ends)
        return counts.total


def _dropped_lines(layout: Layout) -> int:
    """How many lines the load balancers could not write so far; 0 for one that doesn't answer."""
    return sum(_dropped_by(host.haproxy_socket) for host in layout.load_balancers)


def _dropped_by(path: Path) -> int:
    try:
        told = re.search(r"^DroppedLogs: (\d+)$", ask(path, "show info"), re.MULTILINE)
    except OSError:
        return 0
    return int(told[1]) if told else 0


def _whole_lines(path: Path, offsets: dict[Path, int]) -> list[bytes]:
    """The next lines that are complete; a line that is being written stays for the next time."""
    if not path.exists():
        return []
    with path.open("rb") as log:
        log.seek(offsets[path])
        chunk = log.read(_CHUNK)
    end = chunk.rfind(b"\n") + 1
    if end == 0 and len(chunk) > _LINE_LIMIT:
        end = len(chunk)  # Not a line that HAProxy writes; step over it instead of waiting for its end.
    offsets[path] += end
    return chunk[:end].splitlines()
