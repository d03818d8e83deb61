# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that share nodes are deployed in turn: whoever comes second waits until the first has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Locked
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import service_of
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import WHILE_PLANNING, Stopping

_LOOK_AGAIN = 1.0


class Turn:
    """One request's wait for the deployments of services beside it; nothing is held meanwhile."""

    def __init__(self, service: str, wait_s: float, tell: Callable[[str], None], stopping: Stopping) -> None:
        """`tell` gets a line for whoever watches, once for each deployment that is waited for."""
        self.service = service
        self._deadline = time.monotonic() + wait_s
        self._tell = tell
        self._stopping = stopping
        self._told = ""

    @property
    def patient(self) -> bool:
        """Whether there is time left to wait."""
        return time.monotonic() < self._deadline

    def wait(self, locked: Locked, live: Callable[[], Collection[str]]) -> None:
        """Return when that lock, one of `live`, may be free.

        Raises `locked` itself when the deployment that has it is the service's own, or is none, or when the time is
        over; Stopped.
        """
        if not locked.deployment or service_of(locked.deployment) == self.service or not self.patient:
            raise locked
        if locked.deployment != self._told:
            self._told = locked.deployment
            self._tell(f"waiting for its turn, since they share nodes: {locked.message}")
        # Also before the first look: where the clocks differ, a lock that holds us up may not look live.
        self._stopping.pause(_LOOK_AGAIN, WHILE_PLANNING)
        while locked.where in live():
            if not self.patient:
                raise locked
            self._stopping.pause(_LOOK_AGAIN, WHILE_PLANNING)
