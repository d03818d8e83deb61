"""NUnit runs by the real nunit-console, on this machine as the test box."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Stopped, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import Expectation, Expected
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box import cancel
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box_order import BoxRun
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.gate import NUnitOutcome, Quarantined, Rules
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.log import Account
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.run import NUnitResult, run_nunit
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import Stopping
from tests.integration.nunit.artifacts import archive, packed
from tests.integration.nunit.servers import Site, serving
from tests.waiting import DEPLOYMENT_S, PATIENCE_S, until

BOX = PosixNode("box", LocalShell())
EXPECTED = Expectation(version=Expected("$.version", "1.1.0"))


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site(nodes={"n1": "1.1.0", "n2": "1.0.0"})) as site:
        yield site


def order(site: Site, work: Path, kinds: tuple[str, ...], content: bytes | None = None) -> BoxRun:
    """A run of the assemblies of these kinds, aimed at n1."""
    site.files["/a.tar.gz"] = packed(*kinds) if content is None else content
    return BoxRun(
        work_dir=str(work),
        artifact_url=f"{site.url}/a.tar.gz",
        artifact_sha256=hashlib.sha256(site.files["/a.tar.gz"]).hexdigest(),
        assemblies=tuple(f"{kind.title()}.dll" for kind in kinds),
        probe_url=f"{site.url}/health",
        aim=("X-Tidegate-Node", "n1"),
        served_by="X-Served-By",
        node="n1",
        timeout=DEPLOYMENT_S,
        queue_timeout=DEPLOYMENT_S,
        settings={
            "TIDEGATE_URL": site.url,
            "TIDEGATE_NODE": "n1",
            "TIDEGATE_AIM_HEADER": "X-Tidegate-Node",
            "TIDEGATE_AIM_VALUE": "n1",
            "TIDEGATE_VERSION": "1.1.0",
        },
    )


TODAY = date(2026, 1, 31)


def run(order: BoxRun, **rules: Any) -> NUnitResult:
    return run_nunit(BOX, order, EXPECTED, Rules(assemblies=order.assemblies, **rules), today=TODAY)


def raw(done: NUnitResult) -> bytes:
    return b"".join(done.raw.chunks()) if done.raw else b""


def processes_marked(work: Path) -> list[str]:
    """The command lines of living processes that carry the work folder's mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"\0TIDEGATE_BOX={work}/".encode() in b"\0" + (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_passing_tests_reach_the_aimed_node(site: Site, tmp_path: Path) -> None:
    done = run(order(site, tmp_path, ("PASSING",)), min_tests=3)
    assert done.verdict.outcome is NUnitOutcome.PASSED, done.verdict.sentence
    assert done.verdict.sentence == "of 3 tests 3 passed"
    assert done.report.runner_rc == 0
    assert b"<test-results" in raw(done)
    # Probe, the test's own request, probe: all aimed at n1.
    assert site.asked == [("/health", "n1")] * 3


def test_too_few_tests_are_not_enough(site: Site, tmp_path: Path) -> None:
    done = run(order(site, tmp_path, ("PASSING",)), min_tests=4)
    assert done.verdict.outcome is NUnitOutcome.TOO_FEW
    assert "3 tests ran, at least 4 must" in done.verdict.sentence


def test_each_way_of_not_passing_is_told(site: Site, tmp_path: Path) -> None:
    done = run(order(site, tmp_path, ("MIXED",)))
    counts = done.verdict.counts
    assert done.verdict.outcome is NUnitOutcome.FAILED
    assert (counts.total, counts.passed, counts.failed, counts.inconclusive, counts.skipped) == (8, 2, 4, 1, 1)
    assert {case.name: case.outcome for case in done.verdict.failures} == {
        "Probe.Mixed.Fails": "failed",
        "Probe.Mixed.Throws": "failed",
        "Probe.Mixed.NeedsArguments": "failed",
        "Probe.Mixed.OneOfTwo(2)": "failed",
        "Probe.Mixed.Inconclusive": "inconclusive",
    }
    # nunit-console wrote the escape character raw into its XML, which is none then.
    assert b"\x1b" in raw(done)
    assert "\x1b" not in done.verdict.sentence
    assert "Probe.Mixed.Fails: the price" in done.verdict.sentence


def test_allowed_failures_count_inconclusive_ones(site: Site, tmp_path: Path) -> None:
    assert run(order(site, tmp_path, ("MIXED",)), allowed_failures=4).verdict.outcome is NUnitOutcome.FAILED
    assert run(order(site, tmp_path, ("MIXED",)), allowed_failures=5).verdict.outcome is NUnitOutcome.PASSED


def test_nothing_but_inconclusive_and_ignored_is_no_pass(site: Site, tmp_path: Path) -> None:
    done = run(order(site, tmp_path, ("INCONCLUSIVE",)))
    assert done.report.runner_rc == 0
    assert done.verdict.outcome is NUnitOutcome.FAILED
    assert run(order(site, tmp_path, ("INCONCLUSIVE",)), allowed_failures=1).verdict.outcome is NUnitOutcome.NO_TESTS


def test_rules_of_what_may_fail_hold_for_what_nunit_wrote(site: Site, tmp_path: Path) -> None:
    names = ("Fails", "Throws", "NeedsArguments", "OneOfTwo", "Inconclusive")
    quarantine = tuple(Quarantined(f"Probe.Mixed.{name}", TODAY, "TRADE-117") for name in names)
    done = run(order(site, tmp_path, ("MIXED",)), required=("Probe.Mixed.Passes",), quarantine=quarantine, min_tests=2)
    assert done.verdict.outcome is NUnitOutcome.PASSED, done.verdict.sentence
    assert (done.verdict.counts.passed, done.verdict.counts.quarantined) == (2, 5)
    assert "In quarantine and not passed: Probe.Mixed.Fails" in done.verdict.sentence


def test_a_failed_fixture_set_up_names_its_cause(site: Site, tmp_path: Path) -> None:
    done = run(order(site, tmp_path, ("SETUP",)))
    assert done.verdict.counts.failed == 2
    assert "Probe.BrokenSetUp.First" in done.verdict.sentence
    assert "no database" in done.verdict.sentence


def test_zero_tests_are_no_pass_although_the_runner_is_content(site: Site, tmp_path: Path) -> None:
    done = run(order(site, tmp_path, ("NOTHING",)))
    assert done.report.runner_rc == 0
    assert done.verdict.outcome is NUnitOutcome.NO_TESTS


def test_an_assembly_without_tests_is_not_covered_by_another(site: Site, tmp_path: Path) -> None:
    done = run(order(site, tmp_path, ("PASSING", "NOTHING")))
    assert done.verdict.outcome is NUnitOutcome.NO_TESTS
    assert "Nothing.dll" in done.verdict.sentence


def test_a_hanging_run_is_ended_with_its_children(site: Site, tmp_path: Path) -> None:
    began = time.monotonic()
    # Whatever the tests' variables are called: these are names of the box's own.
    names = {"run_seconds": "100", "id": "other", "work": "/", "run": "/nonexistent", "TIDEGATE_BOX": "other"}
    done = run(replace(order(site, tmp_path, ("HANGING",)), timeout=4, settings=names))
    assert done.verdict.outcome is NUnitOutcome.TIMED_OUT
    assert "4s" in done.verdict.sentence
    assert time.monotonic() - began < PATIENCE_S
    assert processes_marked(tmp_path) == []


def test_a_runner_that_dies_wrote_no_results(site: Site, tmp_path: Path) -> None:
    done = run(order(site, tmp_path, ("DYING",)))
    assert done.verdict.outcome is NUnitOutcome.NO_RESULTS
    assert "exit code 3" in done.verdict.sentence
    assert "last words" in done.verdict.sentence


def test_what_is_no_assembly_gives_no_results(site: Site, tmp_path: Path) -> None:
    content = archive({"tests/Passing.dll": b"not a library"})
    done = run(order(site, tmp_path, ("PASSING",), content))
    assert done.verdict.outcome is NUnitOutcome.NO_RESULTS


def test_no_test_runs_when_the_aimed_node_is_down(site: Site, tmp_path: Path) -> None:
    del site.nodes["n1"]
    done = run(order(site, tmp_path, ("PASSING",)))
    assert done.verdict.outcome is NUnitOutcome.WRONG_NODE
    assert "status 503" in done.verdict.sentence
    assert done.report.runner_rc is None
    assert site.asked == [("/health", "n1")]


def test_no_test_runs_when_another_node_answers(site: Site, tmp_path: Path) -> None:
    site.lies["n1"] = "n2"
    done = run(order(site, tmp_path, ("PASSING",)))
    assert done.verdict.outcome is NUnitOutcome.WRONG_NODE
    assert "aimed at n1, answered by n2" in done.verdict.sentence


def test_tests_of_the_old_release_are_no_evidence(site: Site, tmp_path: Path) -> None:
    site.nodes["n1"] = "1.0.0"
    wanted = order(site, tmp_path, ("NOTHING",))
    done = run(wanted)
    assert done.verdict.outcome is NUnitOutcome.WRONG_RELEASE
    assert "before the tests n1 serves version 1.0.0, expected 1.1.0" in done.verdict.sentence


def test_a_node_that_falls_back_during_the_tests_is_no_evidence(site: Site, tmp_path: Path) -> None:
    site.change_after, site.change = 2, {"n1": "1.0.0"}
    done = run(order(site, tmp_path, ("PASSING",)))
    assert done.verdict.outcome is NUnitOutcome.WRONG_RELEASE
    assert "after the tests" in done.verdict.sentence


def test_a_front_end_that_is_not_there_is_told(site: Site, tmp_path: Path) -> None:
    done = run(replace(order(site, tmp_path, ("PASSING",)), probe_url="http://127.0.0.1:1/health"))
    assert done.verdict.outcome is NUnitOutcome.WRONG_NODE
    assert "Failed to connect" in done.verdict.sentence


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (archive({"../outside": b"x"}), "a path that leads outside: ../outside"),
        (archive({"/absolute": b"x"}), "a path that leads outside: /absolute"),
        (archive({"tests/Passing.dll": b"x"}, {"tests/link": "/etc"}), "a link or device"),
        (archive({"bin/Service.exe": b"x"}), "its tests folder lacks Passing.dll"),
        (b"no archive", "can't be unpacked safely"),
    ],
)
def test_a_strange_artifact_is_refused(site: Site, tmp_path: Path, content: bytes, told: str) -> None:
    done = run(order(site, tmp_path / "work", ("PASSING",), content))
    assert done.verdict.outcome is NUnitOutcome.REFUSED_ARTIFACT
    assert told in done.verdict.sentence
    assert not list(tmp_path.rglob("outside"))


def test_another_digest_is_refused(site: Site, tmp_path: Path) -> None:
    wanted = replace(order(site, tmp_path, ("PASSING",)), artifact_sha256="0" * 64)
    done = run(wanted)
    assert done.verdict.outcome is NUnitOutcome.REFUSED_ARTIFACT
    assert hashlib.sha256(site.files["/a.tar.gz"]).hexdigest() in done.verdict.sentence


def test_an_artifact_that_is_gone_is_told(site: Site, tmp_path: Path) -> None:
    wanted = replace(order(site, tmp_path, ("PASSING",)), artifact_url=f"{site.url}/gone.tar.gz")
    done = run(wanted)
    assert done.verdict.outcome is NUnitOutcome.BOX_FAILED
    assert "503" in done.verdict.sentence


def test_a_missing_runner_is_told(site: Site, tmp_path: Path) -> None:
    done = run(replace(order(site, tmp_path, ("PASSING",)), program=("nunit9-console",)))
    assert done.verdict.outcome is NUnitOutcome.BOX_FAILED
    assert "nunit9-console is not installed" in done.verdict.sentence


def test_a_secret_is_nowhere_but_in_the_tests(site: Site, tmp_path: Path) -> None:
    canary = "canary-\"7f'3a&-$HOME"
    done = run(replace(order(site, tmp_path, ("LEAKING",)), secrets={"TRADE_PASSWORD": canary}))
    assert "logged in as trader with ********" in done.verdict.sentence
    assert "canary" not in repr(done.verdict) + done.report.console
    assert b"canary" not in raw(done)


def test_one_run_at_a_time_and_the_queue_has_a_deadline(site: Site, tmp_path: Path) -> None:
    go = tmp_path / "go"
    waits = f'while [ ! -e {go} ]; do sleep 0.1; done; exec nunit-console "$@"'
    slow = replace(order(site, tmp_path, ("PASSING",)), program=("/bin/sh", "-c", waits, "waits"))
    outcomes: list[NUnitResult] = []
    first = threading.Thread(target=lambda: outcomes.append(run(slow)))
    first.start()
    until(lambda: list(tmp_path.glob("runs/*")), "the first runs")
    hurried = run(replace(slow, queue_timeout=1))
    go.touch()
    patient = run(slow)
    first.join()
    assert hurried.verdict.outcome is NUnitOutcome.BUSY
    assert [patient.verdict.outcome, outcomes[0].verdict.outcome] == [NUnitOutcome.PASSED] * 2


def test_only_the_last_five_runs_are_kept(site: Site, tmp_path: Path) -> None:
    for number in range(7):
        Path(tmp_path, "runs", f"20200101T00000{number}.abcdef").mkdir(parents=True)
        os.utime(Path(tmp_path, "runs", f"20200101T00000{number}.abcdef"), (0, 0))
    # Those that have just ended are not read yet, however many came after them.
    unread = Path(tmp_path, "runs", "20191231T000000.abcdef")
    unread.mkdir()
    done = run(order(site, tmp_path, ("NOTHING",)))
    assert unread.exists()
    unread.rmdir()
    kept = sorted(path.name for path in Path(tmp_path, "runs").iterdir())
    assert sorted(path.name for path in Path(done.report.folder).iterdir() if path.is_dir()) == []
    assert kept[:-1] == [f"20200101T00000{number}.abcdef" for number in range(3, 7)]
    assert kept[-1] == Path(done.report.folder).name
    assert Path(done.report.folder).stat().st_mode & 0o777 == 0o700


def test_a_clock_that_is_set_back_lets_no_hanging_runner_pass(site: Site, tmp_path: Path) -> None:
    # Its results say that all passed, and then it hangs; meanwhile the box's clock goes back by an hour.
    date = tmp_path / "bin" / "date"
    date.parent.mkdir()
    date.write_text(f'#!/bin/sh\n[ -e {tmp_path}/back ] && set -- -d "1 hour ago" "$@"\nexec /bin/date "$@"\n')
    date.chmod(0o755)
    results = '<test-run><test-case fullname="A.B" result="Passed"/></test-run>'
    hanging = ("/bin/sh", "-c", f"echo '{results}' >results.xml; touch {tmp_path}/back; sleep 300")
    wanted = replace(order(site, tmp_path, ("NOTHING",)), program=hanging, timeout=1)
    box = PosixNode("box", LocalShell({"PATH": f"{date.parent}:/usr/bin:/bin"}))
    done = run_nunit(box, wanted, EXPECTED, Rules(), today=TODAY)
    assert done.verdict.outcome is NUnitOutcome.TIMED_OUT, done.verdict.sentence


class Interrupted:
    """A way to the box whose client ends, as soon as somebody asks to stop, while the command there goes on."""

    def __init__(self, when: Callable[[], bool]) -> None:
        self._when = when
        self.asked = False
        self.stopping = Stopping(self._look, self._asking)

    def __call__(self, command: str, stdin: bytes | None, timeout: float) -> Completed:
        if stdin is None:
            return LocalShell()(command, stdin, timeout)
        process = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        threading.Thread(target=process.communicate, args=(stdin,)).start()
        while not self._when():
            time.sleep(0.05)
        self.asked = True
        raise Unreachable("the answer broke off")

    def _look(self, where: str) -> None:
        if self.asked:
            raise Stopped(f"stopped {where}")

    @contextmanager
    def _asking(self) -> Iterator[None]:
        yield


def test_a_stop_ends_the_run_and_what_it_started(site: Site, tmp_path: Path) -> None:
    way = Interrupted(lambda: any("nunit" in line for line in processes_marked(tmp_path)))
    with pytest.raises(Stopped, match="while the tests ran; they are ended"):
        run_nunit(
            PosixNode("box", way),
            order(site, tmp_path, ("HANGING",)),
            EXPECTED,
            Rules(),
            today=TODAY,
            stopping=way.stopping,
        )
    assert processes_marked(tmp_path) == []
    # The box is free for the next one.
    assert run(order(site, tmp_path, ("PASSING",))).verdict.outcome is NUnitOutcome.PASSED
    assert not list(tmp_path.glob("run.*.pid"))


@pytest.mark.parametrize(
    ("answers", "where"), [(0, "before the tests ran"), (1, "before HAProxy's log told who served the tests")]
)
def test_a_stop_that_ends_the_question_to_the_log_is_no_verdict(
    site: Site, tmp_path: Path, answers: int, where: str
) -> None:
    """Jenkins ends every process of a job: the client that asks HAProxy's log, and then us."""
    log = tmp_path / "haproxy.log"
    log.touch()
    told: list[str] = []
    asked: list[str] = []

    def way(command: str, stdin: bytes | None, timeout: float) -> Completed:
        if len(told) < answers:
            told.append(command)
            return LocalShell()(command, stdin, timeout)
        threading.Timer(0.1, asked.append, [command]).start()
        raise Unreachable("the client was ended")

    def look(where: str) -> None:
        if asked:
            raise Stopped(f"stopped {where}")

    account = Account({"lb1": str(log)}, {"lb1": PosixNode("lb1", way)}, ["b"], required=True, by_id=True)
    wanted = order(site, tmp_path, ("PASSING",))
    with pytest.raises(Stopped, match=where):
        run_nunit(BOX, wanted, EXPECTED, Rules(), today=TODAY, stopping=Stopping(look), account=account)
    # Nobody asked to stop: then it is what the log must prove, and does not.
    told.clear()
    asked.clear()
    done = run_nunit(BOX, order(site, tmp_path, ("PASSING",)), EXPECTED, Rules(), today=TODAY, account=account)
    assert done.verdict.outcome is NUnitOutcome.UNPROVED


def test_a_run_that_ended_with_its_reader_is_not_waited_for(tmp_path: Path, site: Site) -> None:
    gone = order(site, tmp_path, ("PASSING",))
    # Its pid is another's by now.
    with subprocess.Popen(["sleep", "300"]) as stranger:
        (tmp_path / f"run.{gone.id}.pid").write_text(f"{stranger.pid}\n")
        began = time.monotonic()
        cancel(BOX, gone)
        assert time.monotonic() - began < PATIENCE_S
        assert stranger.poll() is None
        stranger.kill()
    assert not list(tmp_path.glob("run.*.pid"))


@pytest.mark.slow
def test_a_stop_ends_a_run_that_still_waits_for_the_box(site: Site, tmp_path: Path) -> None:
    first = threading.Thread(target=run, args=(order(site, tmp_path, ("SLOW",)),))
    first.start()
    until(lambda: processes_marked(tmp_path), "the first runs")
    way = Interrupted(lambda: len(list(tmp_path.glob("run.*.pid"))) == 2)
    with pytest.raises(Stopped):
        waiting = order(site, tmp_path, ("PASSING",))
        run_nunit(PosixNode("box", way), waiting, EXPECTED, Rules(), today=TODAY, stopping=way.stopping)
    assert len(list(tmp_path.glob("run.*.pid"))) == 1
    first.join()
    assert len(list((tmp_path / "runs").iterdir())) == 1
