"""Run a command and reap all that it leaves behind: `python -m benchmarks.with_orphans COMMAND …`.

Ansible's ssh clients share a master that goes into the background. As our child in the end, its processor time is in
the account of whoever waits for us (wait4).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.prctl import adopt_orphans

_PATIENCE_S = 30.0


def main() -> int:
    """The command's exit code, when nothing of it runs any more."""
    adopt_orphans()
    code = subprocess.run(sys.argv[1:], check=False).returncode
    _end_all(signal.SIGTERM, _PATIENCE_S)
    _end_all(signal.SIGKILL, _PATIENCE_S)
    return code if code >= 0 else 128 - code


def _end_all(number: signal.Signals, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (children := _children()) and time.monotonic() < until:
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


if __name__ == "__main__":
    sys.exit(main())
