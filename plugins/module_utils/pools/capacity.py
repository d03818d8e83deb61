# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many servers of a pool customers can use, and whether a wave may leave it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import Admin, ServerRow
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share

_RUNNING = 2


def usable(row: ServerRow, *, unchecked: bool = False) -> bool:
    """Whether HAProxy sends customers' requests to the server without a doubt about its health.

    `UP 1/2` is not enough: so is a server whose checks have just begun. A server without checks counts only
    when `unchecked` says so.
    """
    healthy = row.status == "UP" or (unchecked and row.status == "no check")
    return healthy and _chosen(row)


def served(row: ServerRow, *, unchecked: bool = False) -> bool:
    """Whether HAProxy sends customers' requests to the server, doubtful ones (`UP 1/2`) included.

    A server that failed its last check is not counted on, but to take it away is to take something away: had it
    been drained, HAProxy would no longer show the doubt (seen with 2.6).
    """
    answering = row.status.startswith("UP") or (unchecked and row.status == "no check")
    return answering and _chosen(row)


def _chosen(row: ServerRow) -> bool:
    return row.op == _RUNNING and not row.admin.effective and row.weight > 0 and not row.backup


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a pool of one load balancer would have left without the wave, beside what it must keep."""

    configured: int
    usable: int
    given: int
    floor: int

    @property
    def left(self) -> int:
        """Usable servers once the wave is out."""
        return self.usable - self.given

    @property
    def kept(self) -> bool:
        """Whether the wave may be out: enough is left, or it takes nothing that customers could use."""
        return self.left >= self.floor or self.given == 0


def capacity(
    rows: Iterable[ServerRow],
    wave: Collection[str],
    floor: Share,
    taken: Collection[str] = (),
    *,
    unchecked: bool = False,
) -> Capacity:
    """The capacity of one pool on one load balancer with the wave out.

    `rows` are the online backend's servers; a share counts configured ones. `taken` are members of the wave
    that this move has already taken from customers: they still count as given, and as usable before it.
    `unchecked`: servers without checks count too.
    """
    everyone = list(rows)
    available = {row.name for row in everyone if usable(row, unchecked=unchecked)}
    given = {row.name for row in everyone if row.name in wave and served(row, unchecked=unchecked)} | set(taken)
    return Capacity(len(everyone), len(available | given), len(given), floor.at_least(len(everyone)))


def drained_healthy(row: ServerRow) -> bool:
    """Whether the server is kept from customers by a drain alone: its checks go on and pass."""
    return row.admin.effective == Admin.FORCED_DRAIN and row.op == _RUNNING
