# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a load balancer shows, as plain values for people and playbooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState, ServerRow
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.capacity import usable
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import classify


def described(state: LoadBalancerState, pools: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """One load balancer's state as plain values. Cells only for nodes that are in both backends of a pair."""
    backends: dict[str, dict[str, Any]] = {}
    for row in state.servers.values():
        backends.setdefault(row.backend, {})[row.name] = _server(state, row)
    for online, maintenance in pools:
        for name, server in backends.get(online, {}).items():
            other = state.servers.get((maintenance, name))
            # Whether a pool allows servers without checks is the descriptor's: customers reach them all the same.
            cell = classify(state.servers[online, name], other, unchecked=True) if other else None
            server["cell"] = cell.value if cell else None
    return {
        "version": state.version,
        "pid": state.pid,
        "uptime": state.uptime,
        "failed_reloads": state.failed_reloads,
        "old_workers": [{"pid": worker.pid, "answers": worker.sessions is not None} for worker in state.old_workers],
        "missing_backends": sorted(state.missing_backends),
        "backends": backends,
    }


def _server(state: LoadBalancerState, row: ServerRow) -> dict[str, Any]:
    return {
        "status": row.status,
        "admin": row.admin.names,
        "op": row.op,
        "weight": row.weight,
        "sessions": state.sessions(row.key),
        "queue": row.queued,
        "checked": row.checked,
        "usable": usable(row),
        "address": row.address,
        "cell": None,
    }
