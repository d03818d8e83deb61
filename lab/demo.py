"""`python -m lab.demo`: a rolling deployment, a held one and the way back, under customers' load and measured.

Exit codes: 0 everything held, 1 something did not (or could not be measured), 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import load_service
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.folder_files import REPORT
from lab import playbook
from lab.__main__ import choose_layout, exports
from lab.accesslog import AccessLog
from lab.demands import Expected, Measured, broken, summary
from lab.demo_text import Paint, sentence, table, verdict
from lab.down import down
from lab.facts import ENVIRONMENT, online_now, read_facts
from lab.layout import FIRST_VERSION, PROJECT, TRADEAPI, Layout
from lab.load import DEFAULT_RATE, Load
from lab.progress import Progress
from lab.sampler import Sampler
from lab.tally import LoadResult
from lab.up import up
from lab.witness import write_json

FOLDER = PROJECT / "build" / "demo"
# Fresh processes compile their code at their first requests; measured against that, anything would look fast.
WARM_S = 5.0
BEFORE_S = 8.0
# The load goes on a little when all is done, so that a late effect would still be seen.
AFTER_S = 2.0
GOOD, BAD = "1.1.0", "1.2.0"
INTERRUPTED = 130
# What HAProxy's own counters must say of every part (src/tidegate/report/customers.py).
_UNHARMED = "No customer was affected"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the demo: what is run and what must come of it."""

    name: str
    title: str
    story: str
    argv: list[str]
    version: str
    expected: Expected


PARTS = (
    Part(
        name="a",
        title=f"deploy {GOOD}",
        story=f"{GOOD} goes to all nodes, wave by wave",
        argv=playbook.command("deploy", service=TRADEAPI.name, version=GOOD),
        version=GOOD,
        expected=Expected(outcome="done", exit_ok=True, online_version=GOOD, forbidden=BAD, new=GOOD),
    ),
    Part(
        name="b",
        title=f"deploy {BAD}",
        story=f"{BAD} has a fault that its NUnit tests find: its first wave must be held",
        argv=playbook.command("deploy", service=TRADEAPI.name, version=BAD),
        version=BAD,
        expected=Expected(outcome="held", exit_ok=False, online_version=GOOD, held_by=Step.NUNIT, forbidden=BAD),
    ),
    Part(
        name="c",
        title="rollback",
        story=f"one command brings the held wave back to {GOOD}",
        argv=playbook.command("rollback", service=TRADEAPI.name),
        version=BAD,
        expected=Expected(outcome="rolled_back", exit_ok=True, online_version=GOOD, forbidden=BAD),
    ),
)


@dataclass
class Demo:
    """The sequence, and what it found so far."""

    layout: Layout
    folder: Path
    rate: float
    say: Progress
    summaries: dict[str, dict[str, Any]] = field(default_factory=dict)
    broken: dict[str, list[str]] = field(default_factory=dict)
    reports: dict[str, Path] = field(default_factory=dict)
    _run: str = field(default_factory=lambda: secrets.token_hex(3))

    def run(self, parts: Sequence[Part]) -> None:
        """One part after the other; the first one that breaks a demand is the last. Raises DomainError."""
        floors = allowed_minima(self.layout)
        self._load_alone("warm", "the first customers; they are not counted", WARM_S)
        for part in parts:
            self.say(f"({part.name}) {part.story}")
            measured = self._measure(part, floors)
            self.summaries[part.name] = summary(measured, TRADEAPI.name)
            without_report = self._keep_report(part)
            self.broken[part.name] = broken(measured, part.expected) or without_report
            write_json(self.folder / "summary.json", self.summaries)
            if self.broken[part.name]:
                self.say(f"({part.name}) broke a demand; what follows would measure something else")
                return

    def _measure(self, part: Part, floors: dict[str, int]) -> Measured:
        alone = f"({part.name}) customers' load alone, {self.rate:.0f} requests a second"
        before = self._load_alone(f"{part.name}-before", alone, BEFORE_S)
        log, label = AccessLog(self.layout), f"{part.name}-{self._run}"
        with contextlib.ExitStack() as stack:
            sampler = Sampler(self.layout, f"sampler-{part.name}", self.folder)
            load = Load(self.layout, label, self.rate, folder=self.folder)
            stack.callback(sampler.kill)
            stack.callback(load.kill)
            sampler.start()
            load.start()
            began = time.monotonic()
            exit_code = self._play(part)
            seconds = time.monotonic() - began
            time.sleep(AFTER_S)
            self.say(f"({part.name}) ended with exit code {exit_code}; waiting for the last answers")
            customers, seen = load.stop(), sampler.stop()
        counts = log.counts(label, customers.requests_written)
        facts = read_facts(self.layout, TRADEAPI)
        return Measured(before, customers, counts, seen, facts, exit_code, seconds, self.rate, floors)

    def _keep_report(self, part: Part) -> list[str]:
        """Copy the part's report as it is by now; what follows writes it anew. What is wrong with it, if anything."""
        made = list((self.layout.state / "deployments" / ENVIRONMENT).glob(f"*/{REPORT}"))
        if len(made) <= len(self.reports):
            return ["it left no report"]
        kept = self.folder / f"report-{part.name}.html"
        shutil.copyfile(max(made, key=lambda path: path.parent.name), kept)
        self.reports[part.name] = kept
        unharmed = _UNHARMED in kept.read_text(encoding="utf-8")
        return [] if unharmed else [f"its report does not say {_UNHARMED!r}"]

    def _load_alone(self, name: str, what: str, seconds: float) -> LoadResult:
        load = Load(self.layout, f"{name}-{self._run}", self.rate, folder=self.folder)
        with self.say.during(what), load:
            time.sleep(seconds)
        assert load.result is not None
        return load.result

    def _play(self, part: Part) -> int:
        log = self.folder / f"{part.name}.log"
        self.say(f"({part.name}) {' '.join(part.argv)}")
        self.say(f"({part.name}) its output: {log}")
        return playbook.run(self.layout, part.argv, log, self.say, lambda: online_now(self.layout, TRADEAPI))


def allowed_minima(layout: Layout) -> dict[str, int]:
    """How many nodes of each service must stay online on every load balancer, by its descriptor. Raises BadInput."""
    minima = {}
    for service in layout.services:
        described = load_service(PROJECT / "services" / f"{service.name}.yml", ENVIRONMENT)
        minima[service.name] = described.min_online.at_least(len(service.nodes))
    return minima


def _show(demo: Demo, paint: Paint) -> None:
    titles = {part.name: part.title for part in PARTS}
    versions = {part.name: part.version for part in PARTS}
    print("\n" + table(demo.summaries, titles, paint) + "\n")
    for name, part in demo.summaries.items():
        print(sentence(name, part, versions[name], len(TRADEAPI.nodes)))
    print("\n" + verdict(demo.broken, paint))
    for name, report in demo.reports.items():
        print(f"Report of ({name}): {report}")
    print(f"All figures: {demo.folder / 'summary.json'}")


def _whole(layout: Layout, folder: Path, rate: float, say: Progress) -> int:
    say(f"starting from scratch: a lab with {TRADEAPI.name} {FIRST_VERSION} online on {len(TRADEAPI.nodes)} nodes")
    down(layout, say, purge=True)
    up(layout, say)
    demo = Demo(layout, folder, rate, say)
    demo.run(PARTS)
    _show(demo, Paint.for_stream(sys.stdout))
    return 1 if any(demo.broken.values()) or len(demo.summaries) < len(PARTS) else 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    about = "Deploy, hold and roll back on real servers under load. The lab starts afresh: what it had is removed."
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description=about)
    parser.add_argument("--keep", action="store_true", help="leave the lab running at the end")
    parser.add_argument("--rate", type=float, default=DEFAULT_RATE, help="requests a second (default %(default)g)")
    parser.add_argument("--net", help="the lab's network prefix, such as 127.20")
    parser.add_argument("--state", help="the lab's state folder; it is emptied first")
    parser.add_argument("--output", type=Path, default=FOLDER, help="where summary.json and logs go (build/demo)")
    return parser.parse_args(argv)


def _left_running(layout: Layout) -> str:
    before = exports(layout)
    return f"The lab still runs. Look: {before}python -m lab status. Stop it: {before}python -m lab down"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; see the module's docstring for the exit codes."""
    given = _arguments(argv)
    # Whoever ends us politely gets what Ctrl-C gets: load and sampler end with us.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        layout = choose_layout(given.net, given.state)
    except DomainError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    try:
        return _shown(layout, given)
    except DomainError as error:
        print(f"demo: {error}\n{_left_running(layout)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\ndemo: interrupted; load and sampler have ended. {_left_running(layout)}", file=sys.stderr)
        return INTERRUPTED


def _shown(layout: Layout, given: argparse.Namespace) -> int:
    say = Progress()
    code = _whole(layout, given.output.resolve(), given.rate, say)
    if given.keep:
        print(_left_running(layout))
    else:
        down(layout, say)
    return code


if __name__ == "__main__":
    sys.exit(main())
