# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning a repair: what is out by our doing and came back, or left only half, leaves again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.placement import Placement
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.by_hand import REPAIR, is_repair
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.answer import (
    planned_by_hand,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import Plan, PlannedWave
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.waves import blocking, fitting, floor_message
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.drift import Drift, drift_table, to_repair
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.drift_look import drift_now
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.survey import pool_views, require_fit
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.watch import Answers
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.mending import Decided, Mending, plan_mending
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.plan_facts import (
    first_error,
    step_facts,
    wave_facts,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.scene import Scene


def plan_repair(call: Call) -> dict[str, Any]:
    """Plan it; unless in check mode, take the locks and open it, or go on with one that was cut off."""
    return plan_mending(call, Mending(REPAIR, is_repair, _decide))


def _decide(scene: Scene, wanted: Sequence[str]) -> Decided:
    found, answers = drift_now(scene)
    to_move = [node for node in to_repair(found) if not wanted or node in wanted]
    waves: list[PlannedWave] = []
    for placement in scene.placements:
        here = [node for node in placement.nodes if node in to_move]
        concerned = here or not wanted or set(wanted) & set(placement.nodes)
        if concerned:
            _require_room(scene, placement, here, _answered(placement, answers))
        if here:
            waves.append(PlannedWave(placement.site.name, placement.load_balancers, tuple(here), len(here)))
    nodes = tuple(node for wave in waves for node in wave.nodes)
    placements = {placement.site.name: placement for placement in scene.placements}
    return Decided(
        nodes=nodes,
        would=_sentence(scene, found, nodes, would=True),
        does=_sentence(scene, found, nodes, would=False),
        table=drift_table(found, silent=False),
        left_alone=[each.values() for each in found if each.node not in nodes],
        plan=_planned(waves),
        facts={
            **step_facts(scene.service),
            "sizes": [len(wave.nodes) for wave in waves],
            "waves": wave_facts(Plan((), tuple(waves)), placements),
        },
    )


def _answered(placement: Placement, answers: Answers) -> Mapping[str, Any]:
    """What all load balancers of the site answered. Raises the first one's error: nothing moves without all of them."""
    error = first_error(answers, placement.load_balancers)
    if error is not None:
        raise error
    return {host: answers[host] for host in placement.load_balancers if not isinstance(answers[host], DomainError)}


def _require_room(scene: Scene, placement: Placement, nodes: Sequence[str], states: Mapping[str, Any]) -> None:
    if not nodes:
        return
    require_fit(placement, states)
    pools = pool_views(placement, states)
    full = blocking(pools, nodes)
    if full is None:
        return
    fewer = fitting(pools, nodes)
    way = f", or take out only what may leave: {advice.repair(scene.service.name, *fewer)}" if fewer else ""
    raise Refused(
        floor_message(full, nodes), where=f"{full.service}: min_online", remedy=f"Bring servers back first{way}"
    )


def _planned(waves: Sequence[PlannedWave]) -> dict[str, Any]:
    """The waves and their nodes, a wave a site."""
    numbered = list(enumerate(waves, 1))
    return {
        "nodes": [planned_by_hand(node, wave.site, number) for number, wave in numbered for node in wave.nodes],
        "waves": [
            {
                "number": number,
                "site": wave.site,
                "nodes": list(wave.nodes),
                "load_balancers": list(wave.load_balancers),
            }
            for number, wave in numbered
        ],
    }


def _sentence(scene: Scene, found: Sequence[Drift], nodes: Sequence[str], *, would: bool) -> str:
    where = f"{scene.service.name} in {scene.environment}"
    if not nodes:
        others = sorted({drift.node for drift in found})
        return f"{where}: nothing to repair" + (f"; left alone: {', '.join(others)}" if others else "")
    verb = "would leave again" if would else "leaves again" if len(nodes) == 1 else "leave again"
    return f"{where}: {', '.join(nodes)} {verb}; nothing joins"
