"""Waiting for what takes as long as it takes, with a deadline.

The deadlines here are only patience: a good run never reaches them, however busy the machine is. A deadline that is
itself what a test is about has a number of its own there.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from lab.witness import wait_until

# For one program to start, answer or end.
PATIENCE_S = 120.0
# For what ends a moment after its starter; what would live on lives for minutes.
GONE_S = 60.0
# For what waits behind the steps of a deployment.
DEPLOYMENT_S = 300.0


def until(
    reached: Callable[[], object],
    what: str | Callable[[], str],
    seconds: float = PATIENCE_S,
    every: float = 0.05,
    *,
    of: subprocess.Popen[str] | subprocess.Popen[bytes] | None = None,
) -> None:
    """Wait for something, so many seconds at most; it is looked for `every` so many.

    With a process, wait only while that runs. `what` may be asked at the end alone, to tell what there was instead.
    """

    def over() -> bool:
        return bool(reached()) or (of is not None and of.poll() is not None)

    in_time = wait_until(over, seconds, every)
    # It may have come about together with the process's end.
    assert in_time, f"not in {seconds:g} s: {_told(what)}"
    assert of is None or of.poll() is None or reached(), f"its process ended before: {_told(what)}"


def _told(what: str | Callable[[], str]) -> str:
    return what if isinstance(what, str) else what()
