# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a move is given from outside: how long it may take, and how it acts at once, waits, tells and is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, Stopping

Answer = TypeVar("Answer")
# How often a move looks again while it waits, in seconds.
POLL = 0.25


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a move may take, in seconds. `silent`: how long one that stops answering is asked again.

    `cookies_stay`: until `soft` customers with a persistence cookie come back to a server that leaves. What a user who
    says nothing gets is the module's and the descriptor's to say.
    """

    soft: float
    hard: float
    join: float
    silent: float
    cut: bool = False
    cookies_stay: bool = False


class Parallel(Protocol):
    """Runs `work(name)` for all names at once; a DomainError is that name's answer."""

    def __call__(self, work: Callable[[str], Answer], names: Sequence[str], /) -> Mapping[str, Answer | DomainError]:
        """The answer of each name."""


@dataclass(slots=True)
class Surroundings:
    """What a move needs of the outside; tests give a clock of their own."""

    parallel: Parallel
    progress: Callable[[str], None] = lambda _text: None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    stopping: Stopping = NEVER
