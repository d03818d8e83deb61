"""What shipping events costs a deployment: `python -m benchmarks.events` writes build/bench/events.json."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import shipping
from benchmarks.collector import CASES, Collector, collector
from benchmarks.controller_cpu import lab_of_its_own
from benchmarks.measured import Failed, measure
from benchmarks.simulated import PLAYBOOK, PROJECT
from benchmarks.stock_ansible import stock_ansible
from lab.layout import FIRST_VERSION, NET_VARIABLE, STATE_VARIABLE, TRADEAPI, Layout
from lab.splunk.faults import Faults
from lab.witness import write_json

OUTPUT = PROJECT / "build" / "bench" / "events.json"
SIDES = ("none", "tidegate", "other")
# There and back, so that each measurement begins where the one before began.
_VERSIONS = ("1.1.0", FIRST_VERSION)
METHOD = """The lab's deployment of tradeapi by playbooks/deploy.yml, to 1.1.0 and back, with a collector on this
machine that answers each request after 0, 200 or 2,000 ms, or refuses connections (down). For each of these cases it
is run without a callback that ships, with ours, and with community.general.splunk, one after the other, every other
round in the opposite order; with peer_rounds fewer than rounds the last one is left out of the later rounds. added_pct
and peer_added_pct: how much longer both deployments took than without, of the medians over the rounds; without, nothing
depends on the collector, so those of all cases are one. Two deployments before them are not counted. What is still to
be shipped after a run is shipped before the next one begins, and not counted.
events_per_s: a ledger's entries shipped to the same collector with gzip, channel and acknowledgement, from the start
of the shipping command to its end; the median over the rounds. lost: ids of the ledgers' entries that the collector has
not acknowledged in the end, and told its sender so."""


@dataclass(frozen=True, slots=True)
class Deployments:
    """Deployments of the lab, with or without a callback that ships."""

    layout: Layout
    collector: Collector
    folder: Path
    exclude: tuple[str, ...] = ()

    def wall_s(self, side: str, case: str) -> float:
        """Seconds of both deployments. Raises Failed."""
        self.collector.set(CASES[case])
        try:
            return sum(self._deploy(side, case, version) for version in _VERSIONS)
        finally:
            self.collector.set(Faults())
            if side == "tidegate":
                shipping.flush(self.collector, self.folder, self._ledger)

    @property
    def _ledger(self) -> str:
        return f"sqlite:///{self.layout.state}/ledger.sqlite"

    def _deploy(self, side: str, case: str, version: str) -> float:
        extra = json.dumps({"service": TRADEAPI.name, "version": version, "exclude": list(self.exclude)})
        argv = [str(PLAYBOOK), "-i", "inventories/lab", "playbooks/deploy.yml", "-e", extra]
        log = self.folder / f"{side}-{case}-{version}.log"
        return measure(argv, PROJECT, self._environment(side), log).wall_s

    def _environment(self, side: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "TIDEGATE_"))}
        shipped = {
            "none": {},
            "tidegate": shipping.environment(self.collector, self.folder),
            "other": self.collector.environment_of_other(),
        }
        return kept | {
            "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            NET_VARIABLE: self.layout.net,
            STATE_VARIABLE: str(self.layout.state),
            **shipped[side],
        }


def measured_rounds(
    wall_s: Callable[[str, str], float], rounds: int, peer_rounds: int, tell: Callable[[str], None]
) -> list[dict[str, dict[str, float]]]:
    """Seconds of each round by case and side: that of others in the first `peer_rounds` only."""
    found: list[dict[str, dict[str, float]]] = []
    for number in range(rounds):
        sides = SIDES if number < peer_rounds else tuple(side for side in SIDES if side != "other")
        order = sides if number % 2 == 0 else tuple(reversed(sides))
        found.append({})
        for case in CASES:
            seconds = found[-1][case] = {side: wall_s(side, case) for side in order}
            told = ", ".join(f"{side} {seconds[side]:.1f} s" for side in sides)
            tell(f"round {number + 1} of {rounds}, {case}: {told}")
    return found


def figures(rounds: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    """By how many per cent deployments took longer with each callback, in each case."""
    shipping_sides = SIDES[1:]
    none = median(each[case]["none"] for each in rounds for case in CASES)
    cases = {
        case: {"none": none}
        | {side: median(each[case][side] for each in rounds if side in each[case]) for side in shipping_sides}
        for case in CASES
    }

    def added(side: str) -> dict[str, float]:
        return {case: round(100 * (told[side] / told["none"] - 1), 2) for case, told in cases.items()}

    every = {
        case: {side: [round(each[case][side], 2) for each in rounds if side in each[case]] for side in SIDES}
        for case in CASES
    }
    return {"added_pct": added("tidegate"), "peer_added_pct": added("other"), "wall_s": cases, "every_wall_s": every}


def _about(given: argparse.Namespace) -> dict[str, Any]:
    return {
        "method": " ".join(METHOD.split()),
        "rounds": given.rounds,
        "peer_rounds": given.peer_rounds,
        "nodes_left_out": given.exclude,
        "events": given.events,
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "peer": stock_ansible().versions(),
    }


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="for the median (default %(default)s)")
    parser.add_argument("--peer-rounds", type=int, default=0, help="of the other callback (default: as many)")
    parser.add_argument("--exclude", nargs="*", default=[], help="nodes of the lab that are left out")
    parser.add_argument("--events", type=int, default=50_000, help="that are shipped for events_per_s")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default build/bench/events.json")
    given = parser.parse_args()
    if min(given.rounds, given.events) < 1:
        parser.error("at least 1 of everything")
    given.peer_rounds = min(given.peer_rounds or given.rounds, given.rounds)
    return given


def main() -> int:
    """Measure, write the file, print it."""
    given = _arguments()
    # So that a run that is under way ends with us: it is a session of its own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="events-", dir=given.output.parent.resolve()))
    try:
        with collector(folder / "collector") as receiver:
            speed, missing = shipping.sustained(receiver, folder / "sustained", given.events, given.rounds)
            _tell(f"{speed:.0f} events a second")
            with lab_of_its_own(given.output.with_suffix(".lab.log")) as layout:
                deployments = Deployments(layout, receiver, folder, tuple(given.exclude))
                deployments.wall_s("none", next(iter(CASES)))
                rounds = measured_rounds(deployments.wall_s, given.rounds, given.peer_rounds, _tell)
                missing += shipping.missing(receiver, f"sqlite:///{layout.state}/ledger.sqlite", "lab")
        found = {**figures(rounds), "events_per_s": round(speed), "lost": missing, "about": _about(given)}
    except Failed as error:
        _tell(str(error))
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    write_json(given.output, found)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
