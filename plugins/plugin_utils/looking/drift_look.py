# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What drift is judged by: the load balancers' answers, the ledger, and who moves nodes meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.placement import Placement
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import node_lock
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import Served
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.drift import Drift, Known, find_drift
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.places import ONLINE, place_of
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.survey import read_served
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.watch import (
    Answers,
    ask_load_balancers,
    pools_seen,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.scene import Scene

_MOVES = (Step.LEAVE, Step.JOIN, Step.REPAIR)


class Movers:
    """Who moves nodes while we look: a place that was read before a move and a ledger read after it don't fit."""

    def __init__(self, call: Call) -> None:
        """Made before the load balancers are asked."""
        self._record = call.ledger
        self._head = self._record.ledger.head(self._record.environment)[0]
        self._locked = self._record.live_locks()

    def moving(self, nodes: Iterable[str]) -> frozenset[str]:
        """Those of the nodes that were moved since, or are being moved. Called after the ledger was read for them."""
        environment = self._record.environment
        locked = self._locked | self._record.live_locks()
        entries = self._record.ledger.entries(environment, since=self._head)
        moved = {node for entry in entries if entry.event.step in _MOVES for node in entry.event.nodes}
        return frozenset(node for node in nodes if node in moved or node_lock(environment, node) in locked)


def find_all_drift(
    call: Call, scenes: Iterable[Scene], answers: Answers, movers: Movers
) -> tuple[list[Drift], frozenset[str]]:
    """Every drift of all services, and the nodes that were not judged since somebody moves them."""
    found: list[Drift] = []
    moving: frozenset[str] = frozenset()
    for scene in scenes:
        # Read before who moves is asked once more: a move in between is seen there.
        _ = scene.history
        known = known_of(call, scene, movers.moving(scene.nodes), answers)
        moving |= known.moving
        found += drift_of(scene, answers, known)
    return found, moving


def drift_now(scene: Scene) -> tuple[list[Drift], Answers]:
    """Every drift of one service, and what its load balancers answered."""
    movers = Movers(scene.call)
    answers = ask_load_balancers(scene.call, scene.placements)
    return find_all_drift(scene.call, [scene], answers, movers)[0], answers


def drift_of(scene: Scene, answers: Answers, known: Known) -> list[Drift]:
    """Every drift of one service."""
    return [
        drift
        for placement in scene.placements
        for pool in pools_seen(scene, placement)
        for drift in find_drift(pool, {host: answers[host] for host in placement.load_balancers}, known)
    ]


def known_of(call: Call, scene: Scene, moving: frozenset[str], answers: Answers) -> Known:
    """What the ledger says of a service's nodes; while a deployment is open, what those that are online serve."""
    history, under_way, last = scene.history, scene.under_way, scene.last_done
    return Known(
        now=datetime.now(UTC),
        absent=history.absent,
        moving=moving,
        named=history.named,
        unproven=_unproven(call, scene, under_way, answers) if under_way else {},
        last=last.version if last else "",
        open=under_way is not None,
    )


def _unproven(call: Call, scene: Scene, under_way: Deployment, answers: Answers) -> dict[str, str]:
    """By online node that serves the open deployment's release without having joined with it, that release."""
    target, joined = Served(under_way.version, under_way.digest), scene.history.joined
    asked = [
        node
        for placement in scene.placements
        for node in placement.nodes
        if not (node in joined and joined[node].same_as(target)) and _online(scene, placement, node, answers)
    ]

    def read(node: str) -> Served:
        return read_served(call, scene.service, node)[0]

    told = call.in_parallel(read, asked)
    served = {node: each for node, each in told.items() if isinstance(each, Served)}
    return {node: each.version for node, each in served.items() if each.same_as(target)}


def _online(scene: Scene, placement: Placement, node: str, answers: Answers) -> bool:
    return any(
        place_of(answers[host], pool.online, pool.maintenance, node, unchecked=pool.unchecked) == ONLINE
        for pool in pools_seen(scene, placement)
        for host in placement.load_balancers
    )
