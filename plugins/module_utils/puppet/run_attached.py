# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Puppet run on a Windows node: the shell of WinRM owns it, and it ends with that shell.

A connection that drops ends neither: WinRM's shells are asked again over another one. Whatever of the output was lost
on the way, the report on the node says how it went.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import OUTPUT_TAIL, JobState, Phase
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import ShellLost, WindowsNode


@contextmanager
def again_when_back() -> Iterator[None]:
    """Around a run and the reading of what it came to: of a node that stays away it is said what to do then."""
    try:
        yield
    except Unreachable as error:
        way_on = "Then run the same deployment again: it waits for what still runs there, then runs anew"
        error.remedy = f"{error.remedy.rstrip('.')}. {way_on}"
        raise


def run_attached(node: WindowsNode, argv: Sequence[str], *, limit: float, patience: float) -> JobState:
    """Run the agent and wait for its end. `limit`: seconds for all of it; `patience`: seconds without an answer.

    Phase `timed_out`: it was ended with all that it had started. Phase `lost`: its shell is gone, and it with it.
    Raises Unreachable when the node can't be reached for so long: its shell, and the run, end two minutes later.
    """
    began = time.monotonic()
    try:
        done = node.run_lasting(argv, timeout=limit, patience=patience)
    except DeadlineExceeded:
        return JobState(Phase.TIMED_OUT, seconds=_since(began))
    except ShellLost:
        return JobState(Phase.LOST, seconds=_since(began))
    said = (done.stdout + done.stderr)[-OUTPUT_TAIL:].decode(errors="backslashreplace")
    return JobState(Phase.ENDED, rc=done.rc, seconds=_since(began), output=said.replace("\r\n", "\n"))


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)
