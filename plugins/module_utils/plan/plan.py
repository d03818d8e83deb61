# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a deployment: what each node needs, who is left alone and why, and the waves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.waves import PoolView, Wave, cut_waves
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import short
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share


class Standing(StrEnum):
    """Where a node is, seen over all its pools on all load balancers of its site."""

    ONLINE = "online"
    # Listed as online, but at least one load balancer can't use it: nobody took it out, it is ill.
    UNUSABLE = "unusable"
    OUT = "out"


class Fate(StrEnum):
    """What a deployment does with a node."""

    MOVE = "move"
    DONE = "done"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Served:
    """The release that a node serves; empty what it didn't say.

    `revision`: the configuration's, as the report of the Puppet run had it that deployed it. A node doesn't tell it.
    """

    version: str = ""
    digest: str = ""
    revision: str = ""

    def same_as(self, other: Served) -> bool:
        """Same version, and same digest where both are known. What was deployed with it is not looked at."""
        return self.version == other.version and (not self.digest or not other.digest or self.digest == other.digest)


@dataclass(frozen=True, slots=True)
class NodeView:
    """What was observed of one node."""

    name: str
    standing: Standing
    served: Served = Served()
    unreachable: str = ""
    foreign_freeze: str = ""
    # The deployment of ours that left Puppet disabled there.
    our_freeze: str = ""
    # Who took it out, when it is out: the deployment that is being planned or continued, or somebody else.
    ours: bool = False
    taken_by: str = ""
    # The release with which Tidegate last saw it join.
    joined: Served | None = None


@dataclass(frozen=True, slots=True)
class SiteView:
    """One site: its nodes in the inventory's order, all pools that the moves touch."""

    name: str
    load_balancers: tuple[str, ...]
    nodes: tuple[NodeView, ...]
    pools: tuple[PoolView, ...]


@dataclass(frozen=True, slots=True)
class NodePlan:
    """What happens to one node, and why."""

    name: str
    site: str
    fate: Fate
    version_from: str
    version_to: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class PlannedWave:
    """One wave of one site."""

    site: str
    load_balancers: tuple[str, ...]
    nodes: tuple[str, ...]
    asked: int
    limited_by: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All of it, in order."""

    nodes: tuple[NodePlan, ...]
    waves: tuple[PlannedWave, ...]
    capacity: tuple[PoolView, ...] = field(default=())

    def of(self, fate: Fate) -> tuple[str, ...]:
        """The nodes of one fate."""
        return tuple(node.name for node in self.nodes if node.fate is fate)


def make_plan(
    target: Served,
    sites: Sequence[SiteView],
    sizes: Sequence[Share],
    excluded: Mapping[str, str] | None = None,
    away_from: Served | None = None,
    settling: str = "",
    undone: Sequence[Served] = (),
) -> Plan:
    """Decide every node's fate and cut the waves, sites one after the other.

    `excluded` maps nodes that must stay as they are to the reason. `away_from` is the release that a rollback undoes,
    and `undone` are those that were superseded before it came to all nodes: what the nodes were configured with before
    them is as good as what is served now. `settling`: why no node may move any more: all that would stay as they are.

    Raises Refused for a node that can't be reached and isn't excluded, and where a floor leaves no room.
    """
    away = () if away_from is None else (away_from, *undone)
    nodes: list[NodePlan] = []
    waves: list[PlannedWave] = []
    for site in sites:
        decided = [_decide(node, site.name, target, excluded or {}, away) for node in site.nodes]
        decided = [_settled(node, settling) for node in decided] if settling else decided
        nodes += decided
        cut = cut_waves(_in_order(site, decided), sizes, len(site.nodes), site.pools)
        waves += [_planned(site, wave) for wave in cut]
    pools = tuple(pool for site in sites for pool in site.pools)
    return Plan(tuple(nodes), tuple(waves), pools)


def _settled(node: NodePlan, settling: str) -> NodePlan:
    return replace(node, fate=Fate.SKIP, why=settling) if node.fate is Fate.MOVE else node


def _planned(site: SiteView, wave: Wave) -> PlannedWave:
    return PlannedWave(site.name, site.load_balancers, wave.nodes, wave.asked, wave.limited_by)


def _in_order(site: SiteView, decided: Sequence[NodePlan]) -> list[str]:
    """The nodes to move; those that customers can't reach anyway go first."""
    standing = {node.name: node.standing for node in site.nodes}
    moving = [node.name for node in decided if node.fate is Fate.MOVE]
    return sorted(moving, key=lambda name: standing[name] is Standing.ONLINE)


def _decide(node: NodeView, site: str, target: Served, excluded: Mapping[str, str], away: Sequence[Served]) -> NodePlan:
    fate, why = _fate(node, target, excluded, away)
    return NodePlan(node.name, site, fate, node.served.version or "unknown", target.version, why)


def _fate(node: NodeView, target: Served, excluded: Mapping[str, str], away: Sequence[Served]) -> tuple[Fate, str]:
    if node.name in excluded:
        return Fate.SKIP, excluded[node.name]
    if node.standing is Standing.OUT and not node.ours:
        return Fate.SKIP, f"taken out by {node.taken_by or 'somebody else'}"
    if node.foreign_freeze:
        return Fate.SKIP, f"Puppet is disabled there by somebody else: {node.foreign_freeze}"
    if node.unreachable:
        raise Refused(
            f"node {node.name} can't be reached: {node.unreachable}",
            where=node.name,
            remedy=f"Bring it back, or leave it out: {advice.leaving_out(node.name)}",
        )
    if node.standing is Standing.OUT:
        return Fate.MOVE, "held by us in the maintenance pool"
    if node.standing is Standing.UNUSABLE:
        return Fate.MOVE, "no customer reaches it: a load balancer can't use it"
    return _online_fate(node, target, away)


def _online_fate(node: NodeView, target: Served, away: Sequence[Served]) -> tuple[Fate, str]:
    if not node.served.same_as(target):
        return Fate.MOVE, ""
    if node.our_freeze:
        return Fate.MOVE, f"deployment {node.our_freeze} left Puppet disabled there"
    if node.joined is None or not node.joined.same_as(target):
        return Fate.MOVE, f"serves {target.version} without our evidence: it is verified like any other"
    configured = _to_configure(node.joined, target, away)
    return (Fate.MOVE, configured) if configured else (Fate.DONE, "serves it already, and joined with it")


def _to_configure(joined: Served, target: Served, away: Sequence[Served]) -> str:
    """Why a node at the target's version gets its configuration; empty when it has it, or nobody tells revisions.

    A rollback gives it only to nodes that joined with something that it leads away from.
    """
    if joined.revision == target.revision or not target.revision:
        return ""
    if away and not any(joined.same_as(each) and joined.revision == each.revision for each in away):
        return ""
    return f"configuration {short(joined.revision) or 'not known'} -> {short(target.revision)}"
