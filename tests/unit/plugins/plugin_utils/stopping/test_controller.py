"""A worker whose controller is gone does nothing more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping import controller
from tests.waiting import until

# A controller that forks a worker as Ansible does (a session of its own), and a worker that acts when it is let.
CONTROLLER = """
import os, sys, time
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping import controller
def wait_for(name):
    while not os.path.exists(sys.argv[1] + name):
        time.sleep(0.02)
if not (worker := os.fork()):
    os.setsid()
    wait_for(".guard")
    controller.end_with_controller()
    open(sys.argv[1] + ".guarded", "w").close()
    wait_for(".act")
    open(sys.argv[1] + ".acted", "w").close()
    os._exit(0)
print(worker, flush=True)
time.sleep(600)
"""


@contextmanager
def killed(mark: Path) -> Iterator[None]:
    """A controller that is killed after the block; and then the worker has ended, and has not acted."""
    argv = [sys.executable, "-c", CONTROLLER, str(mark)]
    with subprocess.Popen(argv, start_new_session=True, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        try:
            yield
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            mark.with_suffix(".guard").touch()
            until(lambda: not _lives(worker), "the worker has ended")
        finally:
            for pid in (process.pid, worker):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    assert not mark.with_suffix(".acted").exists()


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_worker_is_ended_when_its_controller_is_killed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with killed(mark):
        mark.with_suffix(".guard").touch()
        until(mark.with_suffix(".guarded").exists, "it is guarded")


def test_a_worker_whose_controller_died_before_it_began_refuses(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with killed(mark):
        pass
    assert not mark.with_suffix(".guarded").exists()


def test_the_refusal_says_that_nothing_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getppid", lambda: 1)
    with pytest.raises(Refused, match="Nothing was done"):
        controller.end_with_controller()
