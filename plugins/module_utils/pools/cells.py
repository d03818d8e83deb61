# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a node stands in a pair of pools, as one load balancer's rows and sessions show it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import (
    Admin,
    LoadBalancerState,
    ServerRow,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share


class Cell(StrEnum):
    """Where one node stands in one pair of pools of one load balancer."""

    ON = "ON"  # online ready and UP
    RISING = "RISING"  # online ready, not (yet) UP
    DRAIN = "DRAIN"  # no new customers, those with a cookie still come
    OUT = "OUT"  # in neither pool
    TEST = "TEST"  # only in the maintenance pool
    BOTH = "BOTH"  # in the maintenance pool, and not in MAINT online
    ODD = "ODD"  # states that no move of ours makes: tracked, unresolved, maintenance entry drained


_NOT_OURS = Admin.TRACKED_MAINT | Admin.TRACKED_DRAIN | Admin.RESOLUTION_MAINT
# The cells that HAProxy gives new customers, now or as soon as its checks pass.
TAKES_CUSTOMERS = (Cell.ON, Cell.RISING)


@dataclass(frozen=True, slots=True)
class Pool:
    """A pair of backends, what must stay usable in the online one, and the nodes that move in it.

    `unchecked`: servers that HAProxy doesn't check may move too.
    """

    online: str
    maintenance: str
    floor: Share
    nodes: tuple[str, ...]
    unchecked: bool = False

    @property
    def backends(self) -> tuple[str, str]:
        """Both backends' names."""
        return self.online, self.maintenance


def allows_unchecked(value: str) -> bool:
    """Whether the descriptor's or an option's `unchecked` lets servers without health checks move."""
    return value == "allow"


@dataclass(frozen=True, slots=True)
class Spot:
    """One node in one pair of pools on one load balancer."""

    load_balancer: str
    pool: Pool
    node: str

    def __str__(self) -> str:
        return f"{self.node} in {self.pool.online} on {self.load_balancer}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read at a spot. `drained_by_us`: it was ON in this run and only a drain has been sent since.

    `unknown`: an old worker still lives and does not tell its sessions; `undecided`: customers of old workers whose
    request may still go to any server. `arrivals`: in how many looks new customers had come in spite of MAINT,
    `arriving`: in this one. `unchecked`: HAProxy does not check the online entry, and the pool allows it.
    """

    cell: Cell
    sessions: int = 0
    queued: int = 0
    testable: bool = False
    drained_by_us: bool = False
    unknown: bool = False
    unchecked: bool = False
    undecided: int = 0
    arriving: bool = False
    arrivals: int = 0

    @property
    def serving(self) -> bool:
        """Whether customers get an answer here, or may."""
        return self.sessions > 0 or self.unknown or self.undecided > 0 or self.arriving

    @property
    def busy(self) -> bool:
        """Whether customers get an answer here, may, or wait for one."""
        return self.serving or self.queued > 0


def classify(online: ServerRow, maintenance: ServerRow, *, unchecked: bool = False) -> Cell:
    """The cell that two rows of one node make; `unchecked`: without health checks it is ON all the same."""
    customers, testers = online.admin.effective, maintenance.admin.effective
    if (customers | testers) & _NOT_OURS or testers == Admin.FORCED_DRAIN:
        return Cell.ODD
    if not testers:
        return Cell.TEST if customers & Admin.FORCED_MAINT else Cell.BOTH
    if customers & Admin.FORCED_MAINT:
        return Cell.OUT
    if customers & Admin.FORCED_DRAIN:
        return Cell.DRAIN
    return Cell.ON if _up(online, unchecked=unchecked) else Cell.RISING


def oddity(online: ServerRow, maintenance: ServerRow) -> str:
    """What makes a node's cell ODD, and what to do about it."""
    for row in (online, maintenance):
        name = "/".join(row.key)
        if row.admin & Admin.RESOLUTION_MAINT:
            return f"HAProxy can't resolve the address of {name}: mend the name server or the server's name"
        if row.admin & _NOT_OURS:
            tracked = row.tracks or "another server"
            return f"{name} tracks {tracked}, which moves it too: give each pool checks of its own"
    name = "/".join(maintenance.key)
    return f"{name} is drained, which no move does: set it to maint there, or to ready if it shall be tested"


def look(state: LoadBalancerState, pool: Pool, node: str) -> Seen:
    """What one load balancer shows of a node; both entries must exist there."""
    online, maintenance = state.servers[pool.online, node], state.servers[pool.maintenance, node]
    return Seen(
        cell=classify(online, maintenance, unchecked=pool.unchecked),
        sessions=state.sessions(online.key),
        queued=online.queued + state.queues.get(pool.online, 0),
        testable=_up(maintenance, unchecked=pool.unchecked),
        unknown=bool(state.silent_workers),
        unchecked=pool.unchecked and not online.checked,
        undecided=state.undecided,
    )


def _up(row: ServerRow, *, unchecked: bool) -> bool:
    return row.status == "UP" or (unchecked and row.status == "no check")


def as_saved(what: Seen) -> Seen:
    """What is seen of a node where no HAProxy runs: no check tells there, and what is ready is as far as it gets."""
    return replace(what, cell=Cell.ON if what.cell is Cell.RISING else what.cell, testable=True)
