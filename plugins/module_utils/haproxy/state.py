# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running HAProxy says about itself, read strictly.

Field names and bits are those of HAProxy 2.6 and 2.8: management guide, "show stat" and "show servers state".
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntFlag

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind

ServerKey = tuple[str, str]
Record = dict[str, str]


# Names go into commands whose separators are ";", "/" and blanks. HAProxy itself allows only these characters.
NAME = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
# An unsigned 64-bit number at most; Python takes other digits for numbers, too, and refuses thousands of them.
_NUMBER = re.compile(r"[0-9]{1,20}")
# CHK_ST_CONFIGURED and CHK_ST_ENABLED (include/haproxy/check-t.h); `disable health` clears the second.
CONFIGURED, CHECKS = 0x02, 0x06
_FRONTEND, _BACKEND, _SERVER = "0", "1", "2"
_STAT_COLUMNS = ("pxname", "svname", "qcur", "scur", "stot", "wretr", "status", "bck", "tracked", "type", "addr")
_STATE_COLUMNS = (
    *("be_name", "srv_name", "srv_op_state", "srv_admin_state", "srv_uweight"),
    *("srv_check_state", "srv_agent_state"),
)
_OUTCOMES = {"http": ("req_tot", "hrsp_5xx", "srv_abrt"), "tcp": ("stot", "econ", "eresp")}
_LEVELS = ("user", "operator", "admin")
_NOT_FOUND = ("No such proxy.", "Can't find backend.")


class Admin(IntFlag):
    """Administrative state of a server, from `srv_admin_state`."""

    FORCED_MAINT = 1
    TRACKED_MAINT = 2
    DISABLED_IN_CONFIG = 4
    FORCED_DRAIN = 8
    TRACKED_DRAIN = 16
    RESOLUTION_MAINT = 32

    @property
    def effective(self) -> Admin:
        """Without the bit that only tells where a MAINT came from: it stays after `ready`."""
        return self & ~Admin.DISABLED_IN_CONFIG

    @property
    def names(self) -> list[str]:
        """The set bits in words, as they are shown to people."""
        return [str(bit.name).lower() for bit in Admin if bit & self]


@dataclass(frozen=True, slots=True)
class ServerRow:
    """One server of one backend as the current worker sees it. `check_off`: it has a check that was disabled.

    `begun` are the sessions that ever began there. A retry counts as one more in HAProxy's `stot`; here it doesn't.
    """

    backend: str
    name: str
    status: str
    op: int
    admin: Admin
    weight: int
    backup: bool
    sessions: int
    queued: int
    begun: int
    checked: bool
    agent: bool
    tracks: str
    address: str
    check_off: bool = False

    @property
    def key(self) -> ServerKey:
        """Backend and name: what identifies the server."""
        return self.backend, self.name


@dataclass(frozen=True, slots=True)
class OldWorker:
    """A worker that a reload replaced and that still serves; `sessions` is None when it could not be asked.

    `undecided` are customers who are connected to it and whose request no server has yet. It may give them to any
    server: to it, all are as they were at the reload, and nothing that is set changes that ("Proxy is disabled.").
    """

    pid: int
    sessions: Mapping[ServerKey, int] | None
    undecided: int = 0


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a backend's customers got, as its worker has counted since it began (management guide, 9.1, "CSV format").

    `requests` are sessions where the backend speaks no HTTP. `failed` has each one that failed once, which the guide
    doesn't say how to tell; it was tried on 2.6.12 and 2.8.25, and a test tries it again:

    - HTTP: `answered_5xx` (hrsp_5xx), HAProxy's own answers included, and `cut`: answers that broke off after they had
      begun (srv_abrt). What is counted in econ and eresp is among these, a 502 in eresp once or twice, and an answer
      that stalls is in neither. A websocket that HAProxy's own time limit ends is among `cut`, too.
    - TCP: sessions that got no server (econ) or that it reset (eresp). One that the server closed in the middle looks
      like one that was done, and srv_abrt has idle ones that timed out.

    Times are averages of the last 1,024 requests, in milliseconds.
    """

    requests: int
    failed: int
    answered_5xx: int
    cut: int
    retried: int
    redispatched: int
    queue_ms: int
    connect_ms: int
    response_ms: int
    total_ms: int


@dataclass(frozen=True, slots=True)
class LoadBalancerState:
    """Everything that was read from one load balancer in one go; uptime in seconds.

    `level` is what the socket lets one do: `user`, `operator` or `admin`.
    With `proof`, which says why it is known that no HAProxy runs there, it is what HAProxy would start with.
    `began` is when the worker did, in seconds since 1970, as it tells it.
    """

    host: str
    version: str
    pid: int
    uptime: int
    servers: Mapping[ServerKey, ServerRow]
    queues: Mapping[str, int]
    old_workers: tuple[OldWorker, ...] = ()
    failed_reloads: int = 0
    missing_backends: frozenset[str] = field(default_factory=frozenset)
    level: str = "admin"
    proof: str = ""
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    began: str = ""

    @property
    def down(self) -> bool:
        """Whether it provably carries no traffic."""
        return bool(self.proof)

    def names(self, backend: str) -> list[str]:
        """The servers of a backend, in its order; empty when there is no such backend."""
        return [name for owner, name in self.servers if owner == backend]

    def rows(self, backend: str) -> list[ServerRow]:
        """The servers' rows of a backend."""
        return [row for row in self.servers.values() if row.backend == backend]

    def sessions(self, key: ServerKey) -> int:
        """Streams that the server has in the current and in all old workers that answered."""
        current = self.servers[key].sessions if key in self.servers else 0
        return current + sum(worker.sessions.get(key, 0) for worker in self.old_workers if worker.sessions is not None)

    @property
    def undecided(self) -> int:
        """Customers of old workers whose request may still go to any server."""
        return sum(worker.undecided for worker in self.old_workers)

    @property
    def silent_workers(self) -> list[int]:
        """Old workers that still live and could not be asked."""
        return [worker.pid for worker in self.old_workers if worker.sessions is None]


@dataclass(frozen=True, slots=True)
class Processes:
    """The master's list: the current worker, the old ones that still live, failed reloads since the last good one."""

    workers: tuple[int, ...]
    old_workers: tuple[int, ...]
    failed_reloads: int


def garbled(host: str, what: str) -> BadInput:
    """An answer that can't be HAProxy's, as an error that names the load balancer."""
    message, remedy = RefusalKind.STRANGER.told(what=what)
    return BadInput(message, where=f"load balancer {host}", remedy=remedy)


def split_answers(raw: str) -> tuple[list[str], str]:
    """The complete answers (each ends in an empty line) of one connection, and what came after the last one."""
    answers: list[str] = []
    lines: list[str] = []
    *complete, rest = raw.split("\n")
    for line in complete:
        if line:
            lines.append(line)
        else:
            answers.append("\n".join(lines))
            lines = []
    return answers, "\n".join([*lines, rest]) if lines or rest else ""


def parse_info(host: str, text: str) -> Record:
    """`show info` as a mapping that is sure to have Version, Pid and Uptime_sec as they should be."""
    pairs = (line.partition(": ") for line in text.splitlines())
    info = {key: value.strip() for key, colon, value in pairs if colon}
    if not info.get("Version"):
        raise garbled(host, f"'show info' began with {text[:60]!r}")
    for key in ("Pid", "Uptime_sec"):
        _number(host, info, key)
    return info


def parse_level(host: str, text: str) -> str:
    """`show cli level`: one word."""
    if text not in _LEVELS:
        raise garbled(host, f"'show cli level' is {text[:60]!r}")
    return text


def parse_stat(host: str, text: str) -> list[Record]:
    """`show stat` as one mapping a row; a row that does not fit the header is an error."""
    if not text.startswith("# pxname,svname,"):
        raise garbled(host, f"'show stat' began with {text[:60]!r}")
    try:
        # A reason that an application gave for being unhealthy is in a column, and may hold any other end of a line.
        header, *rows = csv.reader(text[2:].split("\n"), strict=True)
    except csv.Error as error:
        raise garbled(host, f"'show stat' is not CSV: {error}") from error
    _require(host, _STAT_COLUMNS, header, "show stat")
    return [_fit(host, header, row, "show stat") for row in rows]


def parse_servers_state(host: str, text: str) -> list[Record]:
    """`show servers state` (version 1) as one mapping a row; a row that does not fit the header is an error."""
    version, _, rest = text.partition("\n")
    header, *rows = rest.splitlines() or [""]
    if version != "1" or not header.startswith("# be_id be_name srv_id srv_name "):
        raise garbled(host, f"'show servers state' began with {text[:60]!r}")
    names = header[2:].split(" ")
    _require(host, _STATE_COLUMNS, names, "show servers state")
    return [_fit(host, names, row.split(" "), "show servers state") for row in rows]


def parse_proc(host: str, text: str) -> Processes:
    """`show proc` of the master socket."""
    if not text.startswith("#<PID>"):
        raise garbled(host, f"'show proc' began with {text[:60]!r}")
    section = "master"
    found: dict[str, list[int]] = {"master": [], "workers": [], "old workers": []}
    for line in text.splitlines()[1:]:
        if line.startswith("# "):
            section = line[2:].strip()
        elif section in found:
            found[section].append(_pid(host, line))
    failed = re.search(r"\[failed: ([0-9]{1,9})\]", text)
    return Processes(tuple(found["workers"]), tuple(found["old workers"]), int(failed[1]) if failed else 0)


def server_rows(host: str, stat: Iterable[Record], states: Iterable[Record]) -> dict[ServerKey, ServerRow]:
    """Both tables joined, in HAProxy's order. A server that is in one of them only is an error.

    Those of a backend that is `disabled` are left out: 'show stat' has not even the backend itself.
    """
    by_key = {(row["be_name"], row["srv_name"]): row for row in states}
    rows: dict[ServerKey, ServerRow] = {}
    statistics = list(stat)
    for row in (row for row in statistics if row["type"] == _SERVER):
        key = (row["pxname"], row["svname"])
        if key not in by_key:
            raise garbled(host, f"{'/'.join(key)} is in 'show stat' but not in 'show servers state'")
        rows[key] = _server(host, row, by_key[key])
    alive = {row["pxname"] for row in statistics}
    lost = sorted("/".join(key) for key in by_key.keys() - rows.keys() if key[0] in alive)
    if lost:
        raise garbled(host, f"{lost[0]} is in 'show servers state' but not in 'show stat'")
    return rows


def session_counts(host: str, stat: Iterable[Record]) -> dict[ServerKey, int]:
    """Streams per server, for a worker of which nothing else matters."""
    return {(row["pxname"], row["svname"]): _number(host, row, "scur") for row in stat if row["type"] == _SERVER}


def undecided_customers(host: str, stat: Iterable[Record]) -> int:
    """Connections of customers beyond those that a server works for: their request is not there yet, or queued."""
    rows = list(stat)
    connected = sum(_number(host, row, "scur") for row in rows if row["type"] == _FRONTEND)
    return max(0, connected - sum(session_counts(host, rows).values()))


def queue_counts(host: str, stat: Iterable[Record]) -> dict[str, int]:
    """Requests that wait in each backend for any of its servers."""
    return {row["pxname"]: _number(host, row, "qcur") for row in stat if row["type"] == _BACKEND}


def traffic_counts(stat: Iterable[Record]) -> dict[str, Traffic]:
    """What each backend's customers got, without backends that don't tell it: no move may depend on it."""
    told = {row["pxname"]: _traffic(row) for row in stat if row["type"] == _BACKEND}
    return {name: traffic for name, traffic in told.items() if traffic is not None}


def _traffic(row: Record) -> Traffic | None:
    names = (*("wretr", "wredis", "qtime", "ctime", "rtime", "ttime"), *_OUTCOMES.get(row.get("mode", ""), ()))
    told = {name: int(row[name]) for name in names if _NUMBER.fullmatch(row.get(name, ""))}
    if len(told) < len(names):
        return None
    rest = tuple(told[name] for name in names[:6])
    match row.get("mode"):
        case "http":
            failed = told["hrsp_5xx"] + told["srv_abrt"]
            return Traffic(told["req_tot"], failed, told["hrsp_5xx"], told["srv_abrt"], *rest)
        case "tcp":
            return Traffic(told["stot"], told["econ"] + told["eresp"], 0, 0, *rest)
    return None


def carrying(states: Mapping[str, LoadBalancerState]) -> dict[str, LoadBalancerState]:
    """The load balancers that may carry traffic: all but those of which it is proved that no HAProxy runs there."""
    return {name: each for name, each in states.items() if not each.down}


def is_missing(answer: str) -> bool:
    """Whether an answer says that there is no such backend."""
    return answer in _NOT_FOUND


def _server(host: str, stat: Record, state: Record) -> ServerRow:
    checks = _number(host, state, "srv_check_state") & CHECKS
    return ServerRow(
        backend=stat["pxname"],
        name=stat["svname"],
        status=stat["status"],
        op=_number(host, state, "srv_op_state"),
        admin=Admin(_number(host, state, "srv_admin_state") & 0x3F),
        weight=_number(host, state, "srv_uweight"),
        backup=stat["bck"] == "1",
        sessions=_number(host, stat, "scur"),
        queued=_number(host, stat, "qcur"),
        begun=_number(host, stat, "stot") - _number(host, stat, "wretr"),
        checked=checks == CHECKS,
        agent=bool(_number(host, state, "srv_agent_state") & CONFIGURED),
        tracks=stat["tracked"],
        address=stat["addr"],
        check_off=checks == CONFIGURED,
    )


def _require(host: str, columns: Sequence[str], header: Sequence[str], what: str) -> None:
    missing = [column for column in columns if column not in header]
    if missing:
        raise garbled(host, f"{what!r} has no column {missing[0]}")


def _fit(host: str, header: Sequence[str], row: Sequence[str], what: str) -> Record:
    if len(row) != len(header):
        raise garbled(host, f"a row of {what!r} has {len(row)} fields instead of {len(header)}: {' '.join(row)[:60]!r}")
    return dict(zip(header, row, strict=True))


def _number(host: str, row: Record, key: str) -> int:
    value = row.get(key, "")
    if not _NUMBER.fullmatch(value):
        raise garbled(host, f"{key} is {value[:40]!r} instead of a number")
    return int(value)


def _pid(host: str, line: str) -> int:
    first = line.split(None, 1)[0] if line.strip() else ""
    if not _NUMBER.fullmatch(first):
        raise garbled(host, f"'show proc' has the line {line[:60]!r}")
    return int(first)
