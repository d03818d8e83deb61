from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    DeadlineExceeded,
    DomainError,
    Stopped,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node import jobs
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import Phase
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent import look_with_runs
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.freeze import reason_text
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.judge import NO_LOCK_FILE
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.result import Request, Result
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.run import run, to_adopt
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import Stopping
from tests.puppet_start import start_run
from tests.unit.plugins.module_utils.puppet_double import PuppetDouble
from tests.waiting import until

# A run that goes on until it is let go.
WAITS = 'until [ -e "$home/go" ]; do sleep 0.1; done'


def go(puppet: PuppetDouble) -> None:
    (puppet.home / "go").touch()


@pytest.fixture
def puppet(tmp_path: Path) -> PuppetDouble:
    return PuppetDouble(tmp_path / "node")


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    return Request(
        folder=str(tmp_path / "jobs"),
        run_id="d1.n1.1",
        family="d1.n1.",
        timeout=600,
        wait_for_lock=0,
        interval=1,
        settings_cache=str(tmp_path / "settings"),
    )


def once(puppet: PuppetDouble, request: Request) -> Result:
    return run(puppet.node, request, lambda _line: None)


def test_a_run_is_judged_by_its_report(puppet: PuppetDouble, request_: Request) -> None:
    puppet.will("changed", 2)
    result = once(puppet, request_)
    assert (result.outcome, result.exit_code, result.adopted) == (PuppetOutcome.CHANGED, 2, False)
    assert result.job_id == "d1.n1.1"
    assert result.report is not None and result.report.configuration_version == "1795412860"
    assert result.report_path == f"{request_.folder}/d1.n1.1/kept"


def test_the_same_attempt_is_judged_and_not_run_again(puppet: PuppetDouble, request_: Request) -> None:
    puppet.will("failed_resource", 4)
    first = once(puppet, request_)
    puppet.will("changed", 2)
    again = once(puppet, request_)
    assert (again.outcome, again.adopted) == (first.outcome, True) == (PuppetOutcome.FAILED_RESOURCES, True)
    assert len(puppet.calls("--onetime")) == 1


def test_the_next_attempt_runs_again(puppet: PuppetDouble, request_: Request) -> None:
    puppet.will("failed_resource", 4)
    once(puppet, request_)
    puppet.will("changed", 2)
    result = once(puppet, replace(request_, run_id="d1.n1.2"))
    assert (result.outcome, result.adopted) == (PuppetOutcome.CHANGED, False)


def test_another_run_after_ours_does_not_replace_our_report(puppet: PuppetDouble, request_: Request) -> None:
    puppet.will("changed", 2)
    once(puppet, request_)
    puppet.report.write_text("status: failed\njob_id: periodic\n")
    assert once(puppet, request_).outcome is PuppetOutcome.CHANGED


def test_a_live_run_of_an_earlier_attempt_is_adopted(puppet: PuppetDouble, request_: Request) -> None:
    puppet.will("changed", 2, before="sleep 2")
    start_run(puppet.node, request_)
    told: list[str] = []
    result = run(puppet.node, replace(request_, run_id="d1.n1.2"), told.append)
    assert (result.job_id, result.adopted, result.outcome) == ("d1.n1.1", True, PuppetOutcome.CHANGED)
    assert told[0] == "the Puppet run d1.n1.1 was started before: it is adopted"
    assert len(puppet.calls("--onetime")) == 1


def test_another_deployments_run_is_not_ours(puppet: PuppetDouble, request_: Request) -> None:
    puppet.will("changed", 2, before="sleep 1")
    start_run(puppet.node, replace(request_, run_id="d10.n1.1"))
    own = {"folder": request_.folder, "family": request_.family}
    _agent, runs = look_with_runs(puppet.node, "", settings_cache="", **own)
    assert to_adopt(runs, request_) == ""


def test_a_strangers_freeze_is_not_passed(puppet: PuppetDouble, request_: Request) -> None:
    puppet.freeze("Ann")
    result = once(puppet, request_)
    assert (result.outcome, result.verdict.detail) == (PuppetOutcome.DISABLED, "reason: Ann")
    assert puppet.calls("--onetime") == []


def test_our_freeze_is_passed(puppet: PuppetDouble, request_: Request) -> None:
    puppet.freeze(reason_text("d1", "s", "u"))
    assert once(puppet, request_).outcome is PuppetOutcome.UNCHANGED
    assert NO_LOCK_FILE in puppet.calls("--onetime")[0]
    assert puppet.lock.exists()


def test_without_a_freeze_none_is_passed(puppet: PuppetDouble, request_: Request) -> None:
    once(puppet, request_)
    assert NO_LOCK_FILE not in puppet.calls("--onetime")[0]


def test_a_stale_report_is_no_success(puppet: PuppetDouble, request_: Request) -> None:
    puppet.will("already_running", 0)
    puppet.report.write_text("status: changed\njob_id: older\n")
    result = once(puppet, request_)
    assert (result.outcome, result.report) == (PuppetOutcome.ALREADY_RUNNING, None)


def test_an_unreadable_report_is_named(puppet: PuppetDouble, request_: Request) -> None:
    puppet.will("changed", 2, before='rm "$home/captured.yaml"; echo "{" >"$home/report.yaml"')
    result = once(puppet, request_)
    assert result.outcome is PuppetOutcome.NO_REPORT
    assert "Puppet's report can't be read" in result.verdict.detail


def test_a_run_beyond_its_time_is_ended(puppet: PuppetDouble, request_: Request) -> None:
    puppet.will("changed", 2, before="exec sleep 600")
    result = once(puppet, replace(request_, timeout=1))
    assert result.outcome is PuppetOutcome.TIMED_OUT


def test_a_run_that_no_signal_ends_is_not_waited_for_for_ever(
    puppet: PuppetDouble, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "ansible_collections.tidegate.delivery.plugins.module_utils.puppet.run"
    monkeypatch.setattr(f"{module}._OVERDUE", 0.0)
    monkeypatch.setattr(f"{module}._STUCK", 1.0)
    stopped: list[str] = []
    stop = jobs.stop
    # What a process in the kernel makes of it: nothing.
    monkeypatch.setattr(jobs, "stop", lambda _node, _folder, id: stopped.append(id))
    puppet.will("changed", 2, before="exec sleep 600")
    start_run(puppet.node, request_)
    try:
        with pytest.raises(
            DeadlineExceeded, match=r"d1\.n1\.1 \(process \d+\) still runs after \d+ s and can't be ended"
        ):
            once(puppet, replace(request_, timeout=0.1))
        assert stopped and set(stopped) == {"d1.n1.1"}
    finally:
        stop(puppet.node, request_.folder, "d1.n1.1")


def test_a_run_that_vanished_without_a_report_is_lost(puppet: PuppetDouble, request_: Request) -> None:
    puppet.will("changed", 2, before="exec sleep 600")
    start_run(puppet.node, request_)
    _kill(request_, "supervisor", "command")
    result = once(puppet, request_)
    assert (result.outcome, result.exit_code, result.adopted) == (PuppetOutcome.LOST, None, True)


def test_one_that_vanished_after_its_report_is_judged_by_it(puppet: PuppetDouble, request_: Request) -> None:
    puppet.will("changed", 2, before=WAITS)
    start_run(puppet.node, request_)
    _kill(request_, "supervisor")
    go(puppet)
    result = once(puppet, request_)
    assert (result.outcome, result.exit_code) == (PuppetOutcome.CHANGED, None)
    assert result.report_path == str(puppet.report)


def _kill(request: Request, *who: str) -> None:
    folder = Path(request.folder, request.run_id)
    until(lambda: (folder / "command").exists() and (folder / "command").read_text(), "it has begun")
    for each in who:
        os.kill(int((folder / each).read_text().split()[0]), signal.SIGKILL)


class Flaky:
    """An `Execute` whose connection drops: the command runs, its answer is lost."""

    def __init__(
        self,
        node: PosixNode,
        dropped: list[int],
        error: DomainError | None = None,
        after_the_last: Callable[[], object] = lambda: None,
    ) -> None:
        self._execute = node._execute
        self._after_the_last = after_the_last
        self._error = error or Unreachable("connection lost", where="n1")
        self._dropped = dropped
        self._count = 0

    def __call__(self, command: str, stdin: bytes | None, timeout: float) -> Completed:
        done = self._execute(command, stdin, timeout)
        self._count += 1
        if self._count in self._dropped:
            if self._count == max(self._dropped):
                self._after_the_last()
            raise self._error
        return done


@pytest.mark.parametrize("dropped", [[2], [2, 3], [3], [3, 4]])
def test_lost_answers_do_not_run_puppet_twice(
    puppet: PuppetDouble, request_: Request, dropped: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Second call: the start and the first wait; all that follow are polls, once one of them was answered."""
    monkeypatch.setattr("ansible_collections.tidegate.delivery.plugins.module_utils.puppet.run._RETRY", 0.1)
    puppet.will("changed", 2, before=WAITS)
    flaky = Flaky(puppet.node, dropped, after_the_last=lambda: go(puppet))
    result = run(PosixNode("n1", flaky), request_, lambda _line: None)
    assert (result.outcome, result.adopted, result.reconnected) == (PuppetOutcome.CHANGED, False, 1)
    assert len(puppet.calls("--onetime")) == 1


SLOW = DeadlineExceeded("/bin/sh did not end within 40 s and was ended", where="n1")


@pytest.mark.parametrize("slow", [[2], [3]])
def test_a_question_that_takes_too_long_on_a_busy_node_is_borne_as_silence_is(
    puppet: PuppetDouble, request_: Request, slow: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "ansible_collections.tidegate.delivery.plugins.module_utils.puppet.run"
    monkeypatch.setattr(f"{module}._RETRY", 0.1)
    puppet.will("changed", 2, before=WAITS)
    flaky = Flaky(puppet.node, slow, SLOW, lambda: go(puppet))
    result = run(PosixNode("n1", flaky), request_, lambda _line: None)
    assert (result.outcome, result.reconnected) == (PuppetOutcome.CHANGED, 1)
    assert len(puppet.calls("--onetime")) == 1
    (puppet.home / "go").unlink()
    monkeypatch.setattr(f"{module}.PATIENCE", 0.3)
    always = PosixNode("n1", Flaky(puppet.node, list(range(3, 100)), SLOW))
    with pytest.raises(Unreachable, match=r"did not end within 40 s.*Its Puppet run goes on there"):
        run(always, replace(request_, run_id="d1.n1.2"), lambda _line: None)
    go(puppet)


def test_a_node_that_stays_out_of_reach_is_told_and_its_run_goes_on(
    puppet: PuppetDouble, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "ansible_collections.tidegate.delivery.plugins.module_utils.puppet.run"
    monkeypatch.setattr(f"{module}._RETRY", 0.1)
    monkeypatch.setattr(f"{module}.PATIENCE", 0.3)
    puppet.will("changed", 2, before=WAITS)
    with pytest.raises(Unreachable, match="Its Puppet run goes on there") as error:
        run(PosixNode("n1", Flaky(puppet.node, list(range(3, 100)))), request_, lambda _line: None)
    assert "adopts the run" in error.value.remedy
    go(puppet)
    assert once(puppet, request_).outcome is PuppetOutcome.CHANGED


def test_a_run_whose_watch_is_gone_is_ended_by_us(
    puppet: PuppetDouble, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ansible_collections.tidegate.delivery.plugins.module_utils.puppet.run._OVERDUE", 0.5)
    puppet.will("changed", 2, before="exec sleep 600")
    # As if the node's own watch had not ended it: the limit that the node got is longer than ours.
    start_run(puppet.node, request_)
    result = once(puppet, replace(request_, timeout=1))
    assert result.outcome is PuppetOutcome.TIMED_OUT
    assert jobs.poll(puppet.node, request_.folder, "d1.n1.1").phase is Phase.TIMED_OUT


def test_a_stop_leaves_the_run_to_be_adopted(puppet: PuppetDouble, request_: Request) -> None:
    puppet.will("changed", 2, before=WAITS)
    polls: list[str] = []

    def look_(where: str) -> None:
        polls.append(where)
        if len(polls) > 1:
            raise Stopped(f"stopped {where}")

    with pytest.raises(Stopped, match="the run goes on there, and the next attempt adopts it"):
        run(puppet.node, request_, lambda _line: None, Stopping(look_))
    result = run(puppet.node, replace(request_, run_id="d1.n1.2"), lambda _line: go(puppet))
    assert (result.job_id, result.adopted, result.outcome) == ("d1.n1.1", True, PuppetOutcome.CHANGED)
    assert len(puppet.calls("--onetime")) == 1
