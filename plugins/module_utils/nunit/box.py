# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of NUnit on a test box: doing it, ending it, and a look at the box's queue."""

from __future__ import annotations

from contextlib import suppress

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Stopped, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, Node
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box_order import BoxRun, box_inputs
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box_report import BoxReport, Stage, read_report
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box_script import CANCEL, QUEUE, SCRIPT
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, Stopping

_CANCEL_SECONDS = 10
_MOST_AHEAD = 1000


def run_on_box(box: Node, run: BoxRun, stopping: Stopping = NEVER) -> BoxReport:
    """Do it: queue, fetch, verify, unpack, probe, run, probe.

    Raises Unreachable, DeadlineExceeded, or Stopped when somebody asked to stop: the run on the box is ended then.
    """
    done = _waited_for(box, run, stopping)
    if done.rc != 0:
        why = excerpt(done.stderr[-400:], 300) or f"exit code {done.rc}"
        return BoxReport(Stage.TOOLS, f"the shell on the box ended: {why}")
    return read_report(done.stdout)


def _waited_for(box: Node, run: BoxRun, stopping: Stopping) -> Completed:
    try:
        with stopping.cut_short():
            return box.sh(SCRIPT, stdin=box_inputs(run), timeout=run.deadline)
    except Unreachable:
        try:
            stopping.explain("while the tests ran; they are ended")
        except Stopped:
            # Should that fail, too, the next run waits for this one's end.
            with suppress(DomainError):
                cancel(box, run)
            raise
        raise


def cancel(box: Node, run: BoxRun) -> None:
    """End the run on the box, as its deadline would, whether it waits there or runs; nothing when it is over."""
    box.sh(CANCEL, run.work_dir.rstrip("/") or "/", run.id, timeout=_CANCEL_SECONDS + 5)


def ahead_of(box: Node, run: BoxRun) -> list[str]:
    """What the runs are about that the box has at work or in its queue right now, the first one first."""
    done = box.sh(QUEUE, run.work_dir.rstrip("/") or "/", timeout=_CANCEL_SECONDS)
    return [excerpt(line, 100) for line in done.text.splitlines()[:_MOST_AHEAD]]
