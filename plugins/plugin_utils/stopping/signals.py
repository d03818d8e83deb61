# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""INT, TERM and HUP in ansible-playbook and its workers while a step of ours runs: they set the flag of stop.py.

Ansible's own handlers end the workers at once, in the middle of whatever they do, and no rescue runs after that
(ansible-core 2.19: TaskQueueManager._signal_handler, WorkerProcess._term). A worker that is killed while it hands
a line or a result on keeps the queue's lock, and ansible-playbook hangs.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from ansible import constants as C  # noqa: N812 (Ansible's own name for it)

from ansible_collections.tidegate.delivery.plugins.module_utils.lasting_stream import (
    leave_closed_terminal,
    outlive_readers,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping.stop import request_stop

HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130
# A signal that comes sooner after the first is the same request: Jenkins and our own command both pass one on,
# and a shell repeats a terminal's HUP.
_SAME_REQUEST = 1.0
_COLLECTION = "tidegate.delivery."
# They end within milliseconds, and say what a person has to know.
_AT_ONCE = ("fail", "debug", "assert", "set_fact", "add_host", "include_role", "include_tasks")
_STOPPING = "\ntidegate: {}: stopping at the next safe point; once more ends at once\n"
_ENDED = "\ntidegate: ended at once. Run the same command again: it takes the locks over and continues\n"


def hear_in_worker() -> None:
    """Have this worker note signals and go on; those that came since it was forked are noted now."""
    if multiprocessing.parent_process() is None:
        return
    for signum in _heard():
        signal.signal(signum, _note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)


def hear_no_more() -> None:
    """Have this worker, whose action has ended, pass signals over: nobody's wish to stop reaches only it.

    At the end of a play, each wave's too, Ansible sends TERM to workers that have handed their result on and are not
    gone yet (ansible-core 2.19: TaskQueueManager._cleanup_processes, WORKER_SHUTDOWN_POLL_COUNT is 0).
    """
    if multiprocessing.parent_process() is None:
        return
    for signum in _heard():
        signal.signal(signum, _pass_over)


def _pass_over(_signum: int, _frame: object) -> None:
    """Not SIG_IGN: a loop's next item hears again, and its ssh clients would inherit that."""


def _note(signum: int, _frame: object) -> None:
    request_stop(signum)


def _heard() -> list[signal.Signals]:
    """HUP stays ignored when ansible-playbook was told to ignore it (nohup)."""
    return [signum for signum in HEARD if signum is not signal.SIGHUP or not _ignored(signum)]


def _ignored(signum: signal.Signals) -> bool:
    return signal.getsignal(signum) is signal.SIG_IGN


class MainSignals:
    """The handlers of ansible-playbook's main process, from the first step of ours on."""

    def __init__(self) -> None:
        self._main = os.getpid()
        self._first: float | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._protecting = False
        self._mask: set[Any] | None = None
        os.register_at_fork(before=self._block, after_in_parent=self._restore, after_in_child=self._in_child)

    def next_task(self, action: str) -> None:
        """A task of this action begins: look whether its workers shall be protected until they hear for themselves."""
        ours = steps_of_a_flow(action)
        if ours and not self._before:
            self._install()
        self._protecting = bool(self._before) and (ours or action.rpartition(".")[2] in _AT_ONCE)

    def _install(self) -> None:
        outlive_readers(lambda: request_stop(signal.SIGPIPE))
        self._before = {signum: signal.signal(signum, self._on_signal) for signum in _heard()}

    def put_back(self) -> None:
        """Leave signals to Ansible again."""
        self._protecting = False
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before = {}

    # A worker hears for itself when its action begins: what comes between its fork and that waits for it.

    def _block(self) -> None:
        if self._protecting and threading.current_thread() is threading.main_thread():
            self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)

    def _restore(self) -> None:
        if self._mask is not None:
            mask, self._mask = self._mask, None
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _in_child(self) -> None:
        # Protected from here on, not to be unblocked by a fork of its own.
        self._mask, self._protecting = None, False

    def _on_signal(self, signum: int, _frame: object) -> None:
        if os.getpid() != self._main:
            # A worker of somebody else's task, before it has its own handlers.
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
            return
        if signum == signal.SIGHUP:
            leave_closed_terminal()
        request_stop(signum)
        now = time.monotonic()
        if self._first is None:
            self._first = now
            _say(_STOPPING.format(signal.Signals(signum).name))
        elif signum != signal.SIGHUP and now - self._first >= _SAME_REQUEST and not _commanded():
            _end_at_once()


@cache
def main_signals() -> MainSignals:
    """Those of this ansible-playbook: the callbacks `stop` and `command` may both be there, and share them."""
    return MainSignals()


def steps_of_a_flow(action: str) -> bool:
    """Whether the action may hold a lock or change something; those that only show end like any other."""
    return action.startswith(_COLLECTION) and not action.endswith("_info")


def _end_at_once() -> None:
    for worker in multiprocessing.active_children():
        if worker.pid:
            # Its process group has its ssh clients; before its first line it has none of its own.
            _quietly(os.killpg, worker.pid)
            _quietly(os.kill, worker.pid)
    shutil.rmtree(C.DEFAULT_LOCAL_TMP, ignore_errors=True)
    _say(_ENDED)
    os._exit(INTERRUPTED)


def _quietly(kill: Callable[[int, int], None], pid: int) -> None:
    with suppress(ProcessLookupError):
        kill(pid, signal.SIGKILL)


def _commanded() -> bool:
    """Whether the command runs us: then it alone decides what a second request is, since it passes each one on."""
    return "TIDEGATE_COMMAND" in os.environ


def _say(text: str) -> None:
    # Not by print: the signal may have come in the middle of one. The command tells it in its own way.
    if not _commanded():
        with suppress(OSError):
            os.write(2, text.encode())
