# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as people read it."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.tidegate.delivery.plugins.module_utils.columns import columns
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import (
    Fate,
    NodePlan,
    Plan,
    PlannedWave,
    SiteView,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.waves import PoolView
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import short
from ansible_collections.tidegate.delivery.plugins.module_utils.values import counted


def summary(service: str, release: str, environment: str, plan: Plan) -> str:
    """`tradeapi 1.1.0 to lab: 6 nodes in 4 waves (1, 1, 2, 2)`, and what stays as it is."""
    moving, done, skipped = (len(plan.of(fate)) for fate in (Fate.MOVE, Fate.DONE, Fate.SKIP))
    sizes = ", ".join(str(len(wave.nodes)) for wave in plan.waves)
    what = f"{counted(moving, 'node')} in {counted(len(plan.waves), 'wave')} ({sizes})" if moving else "nothing to do"
    rest = [f"{done} done already" if done else "", f"{skipped} skipped" if skipped else ""]
    return f"{service} {release} to {environment}: " + ", ".join([what, *filter(None, rest)])


def configuration_lines(deployment: Deployment, no_revision: str) -> list[str]:
    """Which configuration comes with the release, or why nobody can tell. A rollback brings none back."""
    if no_revision:
        return [f"configuration: no part of the release, {no_revision}"]
    new, old = short(deployment.revision), short(deployment.previous_revision)
    if deployment.kind is Kind.ROLLBACK:
        undone = f"; {old} was deployed with {deployment.previous_version}" if old and old != new else ""
        stays = f" Deployed with {deployment.previous_version}, it stays" if old and old == new else ""
        return [f"configuration: {new or '?'}, what the compile servers serve{undone}.{stays}".removesuffix(".")]
    before = f"; before {old}" if old and old != new else ""
    return [f"configuration: {new}{before}"] if new else []


def plan_table(plan: Plan, sites: Sequence[SiteView]) -> list[str]:
    """A line a node, a line a wave, a line a pool; columns as wide as what stands in them."""
    standing = {node.name: str(node.standing) for site in sites for node in site.nodes}
    waves = {name: number for number, wave in enumerate(plan.waves, 1) for name in wave.nodes}
    return [
        *columns([_node_row(node, standing[node.name], waves.get(node.name)) for node in plan.nodes]),
        *(_wave_line(number, wave) for number, wave in enumerate(plan.waves, 1)),
        *columns([_pool_row(pool) for pool in plan.capacity]),
    ]


def _node_row(node: NodePlan, standing: str, wave: int | None) -> tuple[str, ...]:
    fate = {Fate.MOVE: f"wave {wave}", Fate.DONE: "done", Fate.SKIP: "skipped"}[node.fate]
    way = f"{node.version_from} -> {node.version_to}"
    return node.name, standing, way, f"{fate}{': ' + node.why if node.why else ''}"


def _wave_line(number: int, wave: PlannedWave) -> str:
    limit = f"; {wave.asked} asked for, but {wave.limited_by}" if wave.limited_by else ""
    return f"wave {number} ({wave.site}): {', '.join(wave.nodes)}{limit}"


def _pool_row(pool: PoolView) -> tuple[str, ...]:
    usable = f"{len(pool.usable)} of {pool.configured} usable"
    return pool.pool, f"on {pool.load_balancer}", usable, f"at least {pool.floor} stay (min_online {pool.min_online})"
