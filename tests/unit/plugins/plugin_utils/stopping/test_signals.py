"""Signals in a process that forks workers as ansible-playbook does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping.signals import steps_of_a_flow
from tests.waiting import PATIENCE_S, until

# A worker that is a session of its own with Ansible's way to die, and hears for itself after a while.
PLAYBOOK = """
import multiprocessing, os, pathlib, signal, subprocess, sys, time
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping import signals
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping import stop
folder, action = pathlib.Path(sys.argv[1]), sys.argv[2]
if "nohup" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
def die(signum, frame):
    os._exit(1)
def mark(name, text=""):
    (folder / name).write_text(str(text))
def worker():
    os.setsid()
    signal.signal(signal.SIGINT, die)
    signal.signal(signal.SIGTERM, die)
    mark("forked", os.getpid())
    time.sleep(0.7)
    signals.hear_in_worker()
    client = subprocess.Popen(["sleep", "600"]) if "client" in sys.argv else None
    mark("client", client.pid if client else 0)
    mark("hears")
    deadline = time.monotonic() + 120
    while not stop.stop_requested() and time.monotonic() < deadline:
        time.sleep(0.02)
    mark("worker", stop.stop_requested().signal.name)
    time.sleep(600 if client else 0)
main = signals.MainSignals()
main.next_task(action)
process = multiprocessing.get_context("fork").Process(target=worker)
process.start()
process.join()
mark("main", f"{process.exitcode} {stop.stop_requested().signal.name if stop.stop_requested() else None}")
main.put_back()
mark("over")
time.sleep(600)
"""
OURS = "tidegate.delivery.puppet_run"


class Playbook:
    def __init__(self, folder: Path, *words: str) -> None:
        self._folder = folder
        argv = [sys.executable, "-c", PLAYBOOK, str(folder), *words]
        self.process = subprocess.Popen(argv, start_new_session=True, stderr=subprocess.PIPE, text=True)

    def told(self, name: str) -> str:
        """What it wrote under that name, once it has."""
        path = self._folder / name
        until(lambda: path.exists() and (path.read_text() or name in ("hears", "over")), f"it tells {name}", every=0.02)
        return path.read_text()

    @property
    def worker(self) -> int:
        return int(self.told("forked"))

    def end(self) -> str:
        self.process.kill()
        return self.process.communicate(timeout=PATIENCE_S)[1]


@contextmanager
def playbook(folder: Path, *words: str) -> Iterator[Playbook]:
    found = Playbook(folder, *words)
    try:
        yield found
    finally:
        found.end()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_main_process_asks_all_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    with playbook(tmp_path, OURS) as run:
        run.told("hears")
        run.process.send_signal(number)
        assert run.told("worker") == number.name
        assert run.told("main") == f"0 {number.name}"
        assert f"{number.name}: stopping at the next safe point" in run.end()


def test_a_worker_that_is_hit_before_it_hears_for_itself_goes_on(tmp_path: Path) -> None:
    with playbook(tmp_path, OURS) as run:
        os.kill(run.worker, signal.SIGTERM)
        assert run.told("worker") == "SIGTERM"
        assert run.told("main") == "0 SIGTERM"


def test_the_worker_of_another_task_ends_as_ansible_has_it(tmp_path: Path) -> None:
    with playbook(tmp_path, "ansible.builtin.command") as run:
        os.kill(run.worker, signal.SIGTERM)
        assert run.told("main") == "1 None"


def test_before_the_first_step_of_ours_signals_do_what_they_always_do(tmp_path: Path) -> None:
    with playbook(tmp_path, "ansible.builtin.command") as run:
        run.told("forked")
        run.process.terminate()
        assert run.process.wait(PATIENCE_S) == -signal.SIGTERM
        os.kill(run.worker, signal.SIGKILL)


def test_once_more_a_second_later_ends_everything_at_once(tmp_path: Path) -> None:
    with playbook(tmp_path, OURS, "client") as run:
        run.told("hears")
        run.process.send_signal(signal.SIGINT)
        run.told("worker")
        # More than a second by the main process's clock, which a busy machine may have kept from it for a while.
        time.sleep(2.5)
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(PATIENCE_S) == 130
        assert "it takes the locks over" in run.end()
        until(lambda: not _lives(run.worker), "the worker was killed")
        until(lambda: not _lives(int(run.told("client"))), "its client was killed")


def test_the_same_request_from_several_is_one(tmp_path: Path) -> None:
    with playbook(tmp_path, OURS, "client") as run:
        run.told("hears")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            run.process.send_signal(number)
        time.sleep(2.5)
        # A terminal's HUP is often repeated by its shell.
        run.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert run.process.poll() is None
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(PATIENCE_S) == 130


def test_who_ignores_hangups_goes_on_ignoring_them(tmp_path: Path) -> None:
    with playbook(tmp_path, OURS, "nohup") as run:
        run.told("hears")
        os.kill(run.worker, signal.SIGHUP)
        run.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        run.process.send_signal(signal.SIGTERM)
        assert run.told("main") == "0 SIGTERM"


def test_when_the_playbook_is_over_signals_are_ansibles_again(tmp_path: Path) -> None:
    with playbook(tmp_path, OURS) as run:
        run.told("hears")
        os.kill(run.worker, signal.SIGTERM)
        run.told("over")
        run.process.terminate()
        assert run.process.wait(PATIENCE_S) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("action", "ours"),
    [
        ("tidegate.delivery.plan", True),
        ("tidegate.delivery.deployment", True),
        ("tidegate.delivery.service_info", False),
        ("ansible.builtin.command", False),
    ],
)
def test_only_what_holds_locks_or_changes_something_is_waited_for(action: str, ours: bool) -> None:
    assert steps_of_a_flow(action) is ours


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


WORKER_THAT_IS_DONE = """
import multiprocessing, os, signal
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping import signals
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping import stop
def worker():
    for _item in range(2):
        signals.hear_in_worker()
        signals.hear_no_more()
        for signum in signals.HEARD:
            os.kill(os.getpid(), signum)
    print("handed on", stop.stop_requested(), flush=True)
    signals.hear_in_worker()
    os.kill(os.getpid(), signal.SIGHUP)
process = multiprocessing.get_context("fork").Process(target=worker)
process.start()
process.join()
print(process.exitcode, stop.stop_requested().signal.name)
"""


def test_a_worker_whose_action_has_ended_takes_ansibles_term_for_no_wish_to_stop() -> None:
    argv = [sys.executable, "-c", WORKER_THAT_IS_DONE]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert ended.stdout.splitlines() == ["handed on None", "0 SIGHUP"]
