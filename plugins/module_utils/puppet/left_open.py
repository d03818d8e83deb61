# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Puppet may change a service outside of its deployments: what a controller that was killed left open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, State
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.left import Whose, nodes_left
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import HieraFile
from ansible_collections.tidegate.delivery.plugins.module_utils.values import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOpen:
    """A node on which a merge would change the service at once, or a place that didn't say. `where`: the file, on
    which server; `node` is empty when a server is silent about all of them."""

    node: str
    whose: Whose
    service: str
    key: str
    where: str
    deployment: str = ""
    why: str = ""
    next: str = ""

    def values(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "node": self.node,
            "whose": str(self.whose),
            "service": self.service,
            "key": self.key,
            "where": self.where,
            "deployment": self.deployment,
            "why": self.why,
            "next": self.next,
        }


def nobody_told(service: str, key: str, where: str, problem: str) -> LeftOpen:
    """A place that can't be read: whether it is open there is unknown."""
    return LeftOpen(node="", whose=Whose.SILENT, service=service, key=key, where=where, why=problem)


def judge_open(node: str, service: str, key: str, file: HieraFile, deployment: Deployment | None) -> LeftOpen | None:
    """Who opened the service there; None when it is shut. `deployment`: what the ledger knows of the key's owner."""
    # As `tidegate::noop_unless_open` reads it: nothing but a text opens a service.
    value = file.values.get(key)
    if not isinstance(value, str) or not value.strip():
        return None
    owner = file.owners.get(key, "")
    whose, why, way = _whose(service, file.path, owner, deployment)
    return LeftOpen(
        node=node, whose=whose, service=service, key=key, where=file.path, deployment=owner, why=why, next=way
    )


def _whose(service: str, path: str, owner: str, deployment: Deployment | None) -> tuple[Whose, str, str]:
    if not owner:
        return Whose.FOREIGN, "not ours", "ask whoever did it; it is theirs"
    if deployment is None:
        why = f"this ledger doesn't know deployment {owner}: it may be another ledger's"
        return Whose.UNKNOWN, why, f"when it is over: take that line out of {path}"
    if deployment.state is State.OPEN:
        why = f"deployment {owner} is open: it takes it back when it goes on"
        return Whose.OPEN, why, advice.resume(deployment.service)
    way = "the next deployment of the service takes it back, on nodes that are left out as well"
    if not deployment.state.final:
        way = advice.resume(service)
    return Whose.LEFT, f"deployment {owner} is {deployment.state}", way


def opened_by_us(found: Sequence[LeftOpen]) -> frozenset[str]:
    """The nodes on which a deployment, dead or alive, let Puppet change a service, and none has taken it back."""
    return frozenset(each.node for each in found if each.whose in (Whose.LEFT, Whose.OPEN, Whose.UNKNOWN))


def open_table(found: Sequence[LeftOpen]) -> list[str]:
    """Three lines a node: where the service is open, why it is so, what to do next."""
    return [line for each in found for line in _told(each)]


def _told(each: LeftOpen) -> list[str]:
    if each.whose is Whose.SILENT:
        return [f"{each.where}: nobody can tell where {each.key} is left: {each.why}"]
    lines = [f"{each.node} ({each.service}): Puppet may change it at any time: {each.key} is set in {each.where}"]
    return [*lines, f"  {each.why}", f"  next: {each.next}"]


def open_count(found: Sequence[LeftOpen]) -> str:
    """How much nobody will shut by itself, in words; empty when there is nothing."""
    nodes = nodes_left(found)
    return f"left open to Puppet on {counted(len(nodes), 'node')}: {', '.join(nodes)}" if nodes else ""
