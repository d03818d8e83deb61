"""Ending a lab: every process of it, then its sockets; with a purge its state folder too."""

from __future__ import annotations

import shutil
import signal

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded
from lab import lock, processes, record, supervise
from lab.layout import Layout
from lab.processes import Process
from lab.progress import Progress

# puppetserver needs some seconds to stop; whoever ignores a first TERM gets one more of its own, then KILL.
_STEPS = ((signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))
_TREE_DEADLINE_S = 15.0


def down(layout: Layout, say: Progress, *, purge: bool = False) -> None:
    """End everything of this lab and nothing else; does no harm if there is none. Raises DomainError."""
    if purge:
        record.require_ours_or_empty(layout)
    if not layout.state.exists():
        _end(layout, say)
        return
    with lock.held(layout, say):
        _end(layout, say)
        if purge:
            shutil.rmtree(layout.state)
            say(f"removed {layout.state}")


def _end(layout: Layout, say: Progress) -> None:
    count = end_everything(layout, say)
    remove_sockets(layout)
    say(f"ended {count} processes" if count else "nothing was running")


def end_everything(layout: Layout, say: Progress) -> int:
    """End all processes of the lab: runit's way first, then TERM, then KILL. The number of them; DeadlineExceeded."""
    seen = _Seen(layout)
    if not seen.living():
        return 0
    with say.during("stopping the lab"):
        for process in seen.living():
            if process.state == "T":
                processes.send(process, signal.SIGCONT)
        supervise.hang_up_tree(layout)
        left = processes.await_end(seen.living, _TREE_DEADLINE_S if supervise.tree_is_running(layout) else 0)
        for number, deadline_s in _STEPS:
            for process in left:
                processes.send(process, number)
            left = processes.await_end(seen.living, deadline_s) if left else []
    if left:
        raise DeadlineExceeded(
            f"{len(left)} processes did not end: {', '.join(f'{each.pid} ({each.title})' for each in left)}",
            where=str(layout.state),
            remedy="They belong to another user or hang in the kernel; end them yourself.",
        )
    return seen.count


class _Seen:
    """The lab's processes, remembered: one whose parents are gone may no longer be told from others."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._known: dict[tuple[int, int], Process] = {}

    def living(self) -> list[Process]:
        for process in processes.of_lab(self._layout):
            self._known[process.pid, process.started] = process
        return [process for process in self._known.values() if processes.is_alive(process)]

    @property
    def count(self) -> int:
        return len(self._known)


def remove_sockets(layout: Layout) -> None:
    """Remove what means nothing without its process."""
    for host in layout.hosts:
        shutil.rmtree(host.run, ignore_errors=True)
    shutil.rmtree(layout.runtime, ignore_errors=True)
