# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Puppet is disabled and by whom: what a dead deployment left frozen, and what is not ours to thaw."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, State
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.left import (
    UNKNOWN_HERE,
    Whose,
    ends_on_request,
    nodes_left,
    way_on,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.freeze import Freeze
from ansible_collections.tidegate.delivery.plugins.module_utils.values import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A node on which Puppet is disabled, or that didn't say. `services` are those on it that were asked for."""

    node: str
    whose: Whose
    services: tuple[str, ...]
    reason: str = ""
    deployment: str = ""
    why: str = ""
    next: str = ""

    def values(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "node": self.node,
            "whose": str(self.whose),
            "services": list(self.services),
            "reason": self.reason,
            "deployment": self.deployment,
            "why": self.why,
            "next": self.next,
        }


def silent(node: str, services: Sequence[str], problem: str) -> Frozen:
    """A node that didn't say whether it is frozen."""
    return Frozen(node=node, whose=Whose.SILENT, services=tuple(services), why=problem)


def judge_freeze(node: str, services: Sequence[str], freeze: Freeze, deployment: Deployment | None) -> Frozen:
    """Whose freeze it is. `deployment` is what the ledger knows under the id that the reason names, if anything."""
    service = services[0]
    if not freeze.ours:
        whose, way = Whose.FOREIGN, "ask whoever did it; it is theirs"
        return Frozen(node=node, whose=whose, services=tuple(services), reason=str(freeze), why="not ours", next=way)
    if deployment is None:
        whose, why = Whose.UNKNOWN, UNKNOWN_HERE
        way = f"when it is over: {advice.thaw(service, node)}"
    elif deployment.state is State.OPEN:
        whose, why = Whose.OPEN, "that deployment is open: it ends its freeze when it goes on"
        way = way_on(deployment)
    else:
        whose, why = Whose.LEFT, f"that deployment is {deployment.state}"
        way = advice.thaw(service)
    return Frozen(
        node=node,
        whose=whose,
        services=tuple(services),
        reason=str(freeze),
        deployment=freeze.deployment,
        why=why,
        next=way,
    )


def to_thaw(found: Sequence[Frozen], named: Collection[str], opened: Collection[str] = ()) -> list[Frozen]:
    """What a request for these nodes, or for all, thaws.

    `opened`: the nodes on which Puppet may change a service. There a periodic run would do it: they stay frozen.
    """
    return [each for each in found if ends_on_request(each, named) and each.node not in opened]


def frozen_table(found: Sequence[Frozen]) -> list[str]:
    """Three lines a node: who holds Puppet off, why it is so, what to run next."""
    return [line for each in found for line in _told(each)] or ["Puppet is disabled nowhere"]


def _told(each: Frozen) -> list[str]:
    if each.whose is Whose.SILENT:
        return [f"{each.node}: can't be asked: {each.why}"]
    return [f"{each.node} ({', '.join(each.services)}): {each.reason}", f"  {each.why}", f"  next: {each.next}"]


def left_count(found: Sequence[Frozen]) -> str:
    """How much nobody will thaw by itself, in words; empty when there is nothing."""
    nodes = nodes_left(found)
    return f"left frozen on {counted(len(nodes), 'node')}: {', '.join(nodes)}" if nodes else ""
