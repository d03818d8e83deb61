"""A worker whose controller is gone does nothing more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.plugin_utils import controller

# A controller that forks a worker as Ansible does (a session of its own), and a worker that would act after a while.
CONTROLLER = """
import os, sys, time
from ansible_collections.tidegate.delivery.plugins.plugin_utils import controller
if os.fork() == 0:
    os.setsid()
    time.sleep(float(sys.argv[2]))
    controller.end_with_controller()
    open(sys.argv[1] + ".guarded", "w").close()
    time.sleep(1.5)
    open(sys.argv[1] + ".acted", "w").close()
    os._exit(0)
open(sys.argv[1] + ".ready", "w").close()
time.sleep(60)
"""


def run_and_kill(mark: Path, late_guard: float, until: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", CONTROLLER, str(mark), str(late_guard)], start_new_session=True)
    deadline = time.monotonic() + 30
    while not mark.with_suffix(until).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    time.sleep(2.5)


def test_a_worker_is_ended_when_its_controller_is_killed(tmp_path: Path) -> None:
    run_and_kill(tmp_path / "mark", 0, ".guarded")
    assert not (tmp_path / "mark.acted").exists()


def test_a_worker_whose_controller_died_before_it_began_refuses(tmp_path: Path) -> None:
    run_and_kill(tmp_path / "mark", 0.7, ".ready")
    assert not (tmp_path / "mark.guarded").exists()
    assert not (tmp_path / "mark.acted").exists()


def test_the_refusal_says_that_nothing_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getppid", lambda: 1)
    with pytest.raises(Refused, match="Nothing was done"):
        controller.end_with_controller()
