# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Customers who still come to a node in MAINT: a persistence cookie can overrule it, and no command shows that."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import ServerRow
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, Seen, Spot


class Arrivals:
    """Remembers, from look to look, how many sessions began at the servers that are in MAINT."""

    def __init__(self) -> None:
        self._expected: dict[Spot, int] = {}
        self._begun: dict[Spot, int] = {}
        self._looks: dict[Spot, int] = {}

    def told(self, spot: Spot, what: Seen, online: ServerRow) -> Seen:
        """What was seen, with `arriving` and `arrivals`. Begins anew when the node is in MAINT no more."""
        if what.cell not in (Cell.OUT, Cell.TEST):
            self._begun.pop(spot, None)
            self._looks.pop(spot, None)
            return what
        # Those who are there at MAINT may be between two attempts: their next one is counted as a new session.
        # Fewer than before: HAProxy was reloaded or its counters cleared, and it counts from there.
        if online.begun < self._begun.get(spot, online.begun + 1):
            self._expected[spot] = online.begun + online.sessions
        expected = self._expected[spot]
        arriving = online.begun > expected
        self._expected[spot], self._begun[spot] = max(expected, online.begun), online.begun
        self._looks[spot] = self._looks.get(spot, 0) + arriving
        return replace(what, arriving=arriving, arrivals=self._looks[spot])
