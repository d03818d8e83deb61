# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waves: a descriptor's sizes are ceilings, the floors of all pools decide what is left of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share


@dataclass(frozen=True, slots=True)
class PoolView:
    """One online pool on one load balancer, as it is right now."""

    service: str
    pool: str
    load_balancer: str
    min_online: Share
    servers: frozenset[str]
    usable: frozenset[str]
    # Those that customers' requests are sent to although their last check failed: they count for nobody's floor.
    doubtful: frozenset[str] = frozenset()

    @property
    def configured(self) -> int:
        """How many servers the backend lists."""
        return len(self.servers)

    @property
    def floor(self) -> int:
        """How many usable servers must stay: a share is of the *configured* ones and rounded up."""
        return self.min_online.at_least(self.configured)

    def left_without(self, nodes: Sequence[str]) -> int:
        """How many usable servers are left when `nodes` leave; those that can't be used don't count."""
        return len(self.usable.difference(nodes))

    def after(self, nodes: Sequence[str]) -> PoolView:
        """The pool once `nodes` have joined: those that could not be used before can be then."""
        return replace(self, usable=self.usable | self.servers.intersection(nodes), doubtful=self.doubtful - {*nodes})

    def allows(self, nodes: Sequence[str]) -> bool:
        """Whether `nodes` may leave together. Nodes that this load balancer sends nobody to may always leave."""
        return (self.usable | self.doubtful).isdisjoint(nodes) or self.left_without(nodes) >= self.floor


@dataclass(frozen=True, slots=True)
class Wave:
    """Nodes that leave, are deployed, tested and join together."""

    nodes: tuple[str, ...]
    asked: int
    limited_by: str = ""


def cut_waves(nodes: Sequence[str], sizes: Sequence[Share], total: int, pools: Sequence[PoolView]) -> list[Wave]:
    """Cut `nodes`, in their order, into waves that every pool can spare.

    `sizes` are ceilings in shares of `total` nodes; the last one repeats. Nodes that joined count as usable
    for the next wave. Raises Refused when not even one node may leave.
    """
    waves: list[Wave] = []
    rest = list(nodes)
    views = list(pools)
    while rest:
        asked = max(1, sizes[min(len(waves), len(sizes) - 1)].at_most(total))
        wave = _largest(rest[:asked], views)
        views = [view.after(wave.nodes) for view in views]
        waves.append(wave if len(wave.nodes) < len(rest[:asked]) else Wave(wave.nodes, asked))
        rest = rest[len(wave.nodes) :]
    return waves


def _largest(candidates: Sequence[str], pools: Sequence[PoolView]) -> Wave:
    """As many of the candidates, from the first on, as every pool can spare."""
    limited_by = ""
    for size in range(len(candidates), 0, -1):
        full = blocking(pools, candidates[:size])
        if full is None:
            return Wave(tuple(candidates[:size]), len(candidates), limited_by)
        if size == 1:
            raise no_room(full, candidates[0])
        limited_by = floor_message(full, candidates[:size])
    return Wave((), 0)


def blocking(pools: Sequence[PoolView], nodes: Sequence[str]) -> PoolView | None:
    """The first pool that `nodes` may not leave together."""
    return next((pool for pool in pools if not pool.allows(nodes)), None)


def fitting(pools: Sequence[PoolView], nodes: Sequence[str]) -> list[str]:
    """As many of the nodes, in their order, as every pool can spare together."""
    found: list[str] = []
    for node in nodes:
        if blocking(pools, [*found, node]) is None:
            found.append(node)
    return found


def floor_message(pool: PoolView, nodes: Sequence[str]) -> str:
    """Why `nodes` can't leave together."""
    return (
        f"{pool.pool} on {pool.load_balancer} keeps {pool.left_without(nodes)} of {pool.configured} usable servers "
        f"without {', '.join(nodes)}, and min_online {pool.min_online} asks for {pool.floor}"
    )


def no_room(pool: PoolView, node: str) -> Refused:
    """The refusal when not even one node may leave."""
    possible = math.floor(100 * pool.left_without([node]) / pool.configured) if pool.configured else 0
    return Refused(
        floor_message(pool, [node]),
        where=f"{pool.service}: min_online",
        remedy=f"Bring servers back first, leave {node} out of a deployment ({advice.leaving_out(node)}), "
        f"or set min_online of {pool.service} to {possible}% or less",
    )
