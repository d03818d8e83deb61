"""Servers that are started for a measurement and end with it, however it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_STOP_S = 10.0


def start(
    argv: Sequence[str], log: Path, errors: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own: Ctrl-C at the terminal is for us alone, who end things in their order.

    The kernel ends it (TERM) when the thread that started it is gone, even by kill -9. Output is appended to `log`,
    that of standard error to `errors` if it is given.
    """
    with contextlib.ExitStack() as stack:
        output: IO[bytes] = stack.enter_context(log.open("ab"))
        said = stack.enter_context(errors.open("ab")) if errors else subprocess.STDOUT
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *argv],
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=said,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """End it and all of its session."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9 of it and all of its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
