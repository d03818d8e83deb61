# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The floors of a wave's pools on all load balancers, looked at as long as the wave leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState, carrying
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.capacity import (
    Capacity,
    capacity,
    drained_healthy,
    served,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Pool
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Refuse


class Floors:
    """Remembers which of the wave's nodes customers could use, since a drained one no longer shows it."""

    def __init__(self, pools: Sequence[Pool]) -> None:
        self._pools = pools
        self._taken: dict[tuple[str, Pool], set[str]] = {}

    def broken(self, states: Mapping[str, LoadBalancerState]) -> Refuse | None:
        """The first floor that the wave breaks or would break; None when it may go on.

        A load balancer that is down sends customers nowhere: nothing has to stay usable there.
        """
        for name, state in carrying(states).items():
            for pool in self._pools:
                rows, taken = state.rows(pool.online), self._taken_from(state, name, pool)
                now = capacity(rows, pool.nodes, pool.floor, taken, unchecked=pool.unchecked)
                if not now.kept:
                    return _broken(name, pool, now)
        return None

    def _taken_from(self, state: LoadBalancerState, name: str, pool: Pool) -> set[str]:
        rows = [row for row in state.rows(pool.online) if row.name in pool.nodes]
        taken = self._taken.setdefault((name, pool), set())
        taken.update(row.name for row in rows if served(row, unchecked=pool.unchecked) or drained_healthy(row))
        return taken


def _broken(name: str, pool: Pool, now: Capacity) -> Refuse:
    wave = ", ".join(pool.nodes)
    told = {"backend": pool.online, "host": name, "nodes": wave, "min_online": pool.floor}
    counts = {"left": now.left, "usable": now.usable, "configured": now.configured, "floor": now.floor}
    return Refuse.of(RefusalKind.FLOOR, **told, **counts)
