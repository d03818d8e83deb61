"""The customers' load: many requests a second in a process of its own, by a client that never sends one twice.

In a program: `with Load(layout, "label", rate=300) as load: ...`, then `load.result`.
By hand: `python -m lab.load --seconds 10 --label try`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from lab.customers import PATIENCE_S, Customer, checked_label, customers_of, fault_of, question
from lab.http1 import Answer, BadAnswer
from lab.layout import Layout
from lab.tally import LoadResult, Seen, Tally
from lab.wire import NotConnected, Wire, connect
from lab.witness import Measurement, Witness, scratch_folder, until_told, write_json

DEFAULT_RATE = 400.0
MAX_SECONDS = 1200.0
MAX_REQUESTS = 1_000_000
# After the stop: what is in flight may take its patience, and so may one that waited behind it.
_LAST_S = PATIENCE_S + 2.0


@dataclass(slots=True)
class _Visitor:
    """One customer at work: asks when it is due, and at once if the answer before came too late."""

    customer: Customer
    label: str
    tally: Tally
    first_number: int
    _wire: Wire | None = None
    _nap: asyncio.Future[None] | None = None
    _last_due: float = float("inf")

    async def visit(self, start: float, phase: float) -> None:
        """Ask from `start` (the loop's clock) on, shifted by a `phase` of the period, until `end` was called."""
        period = 1 / self.customer.rate
        due, number = start + phase * period, self.first_number
        try:
            while await self._comes(due):
                await self._ask(due, number)
                due, number = due + period, number + 1
        except asyncio.CancelledError:
            # Cut off at the very end; the request in hand has counted itself, those behind it never began.
            self.tally.unsent += max(0, int((self._last_due - due) / period))
        finally:
            self._leave()

    def end(self, now: float) -> None:
        """Only what is due by now is still asked."""
        self._last_due = now
        if self._nap is not None and not self._nap.done():
            self._nap.set_result(None)

    async def _comes(self, due: float) -> bool:
        loop = asyncio.get_running_loop()
        if due > loop.time() and due <= self._last_due:
            self._nap = loop.create_future()
            handle = loop.call_at(due, _wake, self._nap)
            await self._nap
            handle.cancel()
        return due <= self._last_due

    async def _ask(self, due: float, number: int) -> None:
        asked = question(self.customer, self.label, number)
        answer, error, written = None, "unfinished at the end", False
        try:
            wire = await self._connected()
            written = True
            answer = await wire.exchange(asked.wire, PATIENCE_S)
            error = fault_of(self.customer.kind, asked, answer)
        except (NotConnected, BadAnswer) as problem:
            error = str(problem)
        finally:
            self._count(due, answer, error, written)
        self._part(answer)

    async def _connected(self) -> Wire:
        """The connection from before if the server has not closed it, else a new one: settled before a byte is sent."""
        if self._wire is not None and not self._wire.usable():
            self._leave()
        if self._wire is None:
            self._wire = await connect(self.customer.host, self.customer.port, PATIENCE_S)
        return self._wire

    def _part(self, answer: Answer | None) -> None:
        if answer is None or not answer.keep or not self.customer.keeps_connection:
            self._leave()

    def _leave(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self.tally.stray_bytes += self._wire.stray_bytes
            self._wire = None

    def _count(self, due: float, answer: Answer | None, error: str, written: bool) -> None:
        late = asyncio.get_running_loop().time() - due
        self.tally.add(
            Seen(
                due=time.time() - late,
                kind=self.customer.kind,
                load_balancer=self.customer.load_balancer,
                status=answer.status if answer else 0,
                latency_ms=late * 1000,
                version=answer.headers.get("x-version", "") if answer else "",
                error=error,
                written=written,
            )
        )


def _wake(nap: asyncio.Future[None]) -> None:
    if not nap.done():
        nap.set_result(None)


async def _crowd(
    customers: Sequence[Customer], label: str, tally: Tally, ended: asyncio.Future[str]
) -> tuple[str, float]:
    """All customers at once until `ended`, or until there were too many requests; why it ended, after how long."""
    loop = asyncio.get_running_loop()
    visitors = [_Visitor(each, label, tally, index * MAX_REQUESTS) for index, each in enumerate(customers)]
    start = loop.time()
    # The golden ratio spreads any number of customers evenly over a period.
    tasks = [loop.create_task(each.visit(start, index * 0.618034 % 1)) for index, each in enumerate(visitors)]
    while not ended.done() and tally.total < MAX_REQUESTS:
        await asyncio.wait([ended], timeout=0.5)
    end = loop.time()
    for each in visitors:
        each.end(end)
    _, late = await asyncio.wait(tasks, timeout=_LAST_S)
    for task in late:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
    return ended.result() if ended.done() else "count", end - start


async def measure(
    customers: Sequence[Customer], label: str, ended: asyncio.Future[str], records: Path | None = None
) -> LoadResult:
    """Put the load on until `ended`; each request goes to `records` as a JSON line if a path is given."""
    started, clock, cpu = time.time(), time.monotonic(), time.process_time()
    gc.freeze()
    with contextlib.ExitStack() as stack:
        tally = Tally(stack.enter_context(records.open("w")) if records else None)
        why, asked = await _crowd(customers, label, tally, ended)
    return tally.result(label, started, time.monotonic() - clock, asked, time.process_time() - cpu, why)


@dataclass
class Load(Measurement[LoadResult]):
    """The customers' load from `start` to `stop`, in a process of its own.

    `rate` is requests a second, all customers together; `customers` replaces the usual mix. Files (result, records of
    each request, the process's output) go to `folder`, a temporary one by default. It ends by itself after
    `max_seconds` and when this process is gone. What is in flight at the stop still gets its answer.
    """

    layout: Layout
    label: str
    rate: float = DEFAULT_RATE
    customers: Sequence[Customer] = ()
    folder: Path | None = None
    max_seconds: float = MAX_SECONDS

    def _prepare(self) -> Witness:
        customers = [asdict(each) for each in self.customers or customers_of(self.layout, self.rate)]
        settings = {"label": checked_label(self.label), "max_seconds": self.max_seconds, "customers": customers}
        return Witness("lab.load", f"load-{self.label}", settings, self.folder or scratch_folder())

    def _read(self, raw: dict[str, Any]) -> LoadResult:
        return LoadResult.from_json(raw)


async def _as_witness(settings_file: Path) -> None:
    settings = json.loads(settings_file.read_bytes())
    customers = [Customer.from_dict(raw) for raw in settings["customers"]]
    told = asyncio.ensure_future(until_told(settings["max_seconds"]))
    result_file = Path(settings["result"])
    result = await measure(customers, settings["label"], told, result_file.with_suffix(".records.jsonl"))
    write_json(result_file, result.to_json())


async def _by_hand(layout: Layout, label: str, rate: float, seconds: float) -> LoadResult:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[str] = loop.create_future()
    loop.call_later(seconds, ended.set_result, "time")
    return await measure(customers_of(layout, rate), label, ended)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab.load", description="Put customers' load on the lab and count.")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--label", default="by-hand", help="in every request's X-Load header, and so in HAProxy's log")
    parser.add_argument("--rate", type=float, default=DEFAULT_RATE, help="requests a second (default %(default)g)")
    parser.add_argument("--net", help="the lab's network prefix, such as 127.20")
    parser.add_argument("--state", type=Path, help="the lab's state folder")
    parser.add_argument("--settings", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """0: every request was answered well; 1: some were not; 130: interrupted."""
    given = _arguments(argv)
    if given.settings:
        asyncio.run(_as_witness(given.settings))
        return 0
    try:
        layout = Layout.of(given.net, given.state)
        result = asyncio.run(_by_hand(layout, checked_label(given.label), given.rate, given.seconds))
    except KeyboardInterrupt:
        return 130
    except (DomainError, ValueError) as error:
        print(f"python -m lab.load: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result.to_json(), indent=2))
    return 1 if result.requests_failed or not result.requests_total else 0


if __name__ == "__main__":
    sys.exit(main())
