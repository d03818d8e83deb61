# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long somebody gives no answer, and for how long that is borne."""

from __future__ import annotations

import time
from collections.abc import Callable

_AGAIN_S = 1.0
# Each password that is refused may count towards locking the account.
LOG_IN_AGAIN_S = 15.0


class Silence:
    """One wait for answers; `patience`: the most seconds without any."""

    def __init__(
        self,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._since: float | None = None
        self._error: Exception | None = None

    @property
    def begun(self) -> bool:
        """Whether the last question got no answer."""
        return self._since is not None

    def bear(self, error: Exception, again_s: float = _AGAIN_S) -> None:
        """Wait `again_s` seconds before the next question; raise `error` when that was too long."""
        now, self._error = self._clock(), error
        if self._since is None:
            self._since = now
        if now - self._since >= self._patience:
            raise error
        self._sleep(again_s)

    def over(self) -> None:
        """There is an answer."""
        self._since = self._error = None

    def give_up(self) -> None:
        """There is no time for another question: raise the error of the last one, if it got no answer."""
        if self._error is not None:
            raise self._error
