# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning a thaw: what deployments left frozen that will not thaw it any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.by_hand import THAW, is_thaw
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.left_frozen import (
    Whose,
    frozen_table,
    to_thaw,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.freeze_look import find_frozen
from ansible_collections.tidegate.delivery.plugins.plugin_utils.mending import Decided, Mending, plan_mending
from ansible_collections.tidegate.delivery.plugins.plugin_utils.scene import Scene


def plan_thaw(call: Call) -> dict[str, Any]:
    """Plan it; unless in check mode, take the locks and open it, or go on with one that was cut off."""
    return plan_mending(call, Mending(THAW, is_thaw, _decide))


def _decide(scene: Scene, wanted: Sequence[str]) -> Decided:
    found = find_frozen(scene.call, [scene])
    # Whoever names a node that can't be asked would take silence for a thaw.
    mute = next((each for each in found if each.whose is Whose.SILENT and each.node in wanted), None)
    if mute is not None:
        raise Unreachable(f"nobody can tell whether it is frozen: {mute.why}", where=mute.node)
    thawed = to_thaw(found, wanted)
    nodes = tuple(each.node for each in thawed)
    left_alone = [each for each in found if each not in thawed]
    # By node, the deployment whose freeze ends there: no other one does.
    frozen = {each.node: each.deployment for each in thawed}
    wave = {"number": 1, "site": "", "nodes": list(nodes), "load_balancers": [], "pools": []}
    stays = [each.node for each in left_alone]
    return Decided(
        nodes=nodes,
        would=_sentence(scene, nodes, stays, would=True),
        does=_sentence(scene, nodes, stays, would=False),
        table=frozen_table(found),
        left_alone=[each.values() for each in left_alone],
        plan={"frozen": frozen},
        facts={"sizes": [len(nodes)], "waves": [wave], "frozen": frozen},
    )


def _sentence(scene: Scene, nodes: Sequence[str], stays: Sequence[str], *, would: bool) -> str:
    where = f"{scene.service.name} in {scene.environment}"
    stay = f"; left alone: {', '.join(stays)}" if stays else ""
    if not nodes:
        return f"{where}: nothing to thaw{stay}"
    verb = "would be thawed" if would else "is thawed" if len(nodes) == 1 else "are thawed"
    return f"{where}: {', '.join(nodes)} {verb}{stay}"
