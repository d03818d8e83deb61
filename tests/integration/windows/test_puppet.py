"""Puppet on a Windows-like node, over real WinRM clients: freezes, runs, and connections that drop meanwhile.

The agent is a double that follows what puppet-agent 7.23 was seen to do, below a `puppet.bat`; with the real one the
flow's tests deploy to the lab's Windows-like node.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest.mock import DEFAULT, Mock

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet import run as puppet_run
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent import look
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.freeze import (
    freeze,
    reason_text,
    thaw,
    wait_for_run,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.judge import NO_LOCK_FILE_ON_WINDOWS
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.result import Request, Result
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.run import live_runs, run
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode
from lab.winrm.windows import PUPPET, install_puppet
from tests.integration.windows.endpoint import Endpoint, delete_shell_of, running
from tests.integration.windows.relay import Relay
from tests.integration.windows.test_windows_node import connected, ended, lives
from tests.unit.plugins.module_utils.puppet_double import PuppetDouble
from tests.waiting import DEPLOYMENT_S, PATIENCE_S, until

CACHE = r"C:\ProgramData\PuppetLabs\Tidegate\puppet-settings"
OURS = reason_text("d1", "tradeapi", r"LAB\ann")
# A run that says where it is, and waits until it may go on.
WAITING = 'echo $$ >"$home/began"; until [ -e "$home/go" ]; do sleep 0.1; done'


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running(tmp_path_factory.mktemp("node")) as found:
        yield found


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def puppet(endpoint: Endpoint, tmp_path: Path) -> PuppetDouble:
    double = PuppetDouble(endpoint.drive.root / "ProgramData" / tmp_path.name)
    install_puppet(endpoint.drive, str(double.home / "bin" / "puppet"))
    endpoint.drive.path(CACHE).unlink(missing_ok=True)
    return double


@pytest.fixture
def node(endpoint: Endpoint, closing: ExitStack) -> WindowsNode:
    return connected(endpoint, closing)


REQUEST = Request(
    folder=r"C:\unused",
    run_id="d1.w1.1",
    family="d1.w1.",
    timeout=DEPLOYMENT_S,
    wait_for_lock=0,
    interval=1,
    settings_cache=CACHE,
)


def once(node: WindowsNode, request: Request = REQUEST) -> Result:
    return run(node, request, lambda _line: None)


def in_background(node: WindowsNode, request: Request = REQUEST) -> Future[Result]:
    pool = ThreadPoolExecutor(1)
    started = pool.submit(once, node, request)
    pool.shutdown(wait=False)
    return started


def begun(puppet: PuppetDouble) -> int:
    """The pid of a run that waits."""
    file = puppet.home / "began"
    until(lambda: file.exists() and file.read_text().strip(), f"{file} is written")
    pid = int(file.read_text())
    file.unlink()
    return pid


def test_an_agent_tells_its_files_once_and_its_locks_each_time(puppet: PuppetDouble, node: WindowsNode) -> None:
    agent = look(node, settings_cache=CACHE)
    assert agent.program == PUPPET
    assert agent.report == rf"C:\ProgramData\{puppet.home.name}\report.yaml"
    assert (agent.disabled, agent.running) == (None, None)
    puppet.freeze("patching")
    with puppet.run_in_progress() as process:
        agent = look(node, settings_cache=CACHE)
        assert (agent.disabled, agent.running) == ("patching", process.pid)
    assert len(puppet.calls("config print")) == 1
    look(node, settings_cache="")
    assert len(puppet.calls("config print")) == 2


@pytest.mark.slow
def test_check_mode_leaves_no_file_and_a_lock_that_a_dead_run_left_counts_for_nothing(
    endpoint: Endpoint, puppet: PuppetDouble, node: WindowsNode
) -> None:
    (puppet.home / "run.lock").write_text(f"{os.getpid()}")  # lives, and is no agent
    assert look(node, settings_cache=CACHE, keep=False).running is None
    assert not endpoint.drive.path(CACHE).exists()
    (puppet.home / "run.lock").write_text("4194305")
    assert look(node, settings_cache=CACHE).running is None


@pytest.mark.slow
def test_a_node_without_puppet_says_so(endpoint: Endpoint, puppet: PuppetDouble, node: WindowsNode) -> None:
    endpoint.drive.path(PUPPET).unlink()
    with pytest.raises(BadInput, match=r"there is no C:\\Program Files\\.*Install the Puppet agent"):
        look(node)


def test_a_freeze_carries_its_owner_and_only_ours_ends(puppet: PuppetDouble, node: WindowsNode) -> None:
    assert freeze(node, "", OURS, settings_cache=CACHE).changed
    assert look(node).disabled == OURS
    assert not freeze(node, "", OURS, settings_cache=CACHE).changed
    taken_over = freeze(node, "", reason_text("d2", "tradeapi", "bob"), settings_cache=CACHE)
    assert taken_over.after is not None
    assert taken_over.after.deployment == "d2"
    assert thaw(node, "", "d2", settings_cache=CACHE).after is None
    assert not puppet.lock.exists()
    puppet.freeze("patching (ask Ann & Bob)")
    with pytest.raises(Refused, match="disabled by someone else: patching"):
        freeze(node, "", OURS, settings_cache=CACHE)
    assert not thaw(node, "", "d2", settings_cache=CACHE).changed
    assert once(node).outcome is PuppetOutcome.DISABLED
    assert not puppet.calls("--onetime")


@pytest.mark.slow
def test_a_run_that_goes_on_is_waited_for_and_none_can_be_adopted(puppet: PuppetDouble, node: WindowsNode) -> None:
    told: list[int] = []
    with puppet.run_in_progress() as process:

        def tell(pid: int) -> None:
            told.append(pid)
            os.killpg(process.pid, signal.SIGKILL)

        wait_for_run(node, "", 60, tell, settings_cache=CACHE)
    assert told == [process.pid]
    assert live_runs(node, "unused", "d1.") == []


@pytest.mark.parametrize(
    ("capture", "rc", "outcome"),
    [
        ("failed_resource", 4, PuppetOutcome.FAILED_RESOURCES),
        pytest.param("changed", 2, PuppetOutcome.CHANGED, marks=pytest.mark.slow),
        pytest.param("unchanged", 0, PuppetOutcome.UNCHANGED, marks=pytest.mark.slow),
        pytest.param("catalog_failure", 1, PuppetOutcome.CATALOG_FAILURE, marks=pytest.mark.slow),
        pytest.param("already_running", 1, PuppetOutcome.ALREADY_RUNNING, marks=pytest.mark.slow),
    ],
)
def test_a_run_is_judged_as_on_linux(
    puppet: PuppetDouble, node: WindowsNode, capture: str, rc: int, outcome: PuppetOutcome
) -> None:
    puppet.will(capture, rc)
    result = once(node)
    assert (result.outcome, result.exit_code, result.adopted) == (outcome, rc, False)
    assert "\r" not in result.verdict.detail


def test_a_run_of_ours_passes_our_freeze(puppet: PuppetDouble, node: WindowsNode) -> None:
    puppet.freeze(OURS)
    assert once(node).outcome is PuppetOutcome.UNCHANGED
    (call,) = puppet.calls("--onetime")
    assert "--agent_disabled_lockfile=" in call
    assert (
        call.split("--agent_disabled_lockfile=")[1]
        .split()[0]
        .endswith(NO_LOCK_FILE_ON_WINDOWS.partition(":")[2].replace("\\", "/"))
    )
    assert "--waitforlock" in call, "what an attempt that was killed left there is waited for"


def test_a_run_that_takes_too_long_is_ended_with_all_that_it_started(puppet: PuppetDouble, node: WindowsNode) -> None:
    puppet.will("unchanged", 0, WAITING)
    overdue = replace(REQUEST, timeout=6.0 - puppet_run._LEFT_RUN)
    started = in_background(node, overdue)
    pid = begun(puppet)
    assert started.result(PATIENCE_S).outcome is PuppetOutcome.TIMED_OUT
    ended([pid])


@pytest.mark.parametrize("silent_s", [0.0, 3.0])
def test_a_connection_that_drops_in_the_middle_of_a_run_ends_neither_run_nor_step(
    endpoint: Endpoint, closing: ExitStack, puppet: PuppetDouble, silent_s: float
) -> None:
    """The shell, and the run in it, go on; over another connection the rest is heard."""
    relay = Relay(endpoint.port)
    closing.callback(relay.close)
    node = connected(endpoint, closing, ansible_port=relay.port)
    puppet.will("changed", 2, WAITING)
    started = in_background(node)
    pid = begun(puppet)
    relay.cut(for_good=bool(silent_s))
    threading.Timer(silent_s, relay.mend).start()
    assert lives(pid)
    (puppet.home / "go").touch()
    result = started.result(PATIENCE_S)
    assert (result.outcome, result.exit_code) == (PuppetOutcome.CHANGED, 2)
    assert len(puppet.calls("--onetime")) == 1


def test_a_node_that_stays_away_is_unreachable_and_the_next_attempt_runs_again(
    endpoint: Endpoint, closing: ExitStack, puppet: PuppetDouble, node: WindowsNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(puppet_run, "PATIENCE", 2.0)
    relay = Relay(endpoint.port)
    closing.callback(relay.close)
    puppet.will("changed", 2, WAITING)
    started = in_background(connected(endpoint, closing, ansible_port=relay.port))
    pid = begun(puppet)
    relay.cut(for_good=True)
    with pytest.raises(Unreachable, match=r"what runs in it ends within 120 s.*run the same deployment again"):
        started.result(PATIENCE_S)
    os.kill(pid, 9)
    (puppet.home / "go").touch()
    assert once(node, replace(REQUEST, run_id="d1.w1.2")).outcome is PuppetOutcome.CHANGED


@pytest.mark.parametrize("reported", [False, True])
def test_a_shell_that_is_lost_is_an_outcome_of_its_own_unless_the_report_tells_more(
    endpoint: Endpoint,
    puppet: PuppetDouble,
    node: WindowsNode,
    reported: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What ended the shell may keep the node away for a while: the report is read when it is back."""
    reads = Mock(side_effect=[Unreachable("starting anew"), DEFAULT, DEFAULT], wraps=node.read)
    monkeypatch.setattr(node, "read", reads)
    report = f'sed "s/^job_id: .*/job_id: {REQUEST.run_id}/" "$home/captured.yaml" >"$home/report.yaml"; '
    puppet.will("changed", 2, (report if reported else "") + WAITING)
    started = in_background(node)
    pid = begun(puppet)
    delete_shell_of(endpoint, node)
    result = started.result(PATIENCE_S)
    assert result.outcome is (PuppetOutcome.CHANGED if reported else PuppetOutcome.SHELL_LOST)
    assert reads.call_count == 2
    ended([pid])
    assert "run the same deployment again" in PuppetOutcome.SHELL_LOST.remedy
    (puppet.home / "go").touch()
    assert once(node, replace(REQUEST, run_id="d1.w1.2")).outcome is PuppetOutcome.CHANGED


def test_a_node_that_is_away_when_its_shell_is_lost_is_told_with_what_to_do_then(
    endpoint: Endpoint, puppet: PuppetDouble, node: WindowsNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    puppet.will("changed", 2, WAITING)
    started = in_background(node)
    begun(puppet)
    monkeypatch.setattr(puppet_run, "PATIENCE", 0.0)
    monkeypatch.setattr(node, "read", Mock(side_effect=Unreachable("no answer", remedy="Check the host.")))
    delete_shell_of(endpoint, node)
    with pytest.raises(Unreachable, match=r"no answer.*Check the host\. Then run the same deployment again"):
        started.result(PATIENCE_S)
