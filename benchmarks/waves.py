"""What Tidegate adds to a wave: `python -m benchmarks.waves` writes build/bench/waves.json (see README.md here)."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measured import Failed, Run, measure
from benchmarks.simulated import PLAYBOOK, PROJECT, Site, site
from lab.witness import write_json
from tidegate.ledger import SqlLedger
from tidegate.store import Store

OUTPUT = PROJECT / "build" / "bench" / "waves.json"
# On each node, in the order of playbooks/deploy.yml; benchmarks/stock.yml has the same, each as a task.
NODE_STEPS = ("freeze", "puppet", "release", "health", "nunit", "warmup", "release again", "thaw")
WAVE_STEPS = ("begin", "leave", "pin", "join", "confirm")
# How the descriptor of the lab's main service cuts waves, for the growth.
_GROWTH_WAVES, _GROWTH_MIN_ONLINE = ("1", "25%", "100%"), "60%"
_METHOD = """All node and load balancer operations are no-ops that end well; playbook, roles, actions, permit, locks and
ledger are the real ones. wave_overhead_s = (wall of `waves` waves - wall of one wave) / (waves - 1), all waves of
nodes_per_wave nodes; by_wave_size has the same for waves of other sizes. cpu_ms_per_node_step = (processor time of
`waves` waves - of one wave) / ((waves - 1) x nodes_per_wave x node steps), user and system time of ansible-
playbook and all its workers; the steps that are done once a wave and the planning of the further nodes are in it.
stock_ansible_cpu_ms_per_node_step: the same for benchmarks/stock.yml. Medians over `runs` rounds, in each of which
all of these commands run one after the other. fixed_s = wall of one wave - wave_overhead_s: start, planning,
settling. growth: s is the wall time of a whole deployment of so many nodes in waves of 1, 25%, 100% with
min_online 60%."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How much is run: so many waves of so many nodes, so many times, and deployments of these sizes."""

    waves: int = 3
    nodes_per_wave: int = 5
    other_sizes: tuple[int, ...] = (1, 2, 12)
    runs: int = 5
    growth: tuple[int, ...] = (5, 12, 50, 100, 200)


@dataclass(frozen=True, slots=True)
class Pair:
    """One wave and several of the same size, measured right after each other."""

    one: Run
    several: Run


@dataclass(frozen=True, slots=True)
class Round:
    """Pairs by their waves' size, and the yardstick's."""

    ours: Mapping[int, Pair]
    stock: Pair


def bench(shape: Shape, folder: Path) -> dict[str, Any]:
    """Measure all of it. Raises Failed when a run doesn't end well."""
    with _answering() as url:
        rounds = [_round(shape, folder, number, url) for number in range(shape.runs)]
    growth = [_grown(nodes, folder) for nodes in shape.growth]
    return {**_figures(shape, rounds), "growth": growth, "about": _about(shape)}


def _round(shape: Shape, folder: Path, number: int, url: str) -> Round:
    sizes = sorted({shape.nodes_per_wave, *shape.other_sizes})
    ours = {size: _pair(shape, folder / f"{number}-{size}", size) for size in sizes}
    size, several = shape.nodes_per_wave, shape.nodes_per_wave * shape.waves
    stock = Pair(_stock(folder, size, size, url), _stock(folder, several, size, url))
    _tell(f"round {number + 1} of {shape.runs}: {ours[size].one.wall_s:.1f} s, {ours[size].several.wall_s:.1f} s")
    return Round(ours, stock)


def _pair(shape: Shape, folder: Path, size: int) -> Pair:
    one = _deployed(_equal_waves(folder / "one", size, size))
    return Pair(one, _deployed(_equal_waves(folder / "several", size * shape.waves, size)))


def _equal_waves(folder: Path, nodes: int, size: int) -> Site:
    return site(folder, nodes, (str(size),), "0%")


def _deployed(made: Site) -> Run:
    return measure(made.deploy(), PROJECT, made.environment, made.folder / "output.log")


def _stock(folder: Path, nodes: int, per_wave: int, url: str) -> Run:
    inventory = folder / f"stock-{nodes}.json"
    hosts: dict[str, dict[str, str]] = {f"node{number:03}": {} for number in range(1, nodes + 1)}
    settings = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_pipelining": True}
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": settings}}))
    extra = json.dumps({"per_wave": per_wave, "url": url, "scratch": str(folder)})
    argv = [str(PLAYBOOK), "-i", str(inventory), "benchmarks/stock.yml", "--forks", str(max(50, nodes)), "-e", extra]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment |= {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    return measure(argv, PROJECT, environment, folder / "stock.log")


def _grown(nodes: int, folder: Path) -> dict[str, Any]:
    made = site(folder / f"growth-{nodes}", nodes, _GROWTH_WAVES, _GROWTH_MIN_ONLINE)
    run = _deployed(made)
    waves = _waves_in(made)
    _tell(f"{nodes} nodes in {waves} waves: {run.wall_s:.1f} s")
    per_step = 1000 * run.cpu_s / (nodes * len(NODE_STEPS))
    return {
        "nodes": nodes,
        "s": round(run.wall_s, 2),
        "cpu_s": round(run.cpu_s, 2),
        "waves": waves,
        "cpu_ms_per_node_step": round(per_step, 1),
    }


def _waves_in(made: Site) -> int:
    events = [entry.event for entry in SqlLedger(Store(f"sqlite:///{made.ledger}")).entries("bench")]
    return len({event.wave for event in events if event.wave})


def _figures(shape: Shape, rounds: Sequence[Round]) -> dict[str, Any]:
    size, more = shape.nodes_per_wave, shape.waves - 1
    ours, stock = [each.ours[size] for each in rounds], [each.stock for each in rounds]
    steps = more * size * len(NODE_STEPS)
    ours_ms, stock_ms = _cpu_ms(ours, steps), _cpu_ms(stock, steps)
    return {
        "wave_overhead_s": round(_wave_s(ours, more), 3),
        "cpu_ms_per_node_step": round(ours_ms, 1),
        "stock_ansible_cpu_ms_per_node_step": round(stock_ms, 1),
        "share_of_stock": round(ours_ms / stock_ms, 3),
        "stock_ansible_wave_s": round(_wave_s(stock, more), 3),
        "fixed_s": round(median(pair.one.wall_s for pair in ours) - _wave_s(ours, more), 3),
        "by_wave_size": [_of_size(rounds, each, more) for each in sorted(rounds[0].ours)],
    }


def _of_size(rounds: Sequence[Round], size: int, more: int) -> dict[str, Any]:
    pairs = [each.ours[size] for each in rounds]
    cpu_ms = _cpu_ms(pairs, more * size * len(NODE_STEPS))
    return {
        "nodes_per_wave": size,
        "wave_overhead_s": round(_wave_s(pairs, more), 3),
        "cpu_ms_per_node_step": round(cpu_ms, 1),
    }


def _wave_s(pairs: Sequence[Pair], more: int) -> float:
    return median((pair.several.wall_s - pair.one.wall_s) / more for pair in pairs)


def _cpu_ms(pairs: Sequence[Pair], steps: int) -> float:
    return median(1000 * (pair.several.cpu_s - pair.one.cpu_s) / steps for pair in pairs)


def _about(shape: Shape) -> dict[str, Any]:
    return {
        "method": " ".join(_METHOD.split()),
        "nodes_per_wave": shape.nodes_per_wave,
        "waves": shape.waves,
        "runs": shape.runs,
        "node_steps": list(NODE_STEPS),
        "wave_steps": list(WAVE_STEPS),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "ansible_core": version("ansible-core"),
    }


class _Answer(BaseHTTPRequestHandler):
    """Answers every GET at once."""

    def do_GET(self) -> None:
        body = b'{"status": "ok", "version": "2.0.0"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@contextmanager
def _answering() -> Iterator[str]:
    """A server in this very process, whose processor time is in no run's figures."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/health"
        finally:
            server.shutdown()
            thread.join()


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waves", description=__doc__)
    usual = Shape()
    parser.add_argument("--waves", type=int, default=usual.waves, help="waves in the longer run (default %(default)s)")
    parser.add_argument("--nodes-per-wave", type=int, default=usual.nodes_per_wave, help="default %(default)s")
    parser.add_argument("--other-sizes", type=int, nargs="*", default=list(usual.other_sizes), help="of waves as well")
    parser.add_argument("--runs", type=int, default=usual.runs, help="rounds, for the median (default %(default)s)")
    parser.add_argument("--growth", type=int, nargs="*", default=list(usual.growth), help="nodes of whole deployments")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default build/bench/waves.json")
    given = parser.parse_args()
    if given.waves < 2 or min(given.nodes_per_wave, given.runs, *given.other_sizes, *given.growth, 1) < 1:
        parser.error("at least 2 waves, and 1 of everything else")
    return given


def main() -> int:
    """Measure, write the file, print it."""
    given = _arguments()
    shape = Shape(given.waves, given.nodes_per_wave, tuple(given.other_sizes), given.runs, tuple(given.growth))
    # So that a run that is under way ends with us: it is a session of its own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    # Absolute, as a ledger's path must be.
    folder = Path(tempfile.mkdtemp(prefix="waves-", dir=given.output.parent.resolve()))
    try:
        measured = bench(shape, folder)
    except Failed as error:
        _tell(str(error))
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    write_json(given.output, measured)
    sys.stdout.write(json.dumps(measured, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
