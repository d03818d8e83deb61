"""Starting and ending: twice, killed at any moment, stale, beside another lab, in a deep folder."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from lab import control, haproxy_socket, lock, processes, supervise
from lab.down import down
from lab.layout import SSH_PORT, Layout
from lab.processes import Process
from lab.programs import program
from lab.progress import Progress
from tests.integration.lab.frame import frame_units, start_frame
from tests.waiting import PATIENCE_S

NET = "127.42"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "lab"
    yield folder
    # A test that only took the lock left nothing to purge but that.
    down(Layout(NET, folder), Progress(), purge=True)


def tree_process(layout: Layout) -> Process:
    return next(each for each in processes.of_lab(layout) if each.argv[1:] == ("-P", str(layout.unit_tree)))


def test_starting_twice_keeps_every_process_and_is_fast(state: Path) -> None:
    began = time.monotonic()
    layout = start_frame(NET, state).layout
    first = time.monotonic() - began
    names = [unit.name for unit in frame_units(layout)]
    before = supervise.statuses(layout, names)
    began = time.monotonic()
    start_frame(NET, state)
    assert time.monotonic() - began < max(3.0, first)
    assert supervise.statuses(layout, names) == before


def test_down_leaves_no_process_and_no_socket_and_up_keeps_the_pools(state: Path) -> None:
    layout = start_frame(NET, state).layout
    lb1 = layout.host("lb1")
    haproxy_socket.ask(lb1.haproxy_socket, "set server tradeapi_online/n2 state maint")
    control.dump_state(layout, "lb1")
    down(layout, Progress())
    assert processes.of_lab(layout) == []
    assert not layout.runtime.exists()
    assert not lb1.run.exists()
    start_frame(NET, state)
    assert [
        (each.backend, each.name)
        for each in haproxy_socket.servers(lb1.haproxy_socket)
        if each.is_out and each.backend.endswith("_online")
    ] == [("tradeapi_online", "n2")]


def test_down_ends_frozen_orphaned_and_stubborn_processes_and_ssh_masters(state: Path) -> None:
    layout = start_frame(NET, state).layout
    stubborn = "trap '' TERM HUP; echo ready; while :; do sleep 1; done"
    child = subprocess.Popen(["/bin/sh", "-c", stubborn], env=layout.environment, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    argv = [program("ssh"), "-F", "/dev/null", "-i", str(layout.ssh_key), "-p", str(SSH_PORT), "-o", "BatchMode=yes"]
    argv += ["-o", f"UserKnownHostsFile={layout.known_hosts}", "-o", f"ControlPath={layout.control_path_dir}/x"]
    argv += ["-o", "ControlMaster=auto", "-o", "ControlPersist=600", layout.host("n1").address]
    argv += ["setsid sleep 600 </dev/null >/dev/null 2>&1 &"]
    null = subprocess.DEVNULL
    assert subprocess.run(argv, timeout=PATIENCE_S, stdin=null, stdout=null, stderr=null, check=False).returncode == 0
    control.freeze_haproxy(layout, "lb1")
    processes.end(tree_process(layout))
    masters = [each for each in processes.of_lab(layout) if each.name == "ssh"]
    sleepers = [each for each in processes.of_lab(layout) if each.argv == ("sleep", "600")]
    assert len(masters) == len(sleepers) == 1
    began = time.monotonic()
    down(layout, Progress())
    assert time.monotonic() - began < PATIENCE_S
    assert processes.of_lab(layout) == []
    assert child.wait(PATIENCE_S) == -signal.SIGKILL
    assert not any(processes.is_alive(each) for each in (*masters, *sleepers))


def test_what_a_killed_lab_left_behind_is_ended_by_the_next_up(state: Path) -> None:
    layout = start_frame(NET, state).layout
    processes.end(tree_process(layout))
    left = processes.of_lab(layout)
    assert left
    start_frame(NET, state)
    assert not any(processes.is_alive(each) for each in left)


START = """
import sys
sys.path[:] = {path!r}
from pathlib import Path
from tests.integration.lab.frame import start_frame
start_frame({net!r}, Path({state!r}))
"""


@pytest.mark.parametrize("after_s", [0.3, 0.7, 1.1, 1.6])
def test_up_killed_at_any_moment_can_be_repeated_or_ended(state: Path, after_s: float) -> None:
    code = START.format(path=sys.path, net=NET, state=str(state))
    starting = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        starting.wait(timeout=after_s)
    starting.kill()
    starting.wait()
    start_frame(NET, state)
    down(Layout(NET, state), Progress())
    assert processes.of_lab(Layout(NET, state)) == []


HOLD = """
import sys
sys.path[:] = {path!r}
from pathlib import Path
from lab import lock
from lab.layout import Layout
from lab.progress import Progress
with lock.held(Layout({net!r}, Path({state!r})), Progress()):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("kill", [False, True], ids=["until it ends", "until it is killed"])
def test_a_second_up_waits_for_the_first_and_says_so(
    state: Path, capsys: pytest.CaptureFixture[str], kill: bool
) -> None:
    code = HOLD.format(path=sys.path, net=NET, state=str(state))
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        holder.stdout.readline()
        began = time.monotonic()
        threading.Timer(1.0, holder.kill if kill else holder.stdin.close).start()
        with lock.held(Layout(NET, state), Progress()):
            assert 0.5 < time.monotonic() - began < PATIENCE_S
    assert "waiting for another `python -m lab`" in capsys.readouterr().err


def test_a_taken_port_is_named_and_nothing_is_started(state: Path) -> None:
    with (
        socket.create_server((f"{NET}.1.3", SSH_PORT)),
        pytest.raises(BadInput, match=rf"Port 2222 of {NET}\.1\.3 is taken"),
    ):
        start_frame(NET, state)
    assert processes.of_lab(Layout(NET, state)) == []


def alive(layout: Layout) -> set[tuple[int, int]]:
    """Its processes, by pid and start."""
    return {(process.pid, process.started) for process in processes.of_lab(layout)}


def test_two_labs_side_by_side_do_not_touch_each_other(state: Path, tmp_path: Path) -> None:
    one = start_frame(NET, state).layout
    # The other one's folder begins with the same words.
    other = start_frame("127.43", tmp_path / "lab2").layout
    try:
        # Whether one sleeps or computes at that moment is nobody's doing, nor what runs for an instant.
        before = alive(other)
        time.sleep(1.0)
        before &= alive(other)
        down(one, Progress())
        assert before
        assert before <= alive(other)
    finally:
        down(other, Progress(), purge=True)


def test_a_deep_state_folder_works_and_its_short_folder_goes_with_it(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["quite-a-long-folder-name"] * 6)
    layout = Layout(NET, deep)
    assert layout.runtime_is_elsewhere
    try:
        start_frame(NET, deep)
        assert haproxy_socket.answers(layout.host("lb1").haproxy_master_socket)
        assert layout.runtime.is_dir()
    finally:
        down(layout, Progress(), purge=True)
    assert not layout.runtime.exists()
    assert not deep.exists()


def test_nothing_of_the_callers_environment_reaches_the_lab(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "hunter2")
    layout = start_frame(NET, state).layout
    for process in processes.of_lab(layout):
        assert b"hunter2" not in Path(f"/proc/{process.pid}/environ").read_bytes()
    assert os.environ["A_SECRET"] == "hunter2"
