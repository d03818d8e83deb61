"""The processes that a playbook leaves behind: ansible's workers call setsid, ssh's masters daemonize."""

from __future__ import annotations

import contextlib
import signal

import psutil

from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs_script import DETACHED

# What was asked to end politely gets this long, in seconds.
GRACE_S = 3.0
_ROUNDS = 10


class Brood:
    """All processes below this one that were not there when it was made, but those that are meant to outlive a run:
    jobs that were detached on this very machine (a node with a local connection), and what they started.

    Those of dead parents included where this process adopts orphans (module_utils/prctl.py). The command does; in
    somebody else's process that is not for a library to decide.
    """

    def __init__(self) -> None:
        self._others = set(psutil.Process().children(recursive=True))

    def members(self) -> list[psutil.Process]:
        """Every one of them right now."""
        below = psutil.Process().children(recursive=True)
        return [process for process in below if process not in self._others and not _outlives(process)]

    def first(self) -> psutil.Process | None:
        """The one that all others come from, while it lives: our own oldest child."""
        own = [process for process in psutil.Process().children() if process not in self._others]
        return min(own, key=_started, default=None)

    def ask(self, number: signal.Signals) -> bool:
        """Pass a signal on to the first, which takes it as a request to stop at the next safe point.

        False when it could not take it: it isn't there, or it is still being made (our copy, before its exec).
        """
        first = self.first()
        if first is None or not _is_itself(first):
            return False
        _signal([first], number)
        return True

    def kill(self) -> None:
        """Kill all of them and wait for none: whoever started the first does, and is surprised when another did."""
        _signal(self.members(), signal.SIGKILL)

    def end(self) -> None:
        """End all of them: politely, then by force. What they start meanwhile is ended too."""
        members = self.members()
        _signal(members, signal.SIGTERM)
        psutil.wait_procs(members, timeout=GRACE_S)
        for _round in range(_ROUNDS):
            left = self.members()
            if not left:
                return
            _signal(left, signal.SIGKILL)
            psutil.wait_procs(left, timeout=1.0)


def _is_itself(process: psutil.Process) -> bool:
    try:
        return process.cmdline() != psutil.Process().cmdline()
    except psutil.NoSuchProcess:
        return False


def _outlives(process: psutil.Process) -> bool:
    try:
        return DETACHED in process.environ()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        # Of another user (become): not ours to signal.
        return True


def _started(process: psutil.Process) -> float:
    try:
        return process.create_time()
    except psutil.NoSuchProcess:
        return float("inf")


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.send_signal(number)
