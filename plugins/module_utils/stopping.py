# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stop that somebody asked for: what each kind of step does about it, and how its waits learn of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import Enum

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Step

# A wait that sleeps looks this often whether somebody asked to stop, in seconds.
LOOK_EVERY = 0.5
# A signal to every process reaches our ssh client before us, or after: within so many seconds of each other.
ALL_REACHED = 0.5


class AtStop(Enum):
    """What a step does when somebody asked to stop."""

    FINISH = "it begins and ends as if nobody had asked: it leads to a safe point"
    COMPLETE = "it does not begin; what has begun is brought to its end"
    GIVE_UP = "it does not begin; its waits are given up, and it leaves a defined state"


def _go_on(_where: str) -> None:
    """Nobody asks."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """How a wait learns that it shall end.

    `look(where)` raises Stopped when somebody asked, and is cheap, from any thread; `where` completes "stopped by
    alice (SIGTERM) …". Inside `cut_short()` a stop ends the remote command that is waited for, which then raises
    Unreachable: only for commands that may be left in the middle.
    """

    look: Callable[[str], None] = _go_on
    cut_short: Callable[[], AbstractContextManager[None]] = nullcontext

    def pause(self, seconds: float, where: str, sleep: Callable[[float], None] = time.sleep) -> None:
        """Sleep, and raise Stopped in the middle of it."""
        self.look(where)
        while seconds > 0:
            sleep(min(seconds, LOOK_EVERY))
            seconds -= LOOK_EVERY
            self.look(where)

    def explain(self, where: str) -> None:
        """After a way that broke: raise Stopped when the signal ended our client, too."""
        self.pause(ALL_REACHED, where)


NEVER = Stopping()

WHILE_PLANNING = "while planning; nothing was opened. Run the same command again"

_BEFORE: Mapping[str, str] = {
    Step.PLAN: "before anything was planned",
    Step.WAVE: "before the wave began",
    Step.DOWNTIME: "before a downtime was opened",
    Step.FREEZE: "before Puppet's periodic run was held off",
    Step.LEAVE: "before the wave left the online pool",
    Step.PIN: "before the release was pinned",
    Step.PUPPET: "before Puppet ran",
    Step.REBOOT: "before the node was rebooted",
    Step.RELEASE: "before the served release was read back",
    Step.HEALTH: "before health was checked",
    Step.NUNIT: "before the tests ran",
    Step.WARMUP: "before the warm-up",
    Step.JOIN: "before the wave joined",
    Step.REPAIR: "before the nodes were taken out again",
}


def before(step: str) -> str:
    """Where a stop found us that kept this step from beginning."""
    return _BEFORE.get(step, f"before step {step}")
