# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.deployment_info."""

from __future__ import annotations

from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.past import (
    LAST_WORDS,
    described,
    event_values,
    events_table,
    history_table,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.record import Record

_MOST = 1000


class ActionModule(DomainAction):
    """The ledger's deployments, the newest first; one of them with its events."""

    def act(self, call: Call) -> dict[str, Any]:
        if call.args.get("id"):
            return _one(call.ledger, str(call.args["id"]))
        found = call.ledger.ledger.deployments(_service(call), call.ledger.environment, _limit(call))
        deployments = [_described(call.ledger, each) for each in found]
        told = {"ledger": str(call.hostvar(call.host, "tidegate_ledger")), "environment": call.ledger.environment}
        return {"changed": False, **told, "deployments": deployments, "table": history_table(deployments)}


def _one(record: Record, id_: str) -> dict[str, Any]:
    found = record.ledger.deployment(id_)
    if found is None or found.environment != record.environment:
        raise BadInput(
            f"there is no deployment {id_!r} in environment {record.environment}",
            where="id",
            remedy=f"{advice.history()} lists them",
        )
    told, entries = _described(record, found), list(record.ledger.entries(record.environment, deployment=id_))
    return {
        "changed": False,
        "deployments": [told],
        "events": [event_values(entry) for entry in entries],
        "table": [
            *history_table([told]),
            *([f"folder: {told['folder']}"] if told["folder"] else []),
            *events_table(entries),
        ],
    }


def _described(record: Record, deployment: Deployment) -> dict[str, Any]:
    entries = record.ledger.entries_of(record.environment, deployment.id, LAST_WORDS)
    return described(deployment, [entry.event for entry in entries])


def _service(call: Call) -> str:
    return str(call.args.get("service") or "")


def _limit(call: Call) -> int:
    limit = int(call.args["limit"])
    if not 1 <= limit <= _MOST:
        raise BadInput(f"limit is {limit}", where="limit", remedy=f"Give a number from 1 to {_MOST}")
    return limit
