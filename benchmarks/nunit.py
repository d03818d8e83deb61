"""Reading NUnit results, and the controller's part of health and Puppet: build/bench/nunit.json."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any
from xml.parsers import expat

from benchmarks import controller_cpu, results_files
from benchmarks.controller_cpu import NODES
from benchmarks.measured import LIMIT_S, Failed
from benchmarks.simulated import PROJECT
from lab.witness import write_json

OUTPUT = PROJECT / "build" / "bench" / "nunit.json"
OURS = "tidegate"
PEERS = ("elementtree", "junitparser")
MB = 1_000_000
FORMATS = {"nunit3": results_files.nunit3, "nunit2": results_files.nunit2}
_METHOD = """Results of NUnit 3 and NUnit 2, `megabytes` (10^6 bytes) each, are generated. tidegate: module_utils'
stream reader with every case through the gate. elementtree: a full xml.etree.ElementTree reading, then every case's
result. junitparser: its reading of the same cases converted to JUnit XML, which has `file_mb` for them, then every
case's result. Each reading is a process of its own and must find the same numbers of cases; in each of `rounds` rounds
all three, one after the other. mb_per_s: megabytes of the file that is read divided by the seconds of the reading by
the clock, without start and imports; mb_per_cpu_s: the same by the processor time, which other work on the machine
changes less. Medians of the rounds, cpu_s too. peak_mb: the process' peak resident memory (VmHWM), Python and imports
included, the greatest of all rounds."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading: seconds by the clock and of the processor, peak memory in kB, cases by outcome."""

    wall_s: float
    cpu_s: float
    peak_kb: int
    counts: Mapping[str, int]


def bench(megabytes: float, rounds: int, folder: Path) -> dict[str, Any]:
    """Measure all of it. Raises Failed when a reading fails or finds something else than the others."""
    measured: dict[str, Any] = {}
    cases: dict[str, int] = {}
    for name, write in FORMATS.items():
        source, converted = folder / f"{name}.xml", folder / f"{name}.junit.xml"
        write(source, round(megabytes * MB))
        results_files.junit(converted, source)
        readings = _rounds(name, source, converted, rounds)
        measured[name] = figures(readings, {way: _read_by(way, source, converted).stat().st_size for way in readings})
        cases[name] = sum(readings[OURS][0].counts.values())
    return measured | {"about": _about(megabytes, rounds, cases)}


def _rounds(name: str, source: Path, converted: Path, rounds: int) -> dict[str, list[Reading]]:
    readings: dict[str, list[Reading]] = {way: [] for way in (OURS, *PEERS)}
    for number in range(rounds):
        for way, told in readings.items():
            told.append(_reading(way, _read_by(way, source, converted)))
        require_same({way: told[-1].counts for way, told in readings.items()})
        shown = ", ".join(f"{way} {told[-1].wall_s:.1f} s" for way, told in readings.items())
        _tell(f"{name}, round {number + 1} of {rounds}: {shown}")
    return readings


def _read_by(way: str, source: Path, converted: Path) -> Path:
    return converted if way == "junitparser" else source


def _reading(way: str, path: Path) -> Reading:
    argv = [sys.executable, "-m", "benchmarks.readers", way, str(path)]
    done = subprocess.run(
        argv, cwd=PROJECT, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S, check=False
    )
    if done.returncode != 0:
        raise Failed(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stderr.decode(errors='replace')[-3000:]}")
    return Reading(**json.loads(done.stdout))


# -- figures ----------------------------------------------------------------------------------------------------------
def require_same(counts: Mapping[str, Mapping[str, int]]) -> None:
    """Raise Failed unless all found as many cases of each outcome as we did."""
    unlike = {way: dict(found) for way, found in counts.items() if _nonzero(found) != _nonzero(counts[OURS])}
    if unlike or not _nonzero(counts[OURS]):
        raise Failed(f"not all read the same: {OURS} {dict(counts[OURS])}, {unlike}")


def _nonzero(found: Mapping[str, int]) -> dict[str, int]:
    return {name: number for name, number in found.items() if number}


def figures(readings: Mapping[str, Sequence[Reading]], sizes: Mapping[str, int]) -> dict[str, Any]:
    """Speed and peak memory of ours, and of each peer, which read files of so many bytes."""
    told = {way: _figures(runs, sizes[way]) for way, runs in readings.items()}
    return {**told.pop(OURS), "peers": told}


def _figures(runs: Sequence[Reading], size: int) -> dict[str, float]:
    wall_s, cpu_s = median(run.wall_s for run in runs), median(run.cpu_s for run in runs)
    return {
        "mb_per_s": round(size / MB / wall_s, 1),
        "mb_per_cpu_s": round(size / MB / cpu_s, 1),
        "peak_mb": round(max(run.peak_kb for run in runs) * 1024 / MB, 1),
        "cpu_s": round(cpu_s, 2),
        "file_mb": round(size / MB, 1),
    }


def _about(megabytes: float, rounds: int, cases: Mapping[str, int]) -> dict[str, Any]:
    return {
        "method": " ".join(_METHOD.split()),
        "megabytes": megabytes,
        "rounds": rounds,
        "cases": dict(cases),
        "processors": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "expat": ".".join(map(str, expat.version_info)),
        "junitparser": version("junitparser"),
    }


# -- the command ------------------------------------------------------------------------------------------------------
def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nunit", description=__doc__)
    parser.add_argument("--megabytes", type=float, default=50.0, help="of each file (default %(default)g)")
    parser.add_argument("--rounds", type=int, default=5, help="for medians (default %(default)s)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default build/bench/nunit.json")
    parser.add_argument("--nodes", nargs="+", default=list(NODES), help="of the lab (default %(default)s)")
    parser.add_argument(
        "--plays", type=int, default=3, help="rounds of health and Puppet; 0: no lab (default %(default)s)"
    )
    given = parser.parse_args()
    if given.megabytes <= 0 or given.rounds < 1 or given.plays < 0 or not {*given.nodes} <= {*NODES}:
        parser.error(f"more than nothing, and nodes of {' '.join(NODES)}")
    return given


def main() -> int:
    """Measure, write the file, print it."""
    given = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="nunit-", dir=given.output.parent))
    try:
        measured = bench(given.megabytes, given.rounds, folder)
        if given.plays:
            with controller_cpu.lab_of_its_own(given.output.with_suffix(".lab.log")) as layout:
                plays = controller_cpu.Plays(layout, tuple(given.nodes), folder)
                measured |= controller_cpu.bench(plays, given.plays, _tell)
    except (Failed, subprocess.TimeoutExpired, ValueError) as error:
        _tell(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    write_json(given.output, measured)
    sys.stdout.write(json.dumps(measured, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
