from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded
from lab import processes
from lab.layout import MARKER_VARIABLE, Layout
from lab.processes import Process
from tests.waiting import PATIENCE_S


def stat(name: str) -> str:
    return f"42 ({name}) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 9876 2633728 300 18446744073709551615 1"


@pytest.mark.parametrize("name", ["sshd", "a b", "a) S 1 (b", "ssh: /x/cp/a [mux]"])
def test_stat_is_read_whatever_the_name_holds(name: str) -> None:
    assert processes.parse_stat(stat(name)) == (name, "S", 7, 9876)


def test_a_title_is_one_short_line() -> None:
    assert Process(1, 1, 0, "S", "sh", ("sh", "-c", "echo a\n  echo b")).title == "sh -c echo a echo b"
    assert Process(1, 1, 0, "S", "kthreadd", ("",)).title == "kthreadd"
    assert len(Process(1, 1, 0, "S", "sh", ("x" * 500,)).title) == 100


def table(parents: dict[int, int]) -> dict[int, Process]:
    return {pid: Process(pid, 1, parent, "S", "x", ()) for pid, parent in parents.items()}


def test_descendants_are_followed_all_the_way_down() -> None:
    family = table({1: 0, 2: 1, 3: 2, 4: 3, 5: 1, 6: 5})
    assert processes.with_descendants(family, [2]) == {2, 3, 4}
    assert processes.with_descendants(family, []) == set()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout("127.254", tmp_path / "lab")


def sleeper(marker: str | None) -> subprocess.Popen[bytes]:
    environ = {} if marker is None else {MARKER_VARIABLE: marker}
    child = subprocess.Popen(
        [sys.executable, "-c", "print(1, flush=True); import time; time.sleep(60)"], env=environ, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    return child


def test_only_processes_with_exactly_our_marker_are_of_the_lab(layout: Layout) -> None:
    ours, longer, none = sleeper(layout.id), sleeper(f"{layout.id}2"), sleeper(None)
    try:
        assert [process.pid for process in processes.of_lab(layout)] == [ours.pid]
    finally:
        for child in (ours, longer, none):
            child.kill()
            child.communicate()


def test_we_and_our_ancestors_are_never_of_the_lab(layout: Layout) -> None:
    code = f"""
import os, sys
sys.path[:] = {sys.path!r}
from pathlib import Path
from lab import processes
from lab.layout import Layout
print([process.pid for process in processes.of_lab(Layout("127.254", Path({str(layout.state)!r})))])
"""
    environ = {MARKER_VARIABLE: layout.id}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout == "[]\n", done.stderr


def test_a_reused_pid_is_not_signalled() -> None:
    child = sleeper(None)
    try:
        real = processes.read(child.pid)
        assert real is not None
        impostor = Process(real.pid, real.started + 1, real.parent, real.state, real.name, real.argv)
        processes.send(impostor, signal.SIGKILL)
        assert processes.is_alive(real)
        processes.end(real)
        assert not processes.is_alive(real)
        processes.send(real, signal.SIGKILL)
    finally:
        child.kill()
        child.communicate()


def test_one_that_does_not_end_is_an_error_with_its_name() -> None:
    child = sleeper(None)
    try:
        real = processes.read(child.pid)
        assert real is not None
        with pytest.raises(DeadlineExceeded, match=rf"Process {child.pid} \(.*\) did not end within 0s after SIGCONT"):
            processes.end(real, signal.SIGCONT, 0.2)
    finally:
        child.kill()
        child.communicate()


def test_we_can_read_ourselves() -> None:
    me = processes.read(os.getpid())
    assert me is not None
    assert me.parent == os.getppid()
    assert processes.read(2**22 + 1) is None
