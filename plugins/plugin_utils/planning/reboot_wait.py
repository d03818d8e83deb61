# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting, before anything is planned, for nodes that a dead attempt of the same deployment was rebooting."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import datetime

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import service_lock
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.reboots import BegunReboot, begun_reboots
from ansible_collections.tidegate.delivery.plugins.module_utils.node.boot import Boot
from ansible_collections.tidegate.delivery.plugins.module_utils.node.reboot import Waited, wait_out
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.record import Record
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.scene import Scene


def await_reboots(scene: Scene, excluded: Collection[str]) -> None:
    """Wait until nodes whose reboot the open deployment began, and saw no end of, are back; those that are left out
    are not waited for.

    Puppet would else begin in a boot that is about to end. Whatever comes of it, the plan looks at the nodes after it.
    A deployment whose controller may still run is not waited for: taking its lock is refused.
    """
    begun = _begun(scene, excluded)
    if not begun:
        return
    call = scene.call
    nodes = call.nodes(begun)
    deadline_s = scene.service.deploy.reboot_timeout

    def wait(name: str) -> Waited:
        def tell(text: str) -> None:
            call.progress(f"{name}: {text}")

        return wait_out(nodes[name], Boot(begun[name].boot_before), _ago(begun[name]), deadline_s, tell, call.stopping)

    for name, waited in call.in_parallel(wait, list(begun)).items():
        if isinstance(waited, DomainError):
            raise waited
        call.progress(f"{name}, which an earlier attempt was rebooting: {waited}")


def _begun(scene: Scene, excluded: Collection[str]) -> dict[str, BegunReboot]:
    under_way = scene.under_way
    if under_way is None or service_lock(scene.environment, scene.service.name) in scene.record.live_locks():
        return {}
    events = Record.of(scene.call, under_way.id).events_of(Step.REBOOT)
    here = set(scene.nodes) - set(excluded)
    return {name: reboot for name, reboot in begun_reboots(events).items() if name in here}


def _ago(reboot: BegunReboot) -> float:
    return max(0.0, time.time() - datetime.fromisoformat(reboot.at).timestamp())
