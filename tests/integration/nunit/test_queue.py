"""The test box's queue, and what the runner is told: on this machine as the box."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box import ahead_of
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box_order import BoxRun
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.gate import NUnitOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.run import NUnitResult
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.runners import Selection
from tests.integration.nunit.artifacts import packed
from tests.integration.nunit.servers import Site, serving
from tests.integration.nunit.test_nunit_run import BOX, order, processes_marked, run
from tests.waiting import DEPLOYMENT_S, until

# A runner that holds the box until a file is there, and then fails without results: the queue is what is tested.
HOLDER = ("/bin/sh", "-c", 'touch "$0.here"; while [ ! -e "$0" ]; do sleep 0.1; done')


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site(nodes={"n1": "1.1.0"})) as site:
        yield site


@cache
def _packed() -> bytes:
    return packed("NOTHING")


def nothing(site: Site, work: Path) -> BoxRun:
    """A run of an assembly without tests; its artifact is one for all, since gzip writes the time into it."""
    return order(site, work, ("NOTHING",), _packed())


class Holding:
    """Runs that hold the box until they are let go, each in a thread."""

    def __init__(self, site: Site, work: Path) -> None:
        self._site, self._work = site, work
        self.done: dict[str, NUnitResult] = {}
        self._threads: list[threading.Thread] = []

    def start(self, name: str, parallel: int = 1) -> BoxRun:
        wanted = replace(
            nothing(self._site, self._work),
            program=(*HOLDER, str(self._work / name)), about=name, parallel=parallel,
        )  # fmt: skip
        thread = threading.Thread(target=lambda: self.done.update({name: run(wanted)}))
        thread.start()
        self._threads.append(thread)
        return wanted

    def queued(self, *names: str) -> None:
        until(lambda: ahead_of(BOX, nothing(self._site, self._work)) == list(names), f"queue {names}")

    def runs(self, name: str) -> bool:
        return (self._work / f"{name}.here").exists()

    def let_go(self, *names: str) -> None:
        for name in names:
            (self._work / name).touch()

    def end(self) -> None:
        for thread in self._threads:
            thread.join()


def test_first_come_first_served_and_one_at_a_time(site: Site, tmp_path: Path) -> None:
    box = Holding(site, tmp_path)
    for number, name in enumerate(("a", "b", "c"), 1):
        box.start(name)
        box.queued(*("a", "b", "c")[:number])
    until(lambda: box.runs("a"), "a runs")
    hurried = run(replace(nothing(site, tmp_path), queue_timeout=1))
    assert hurried.verdict.outcome is NUnitOutcome.BUSY
    assert "number 4 in its queue after 1 s, behind a;b;c" in hurried.verdict.sentence
    assert not box.runs("b") and not box.runs("c")
    box.let_go("a")
    until(lambda: box.runs("b"), "b runs")
    assert not box.runs("c")
    box.let_go("b", "c")
    box.end()
    assert [box.done[name].report.place for name in ("a", "b", "c")] == [1, 2, 3]
    # Both were in the queue as long as the hurried one at least.
    assert min(box.done[name].report.queued for name in ("b", "c")) >= 1.0
    assert ahead_of(BOX, nothing(site, tmp_path)) == []


def test_runs_that_allow_it_run_at_once_and_one_that_does_not_is_alone(site: Site, tmp_path: Path) -> None:
    box = Holding(site, tmp_path)
    for number, (name, parallel) in enumerate({"a": 2, "b": 2, "c": 2, "alone": 1}.items(), 1):
        box.start(name, parallel)
        box.queued(*("a", "b", "c", "alone")[:number])
    until(lambda: box.runs("a") and box.runs("b"), "a and b run")
    assert not box.runs("c")
    box.let_go("a")
    until(lambda: box.runs("c"), "c runs beside b")
    box.let_go("b")
    assert not box.runs("alone")
    box.let_go("c")
    until(lambda: box.runs("alone"), "the last one runs")
    box.let_go("alone")
    box.end()


def test_a_run_that_was_killed_is_buried_with_all_that_it_started(site: Site, tmp_path: Path) -> None:
    box = Holding(site, tmp_path)
    killed = box.start("killed")
    until(lambda: box.runs("killed"), "it runs")
    assert processes_marked(tmp_path)
    # The shell and what it was started by are gone at once, without tidying up; the runner goes on.
    shell = int((tmp_path / f"run.{killed.id}.pid").read_text())
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(shell)], capture_output=True, text=True, check=True)
    subprocess.run(["kill", "-KILL", str(shell), *children.stdout.split()], check=True)
    done = run(replace(nothing(site, tmp_path), queue_timeout=DEPLOYMENT_S))
    assert done.verdict.outcome is NUnitOutcome.NO_TESTS
    assert processes_marked(tmp_path) == []
    assert [path.name for path in tmp_path.glob("runs/*/unpacked")] == []
    assert not list((tmp_path / "queue").iterdir())
    box.let_go("killed")
    box.end()


def test_the_runner_leaves_out_what_it_is_told(site: Site, tmp_path: Path) -> None:
    chosen = Selection(("Smoke", "Two words"), ("Slow",))
    began = time.monotonic()
    done = run(replace(order(site, tmp_path, ("SORTED",)), chosen=chosen))
    assert done.verdict.outcome is NUnitOutcome.PASSED, done.verdict.sentence
    assert done.verdict.counts.passed == 2
    assert done.report.runner_seconds <= time.monotonic() - began
    # Required means that it ran, whatever kept it from running.
    required = ("Probe.Sorted.Chosen", "Probe.Sorted.TooSlow")
    rules = {"include": chosen.include, "exclude": chosen.exclude, "required": required}
    done = run(replace(order(site, tmp_path, ("SORTED",)), chosen=chosen), **rules)
    assert done.verdict.outcome is NUnitOutcome.MISSING
    assert "Probe.Sorted.TooSlow (not in the results). The categories may leave out" in done.verdict.sentence


def test_an_exit_code_is_told_in_words(site: Site, tmp_path: Path) -> None:
    done = run(replace(nothing(site, tmp_path), program=("nunit-console", "-nonsense")))
    assert done.verdict.outcome is NUnitOutcome.NO_RESULTS
    assert "exit code 255: it did not take its command line" in done.verdict.sentence
