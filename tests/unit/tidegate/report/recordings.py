"""Deployments that the demo did, as folder and ledger had them, and samples of HAProxy's counters for them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step, digest, parse
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Entry, Kind, State
from tidegate.report import Report, make, render, report_of
from tidegate.report.findings import AllTests, FailedTest, NodeTests, PuppetRun

RECORDED = Path(__file__).parent / "recorded"
WAYS_ON = (
    "tradeapi 1.2.0 is held; the wave was n1.",
    "Go back: tidegate rollback tradeapi",
    "Or try again: tidegate resume tradeapi",
)
VOID = ("meta", "br", "wbr", "link", "img", "hr")


def recorded(name: str) -> tuple[Deployment, dict[str, Any], list[Entry]]:
    """Deployment, plan and entries of `done`, `held` or `rolled_back`."""
    folder = RECORDED / name
    told = json.loads((folder / "deployment.json").read_text())
    plan = told.pop("plan")
    told |= {"kind": Kind(told["kind"]), "state": State(told["state"])}
    deployment = Deployment(**told | {key: tuple(told[key]) for key in ("nodes", "services")})
    entries = []
    for line in (folder / "events.jsonl").read_text().split("\n"):
        if line:
            event, seq, prev = parse(line)
            entries.append(Entry(seq, digest(seq, prev, line), event))
    return deployment, plan, entries


def report(name: str, entries: Sequence[Entry] | None = None, ways_on: Sequence[str] = ()) -> Report:
    """The report of a recording, or of other entries in its place."""
    deployment, plan, own = recorded(name)
    ways_on = WAYS_ON if name == "held" and not ways_on else ways_on
    return report_of(deployment, own if entries is None else entries, plan, RECORDED / name, ways_on=ways_on)


def page(name: str, entries: Sequence[Entry] | None = None) -> str:
    return render(report(name, entries))


def sample(after: Event, load_balancer: str, moment: str, requests: int, **told: Any) -> Event:
    """A sample of HAProxy's counters, some milliseconds after another event."""
    at = (datetime.fromisoformat(after.at) + timedelta(milliseconds=3)).isoformat(timespec="milliseconds")
    details: dict[str, Any] = {
        "load_balancer": load_balancer, "at_moment": moment, "pools": ["tradeapi_online"], "requests": requests,
        "failed": 0, "hrsp_5xx": 0, "retried": 0, "redispatched": 0, "worker": "411:1795934933",
        "queue_ms": 0, "connect_ms": 1, "response_ms": 4 + requests % 5, "total_ms": 6 + requests % 7,
    } | told  # fmt: skip
    return Event(
        service="tradeapi",
        environment="lab",
        deployment=after.deployment,
        attempt=after.attempt,
        step=Step.CUSTOMERS,
        outcome=Outcome.OK,
        at=at.replace("+00:00", "Z"),
        details=details,
    )


def with_customers(entries: Sequence[Entry], rate: float = 200.0) -> list[Entry]:
    """The same with samples of two load balancers, each with so many requests a second and none that failed."""
    events = [entry.event for entry in entries]
    first = datetime.fromisoformat(events[0].at)
    told: list[Event] = []
    for place, event in enumerate(events):
        told.append(event)
        moment = _moment(event, place == 0, place == len(events) - 1)
        if moment:
            requests = 5_000 + int(rate * (datetime.fromisoformat(event.at) - first).total_seconds())
            told += [sample(event, name, moment, requests + place % 3) for name in ("lb1", "lb2")]
    return numbered(told)


def numbered(events: Iterable[Event]) -> list[Entry]:
    return [Entry(seq, f"{seq:064x}", event) for seq, event in enumerate(events, 1)]


def _moment(event: Event, first: bool, last: bool) -> str:
    if first or last:
        return "before" if first else "after"
    moved = {Step.LEAVE: "left", Step.JOIN: "joined"}.get(event.step, "")
    return moved if event.outcome.good else ""


def changed(entries: Sequence[Entry], step: Step, **details: Any) -> list[Entry]:
    """The same with other details in all events of a step that has ended."""
    return [
        replace(entry, event=replace(entry.event, details={**entry.event.details, **details}))
        if entry.event.step is step and entry.event.outcome is not Outcome.STARTED
        else entry
        for entry in entries
    ]


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</desc></svg><style>*{display:none}</style>",
    "{{ 7 * 7 }}{% raw %}",
    "\u202eevil\u2066\x1b[31m\x00\x07",
    "W" * 3_000,
    "&lt;b&gt;",
)


def hostile_page(evil: str = " ".join(HOSTILE)) -> str:
    """The held one, with the same hostile text wherever a text comes from outside."""
    deployment, plan, entries = recorded("held")
    name = evil.replace("\x00", "")[:150]
    evil_entries = changed(entries, Step.NUNIT, msg=evil, failing=[evil] * 3, results_sha256="")
    evil_entries = changed(evil_entries, Step.HOLD, cause=evil, msg=evil)
    evil_entries = [
        replace(
            entry,
            event=replace(
                entry.event, by=name, nodes=tuple(name if node == "n1" else node for node in entry.event.nodes)
            ),
        )
        for entry in evil_entries
    ]
    evil_plan = {**plan, "releases": {name: evil}, "skipped": {"n2": evil}}
    deployment = replace(
        deployment,
        version=name,
        opened_by=name,
        nodes=tuple(name if node == "n1" else node for node in deployment.nodes),
    )
    puppet = [PuppetRun(1, name, evil, evil, 1.0, evil, (evil,) * 5, 5, (evil,))]
    tests = AllTests(
        (NodeTests(1, 1, evil, name, False, evil, 1, 1, 1.0),), (FailedTest(evil, evil, (name,)),), 3, (evil,)
    )
    return render(
        make(
            deployment,
            changed(with_customers(evil_entries), Step.CUSTOMERS, load_balancer=evil),
            evil_plan,
            ways_on=[f"Go back: {evil}"],
            tests=tests,
            puppet=puppet,
        )
    )


class Page(HTMLParser):
    """A page as somebody hears it who can't see it: headings, tables' captions, pictures' names, all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self._parts: list[list[str]] = [[]]
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
            self._parts.append([])
        elif tag == "br":
            self._parts[-1].append("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1] == tag, f"</{tag}> closes {self._open[-1:]}"
        self._open.pop()
        text = "".join(self._parts.pop())
        self.texts.setdefault(tag, []).append(" ".join(text.split()))
        self._parts[-1].append(text + ("" if tag in ("font", "bdi", "b", "span", "code", "nobr", "tspan") else "\n"))

    def handle_data(self, data: str) -> None:
        self._parts[-1].append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts["html"][0].split())

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.tags if name == tag)
