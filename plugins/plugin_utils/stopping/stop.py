# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One flag for a whole ansible-playbook: somebody asked to stop.

It is in memory that forked workers share: this module must be imported before Ansible forks, which the linear
strategy does with every action, and the callback plugin tidegate.delivery.stop when it is loaded.
"""

from __future__ import annotations

import mmap
import signal
import struct
import time
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    DomainError,
    Locked,
    Refused,
    Stopped,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import this_user
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import ALL_REACHED, Stopping
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping.clients import ended_when

# The first signal's number (0: nobody asked), and the monotonic clock's time of the newest one.
_LAYOUT = struct.Struct("=id")
_SHARED = mmap.mmap(-1, _LAYOUT.size)


@dataclass(frozen=True, slots=True)
class Request:
    """That somebody asked: by which signal, and when the newest one came (seconds, monotonic clock)."""

    signal: signal.Signals
    newest: float

    def __str__(self) -> str:
        return f"{this_user()} ({self.signal.name})"


def request_stop(signum: int) -> None:
    """Set the flag. For signal handlers: it takes no lock and writes nowhere else."""
    first, _newest = _LAYOUT.unpack_from(_SHARED)
    _LAYOUT.pack_into(_SHARED, 0, first or signum, time.monotonic())


def forget_stop() -> None:
    """Take the flag back, for tests."""
    _LAYOUT.pack_into(_SHARED, 0, 0, 0.0)


def stop_requested() -> Request | None:
    """Who asked, if anybody did."""
    first, newest = _LAYOUT.unpack_from(_SHARED)
    return Request(signal.Signals(first), newest) if first else None


def require_going_on(where: str) -> None:
    """Raise Stopped when somebody asked; `where` completes "stopped by alice (SIGTERM) …"."""
    request = stop_requested()
    if request is not None:
        raise Stopped(f"stopped by {request} {where}")


def explained(error: DomainError, where: str) -> DomainError:
    """The error, or Stopped when a stop explains it: a signal to every process ends our ssh clients too."""
    by_the_signal = isinstance(error, Unreachable | Refused) and not isinstance(error, Locked)
    if isinstance(error, Unreachable):
        time.sleep(ALL_REACHED)
    request = stop_requested()
    if request is None or not by_the_signal:
        return error
    return Stopped(f"stopped by {request} {where}")


def signalled_since(moment: float) -> bool:
    """Whether a signal came since then (monotonic clock)."""
    time.sleep(ALL_REACHED)
    request = stop_requested()
    return request is not None and request.newest >= moment


STOPPING = Stopping(look=require_going_on, cut_short=lambda: ended_when(stop_requested))
