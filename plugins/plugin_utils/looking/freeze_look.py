# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking nodes whether Puppet is disabled there, and the ledger whose freeze it is."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.left_frozen import Frozen, judge_freeze, silent
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.survey import read_freeze
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.scene import Scene


def find_frozen(call: Call, scenes: Iterable[Scene]) -> list[Frozen]:
    """Every node of these services on which Puppet is disabled, or that can't be asked, each once."""
    services: dict[str, list[str]] = {}
    for scene in scenes:
        for node in scene.nodes:
            services.setdefault(node, []).append(scene.service.name)
    call.progress(f"asking {len(services)} nodes")
    call.nodes(services)
    freezes = call.in_parallel(lambda node: read_freeze(call, node), list(services))
    found: list[Frozen] = []
    for node, freeze in freezes.items():
        if isinstance(freeze, DomainError):
            found.append(silent(node, services[node], str(freeze)))
        elif freeze is not None:
            # Read after the node: a deployment that has ended since has thawed what was seen.
            known = call.ledger.ledger.deployment(freeze.deployment) if freeze.ours else None
            found.append(judge_freeze(node, services[node], freeze, known))
    return found
