# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking Nagios for downtimes of ours, and the ledger whose they are."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.left_open import (
    Judged,
    judge_downtime,
    open_downtimes_of,
    silent_server,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.server import State, ask
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.nagios_facts import nagios_host, nagios_server
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.nagios_server import nagios_of
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.scene import Scene


def find_downtimes(call: Call, scenes: Iterable[Scene]) -> list[Judged]:
    """Every downtime that a deployment of these services has open in the Nagios of its descriptor.

    A server that can't be asked is told once.
    """
    watched: dict[str, list[Scene]] = {}
    found: list[Judged] = []
    for scene in scenes:
        if scene.service.nagios is None:
            continue
        try:
            watched.setdefault(nagios_server(call, scene.service), []).append(scene)
        except DomainError as error:
            found.append(silent_server(scene.service.nagios.server, str(error)))
    if not watched:
        return found
    call.progress(f"asking {len(watched)} Nagios server{'s' if len(watched) > 1 else ''}")
    call.nodes(watched)
    answers = call.in_parallel(lambda server: _all_downtimes(call, server), list(watched))
    for server, state in answers.items():
        if isinstance(state, DomainError):
            found.append(silent_server(server, str(state)))
        else:
            found += [each for scene in watched[server] for each in _judged(scene, server, state)]
    return found


def _all_downtimes(call: Call, server: str) -> State:
    return ask(*nagios_of(call, server), [])


def _judged(scene: Scene, server: str, state: State) -> list[Judged]:
    hosts = {nagios_host(scene.call, node): node for node in scene.nodes}
    here = open_downtimes_of(state, scene.service.name, hosts)
    if not here:
        return []
    # Read after Nagios: whoever began a downtime before that is in the ledger by now.
    absent, ledger = scene.history.absent, scene.record.ledger
    return [judge_downtime(server, each, ledger.deployment(each.deployment), out=each.node in absent) for each in here]
