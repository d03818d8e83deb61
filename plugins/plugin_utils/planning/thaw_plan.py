# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning a thaw: what deployments left frozen, or in downtime in Nagios, and will not end any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.by_hand import THAW, is_thaw
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.left import Whose
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.left_open import (
    Judged,
    OpenDowntime,
    downtime_table,
    to_end,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.left_frozen import (
    Frozen,
    frozen_table,
    to_thaw,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.left_open import (
    LeftOpen,
    open_table,
    opened_by_us,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.downtime_look import find_downtimes
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.freeze_look import find_frozen
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.open_look import find_open
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.mending import Decided, Mending, plan_mending
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.scene import Scene


def plan_thaw(call: Call) -> dict[str, Any]:
    """Plan it; unless in check mode, take the locks and open it, or go on with one that was cut off."""
    return plan_mending(call, Mending(THAW, is_thaw, _decide))


def _decide(scene: Scene, wanted: Sequence[str]) -> Decided:
    found, downtimes = find_frozen(scene.call, [scene]), find_downtimes(scene.call, [scene])
    # Whoever names a node that can't be asked would take silence for a thaw.
    mute = next((each for each in found if each.whose is Whose.SILENT and each.node in wanted), None)
    if mute is not None:
        raise Unreachable(f"nobody can tell whether it is frozen: {mute.why}", where=mute.node)
    opened = _opened(scene, to_thaw(found, wanted))
    thawed, ended = to_thaw(found, wanted, opened_by_us(opened)), to_end(downtimes, wanted)
    nodes = _once([*(each.node for each in thawed), *(each.node for each in ended)])
    left_alone = [each for each in found if each not in thawed]
    stay = [each for each in downtimes if each.downtime not in ended]
    # By node, the deployment whose freeze ends there: no other one does. The same of downtimes.
    frozen = {each.node: each.deployment for each in thawed}
    wave = {"number": 1, "site": "", "nodes": list(nodes), "load_balancers": [], "pools": []}
    stays = _once([*(each.node for each in left_alone), *(each.node or f"Nagios on {each.server}" for each in stay)])
    told = _told([each.node for each in thawed], _once([each.node for each in ended]))
    return Decided(
        nodes=nodes,
        would=_sentence(scene, told, stays, would=True),
        does=_sentence(scene, told, stays, would=False),
        table=[*frozen_table(found), *open_table(opened), *downtime_table(downtimes)],
        left_alone=[*(each.values() for each in left_alone), *(each.values() for each in stay)],
        plan={"frozen": frozen, "downtimes": _left_of(ended)},
        facts={
            "sizes": [len(nodes)],
            "waves": [wave],
            "frozen": frozen,
            "downtimes": list(_left_of(ended)),
            "nagios": _nagios(downtimes, ended),
        },
    )


def _opened(scene: Scene, thawed: Sequence[Frozen]) -> list[LeftOpen]:
    """Where Puppet may change a service on these nodes, theirs or one beside it.

    Raises Unreachable when a place of pins doesn't say: a node must not be thawed before it is known.
    """
    nodes = {each.node for each in thawed}
    on_them = [here for placement in scene.placements for node, here in placement.services.items() if node in nodes]
    names = dict.fromkeys(service.name for here in on_them for service in here)
    scenes = [Scene(scene.call, name, scene.catalog) for name in names]
    found = find_open(scene.call, scenes)
    # Of nodes that have their pins themselves, only these count.
    others = {node for each in scenes for node in each.nodes} - nodes
    mute = next((each for each in found if each.whose is Whose.SILENT and each.where not in others), None)
    if mute is not None:
        raise Unreachable(
            f"nobody can tell whether Puppet may change {mute.service} on the frozen nodes: {mute.why}",
            where=mute.where,
            remedy="Bring it back, then run the same again: what Puppet may change there must not be thawed",
        )
    return [each for each in found if each.node in nodes]


def _nagios(downtimes: Sequence[Judged], ended: Sequence[OpenDowntime]) -> dict[str, Any] | None:
    """What the downtimes' action takes of the plan: one service has one Nagios."""
    if not ended:
        return None
    left = _left_of(ended)
    hosts = {each.node: each.host for each in ended}
    nodes = {node: {"host": hosts[node], "left": deployments} for node, deployments in left.items()}
    return {"server": downtimes[0].server, "nodes": nodes}


def _left_of(ended: Sequence[OpenDowntime]) -> dict[str, list[str]]:
    """By node, the deployments whose downtimes end."""
    left: dict[str, list[str]] = {}
    for each in ended:
        left.setdefault(each.node, []).append(each.deployment)
    return left


def _once(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _told(thawed: Sequence[str], ended: Sequence[str]) -> dict[str, Sequence[str]]:
    """By what happens to them, the nodes to which it does."""
    return {verb: nodes for verb, nodes in (("thawed", thawed), ("taken out of downtime", ended)) if nodes}


def _sentence(scene: Scene, told: Mapping[str, Sequence[str]], stays: Sequence[str], *, would: bool) -> str:
    where = f"{scene.service.name} in {scene.environment}"
    stay = f"; left alone: {', '.join(stays)}" if stays else ""
    if not told:
        return f"{where}: nothing to thaw{stay}"
    parts = [
        f"{', '.join(nodes)} {'would be' if would else 'is' if len(nodes) == 1 else 'are'} {verb}"
        for verb, nodes in told.items()
    ]
    return f"{where}: {'; '.join(parts)}{stay}"
