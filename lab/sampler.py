"""The independent witness: ten times a second, how many servers could customers use, on each load balancer?

It shares no code with what it watches: its own socket, its own parser, and the rule of HAProxy's documentation.
In a program: `with Sampler(layout, folder) as sampler: ...`, then `sampler.result`. By hand: `python -m lab.sampler`.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from lab.layout import Layout
from lab.witness import Measurement, Witness, scratch_folder, until_told, write_json

EVERY_S = 0.1
GAP_S = 0.5
MAX_SECONDS = 1200.0
_ANSWER_S = 0.4
_ANSWER_LIMIT = 1024 * 1024
_TOLD = 50
_CHANGES = 2000
# Every server of every backend: proxy -1, type 4 (server), server -1 (management guide 9.3, "show stat").
_QUESTION = b"show stat -1 4 -1\n"


@dataclass(frozen=True, slots=True)
class Pool:
    """A service's two backends."""

    service: str
    online: str
    maintenance: str


@dataclass(frozen=True, slots=True)
class Row:
    """What one line of `show stat` says of one server of one backend."""

    backend: str
    server: str
    status: str
    weight: int
    backup: bool

    @property
    def usable(self) -> bool:
        """Customers are balanced to it, and it has passed its checks: `UP 1/2` has not, DRAIN and MAINT are out."""
        return self.status == "UP" and self.weight > 0 and not self.backup

    @property
    def reachable(self) -> bool:
        """Somebody may be sent there, be it wise or not: also before the checks have passed (`UP 1/2`)."""
        return self.status.startswith("UP") and self.weight > 0


def parse(text: str) -> list[Row]:
    """The rows of `show stat`. Raises ValueError if it isn't that."""
    if not text.startswith("# pxname,"):
        raise ValueError(f"no statistics but {text[:60]!r}")
    rows = csv.DictReader(text[2:].splitlines())
    return [_row(each) for each in rows if each.get("svname")]


def _row(each: Mapping[str, str]) -> Row:
    try:
        return Row(each["pxname"], each["svname"], each["status"], int(each["weight"]), each["bck"] == "1")
    except (KeyError, TypeError) as error:
        raise ValueError(f"the statistics lack {error}") from error


def usable(rows: Iterable[Row], backend: str) -> tuple[str, ...]:
    """The servers of a backend that customers can use."""
    return tuple(sorted(row.server for row in rows if row.backend == backend and row.usable))


def in_both(rows: Sequence[Row], pool: Pool) -> tuple[str, ...]:
    """The servers that are in both of a service's pools: customers and testers would meet there."""
    online = {row.server for row in rows if row.backend == pool.online and row.reachable}
    maintenance = {row.server for row in rows if row.backend == pool.maintenance and row.reachable}
    return tuple(sorted(online & maintenance))


@dataclass(slots=True)
class PoolSeen:
    """What was seen of one service on one load balancer.

    `changes` are (seconds since the epoch, usable servers) whenever that set changed. `both_pools` counts the samples
    in which a server was in both pools, `both_pools_first` tells the first ones.
    """

    min_online: int | None = None
    min_online_at: float = 0.0
    both_pools: int = 0
    both_pools_first: list[tuple[float, list[str]]] = field(default_factory=list)
    changes: list[tuple[float, list[str]]] = field(default_factory=list)

    def add(self, when: float, online: tuple[str, ...], both: tuple[str, ...]) -> None:
        """Take in one sample."""
        if self.min_online is None or len(online) < self.min_online:
            self.min_online, self.min_online_at = len(online), when
        if (not self.changes or self.changes[-1][1] != list(online)) and len(self.changes) < _CHANGES:
            self.changes.append((when, list(online)))
        if both:
            self.both_pools += 1
            if len(self.both_pools_first) < _TOLD:
                self.both_pools_first.append((when, list(both)))


@dataclass(slots=True)
class BalancerSeen:
    """What was seen on one load balancer; `gaps` are (from when, seconds) without a sample for over 500 ms."""

    samples: int = 0
    missed: int = 0
    last_error: str = ""
    gaps: list[tuple[float, float]] = field(default_factory=list)
    services: dict[str, PoolSeen] = field(default_factory=dict)
    _last: float = 0.0

    def begin(self, now: float) -> None:
        """Watching begins now."""
        self._last = now

    def add(self, now: float, rows: Sequence[Row], pools: Sequence[Pool]) -> None:
        """Take in what one answer says."""
        self.note_gap(now)
        self.samples += 1
        for pool in pools:
            seen = self.services.setdefault(pool.service, PoolSeen())
            seen.add(round(now, 3), usable(rows, pool.online), in_both(rows, pool))

    def note_gap(self, now: float) -> None:
        """Remember if nothing was seen for too long."""
        if now - self._last > GAP_S and len(self.gaps) < _TOLD:
            self.gaps.append((round(self._last, 3), round(now - self._last, 3)))
        self._last = now


@dataclass(frozen=True, slots=True)
class SamplerResult:
    """What the witness saw, by load balancer."""

    seconds: float
    balancers: dict[str, BalancerSeen]

    def min_online(self, service: str) -> int | None:
        """The lowest number of usable servers on any load balancer; None if one of them was never seen."""
        seen = [each.services[service].min_online if service in each.services else None for each in self._all]
        return None if not seen or None in seen else min(each for each in seen if each is not None)

    @property
    def both_pools(self) -> int:
        """Samples in which some server was in both pools."""
        return sum(pool.both_pools for each in self._all for pool in each.services.values())

    @property
    def gaps(self) -> int:
        """How often a load balancer was not seen for over 500 ms."""
        return sum(len(each.gaps) for each in self._all)

    @property
    def _all(self) -> list[BalancerSeen]:
        return list(self.balancers.values())

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> SamplerResult:
        """The counterpart of to_json."""
        return cls(raw["seconds"], {name: _balancer_seen(each) for name, each in raw["balancers"].items()})


def _balancer_seen(raw: dict[str, Any]) -> BalancerSeen:
    services = {name: PoolSeen(**each) for name, each in raw["services"].items()}
    return BalancerSeen(**{**raw, "services": services})


async def ask(path: Path) -> str:
    """The answer of the load balancer behind this socket. Raises OSError, TimeoutError or ValueError (too long)."""
    async with asyncio.timeout(_ANSWER_S):
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(_QUESTION)
            answer = bytearray()
            while chunk := await reader.read(65536):
                answer += chunk
                if len(answer) > _ANSWER_LIMIT:
                    raise ValueError(f"an answer of more than {_ANSWER_LIMIT} bytes")
        finally:
            writer.close()
    return answer.decode()


async def _watch(path: Path, pools: Sequence[Pool], seen: BalancerSeen, ended: asyncio.Future[str]) -> None:
    """Sample one load balancer on a fixed beat: a late answer delays nothing but itself."""
    loop = asyncio.get_running_loop()
    seen.begin(time.time())
    due = loop.time()
    while not ended.done():
        try:
            rows = parse(await ask(path))
            seen.add(time.time(), rows, pools)
        except (OSError, TimeoutError, ValueError) as error:
            seen.missed += 1
            seen.last_error = f"{type(error).__name__}: {error}"[:200]
        due = max(due + EVERY_S, loop.time())
        await asyncio.sleep(due - loop.time())
    seen.note_gap(time.time())


async def watch(sockets: Mapping[str, Path], pools: Sequence[Pool], ended: asyncio.Future[str]) -> SamplerResult:
    """Sample every load balancer until `ended`."""
    started = time.monotonic()
    balancers = {name: BalancerSeen() for name in sockets}
    await asyncio.gather(*(_watch(path, pools, balancers[name], ended) for name, path in sockets.items()))
    return SamplerResult(round(time.monotonic() - started, 3), balancers)


def pools_of(layout: Layout) -> list[Pool]:
    """The pools of every service of the lab."""
    return [Pool(each.name, each.online, each.maintenance) for each in layout.services]


def sockets_of(layout: Layout) -> dict[str, Path]:
    """The admin socket of every load balancer of the lab."""
    return {host.name: host.haproxy_socket for host in layout.load_balancers}


@dataclass
class Sampler(Measurement[SamplerResult]):
    """The witness from `start` to `stop`, in a process of its own; see `Load` for folder and time."""

    layout: Layout
    name: str = "sampler"
    folder: Path | None = None
    max_seconds: float = MAX_SECONDS

    def _prepare(self) -> Witness:
        settings = {
            "max_seconds": self.max_seconds,
            "sockets": {name: str(path) for name, path in sockets_of(self.layout).items()},
            "pools": [asdict(pool) for pool in pools_of(self.layout)],
        }
        return Witness("lab.sampler", self.name, settings, self.folder or scratch_folder())

    def _read(self, raw: dict[str, Any]) -> SamplerResult:
        return SamplerResult.from_json(raw)


async def _as_witness(settings_file: Path) -> None:
    settings = json.loads(settings_file.read_bytes())
    sockets = {name: Path(path) for name, path in settings["sockets"].items()}
    told = asyncio.ensure_future(until_told(settings["max_seconds"]))
    result = await watch(sockets, [Pool(**raw) for raw in settings["pools"]], told)
    write_json(Path(settings["result"]), result.to_json())


async def _by_hand(layout: Layout, seconds: float) -> SamplerResult:
    ended = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, ended.set_result, "time")
    return await watch(sockets_of(layout), pools_of(layout), ended)


def main(argv: Sequence[str] | None = None) -> int:
    """Sample for some seconds and print what was seen as JSON; 130: interrupted."""
    parser = argparse.ArgumentParser(prog="python -m lab.sampler", description="Count the servers in the online pools.")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--net", help="the lab's network prefix, such as 127.20")
    parser.add_argument("--state", type=Path, help="the lab's state folder")
    parser.add_argument("--settings", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.settings:
        asyncio.run(_as_witness(given.settings))
        return 0
    try:
        result = asyncio.run(_by_hand(Layout.of(given.net, given.state), given.seconds))
    except KeyboardInterrupt:
        return 130
    except (DomainError, ValueError) as error:
        print(f"python -m lab.sampler: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result.to_json(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
