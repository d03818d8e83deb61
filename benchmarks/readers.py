"""One reading of a results file, in a process of its own: `python -m benchmarks.readers WAY FILE` prints JSON."""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def tidegate() -> Callable[[Path], Counter[str]]:
    """Every case through the gate."""
    from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.gate import Gate, Rules
    from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results import chunks_of, read_results

    def read(path: Path) -> Counter[str]:
        gate = Gate(Rules(), date(2026, 1, 31))
        results = read_results(chunks_of(path), gate.see)
        counts = gate.verdict(results).counts
        return Counter(passed=counts.passed, failed=counts.failed, skipped=counts.skipped)

    return read


def elementtree() -> Callable[[Path], Counter[str]]:
    """The whole tree, then every case's result."""
    from xml.etree import ElementTree

    told = {"Passed": "passed", "Success": "passed", "Failed": "failed", "Failure": "failed", "Ignored": "skipped"}

    def read(path: Path) -> Counter[str]:
        root = ElementTree.parse(path).getroot()  # noqa: S314 (our own file)
        return Counter(told[case.attrib["result"]] for case in root.iter("test-case"))

    return read


def junitparser() -> Callable[[Path], Counter[str]]:
    """junitparser's own reading of the file as JUnit XML, then every case's result."""
    from junitparser import Failure, JUnitXml, Skipped

    def read(path: Path) -> Counter[str]:
        counts: Counter[str] = Counter()
        for suite in JUnitXml.fromfile(str(path)):
            for case in suite:
                kinds = {type(result) for result in case.result}
                counts["failed" if Failure in kinds else "skipped" if Skipped in kinds else "passed"] += 1
        return counts

    return read


WAYS = {"tidegate": tidegate, "elementtree": elementtree, "junitparser": junitparser}


def main() -> int:
    """Read once, without what importing takes, and tell seconds, processor seconds, peak memory and what was read."""
    way, path = WAYS[sys.argv[1]](), Path(sys.argv[2])
    began, used = time.perf_counter(), time.process_time()
    counts = way(path)
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - used
    peak = _PEAK.search(Path("/proc/self/status").read_text())
    told = {"wall_s": wall_s, "cpu_s": cpu_s, "peak_kb": int(peak[1]) if peak else 0, "counts": dict(counts)}
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
