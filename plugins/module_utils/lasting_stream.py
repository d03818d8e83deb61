# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard output that may go away: its terminal closes, the program that it is piped into ends.

Ansible has a thread that hands results on and prints, and that ends without a word at the first failed write:
then ansible-playbook waits for ever. Observed on ansible-core 2.19 (plugins/strategy, results_thread_main).
"""

from __future__ import annotations

import errno
import os
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO


class LastingStream:
    """A text stream that goes on into /dev/null when nobody can read it any more; `lost` is called once, then."""

    def __init__(self, stream: TextIO, lost: Callable[[], None]) -> None:
        self._stream = stream
        self._lost = lost

    def write(self, text: str) -> int:
        """Write; nothing that the reader's end causes is raised."""
        try:
            return self._stream.write(text)
        except OSError:
            self._give_up()
        return len(text)

    def flush(self) -> None:
        """Flush; nothing that the reader's end causes is raised."""
        try:
            self._stream.flush()
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        to_nowhere(self._stream.fileno())
        self._lost()
        # What could not be written is still buffered, and would be tried again at the end.
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the stream has)
        return getattr(self._stream, name)


def outlive_readers(lost: Callable[[], None]) -> None:
    """Make standard output and error of this process lasting ones."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, LastingStream):
            setattr(sys, name, LastingStream(stream, lost))


def leave_closed_terminal() -> None:
    """Point standard output and error to /dev/null where their terminal is gone; a live one, or a file, stays."""
    for fd in (1, 2):
        if os.isatty(fd):
            continue
        try:
            termios.tcgetattr(fd)
        except termios.error as error:
            # EIO: a terminal that was hung up, tty_ioctl(4). A file or pipe says ENOTTY.
            if error.args[0] == errno.EIO:
                to_nowhere(fd)


def to_nowhere(fd: int) -> None:
    """Have what is written to this file descriptor vanish from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, fd, inheritable=False)
    os.close(nowhere)
