# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.deployment_report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.folder_files import REPORT
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.hold import next_commands, why_held
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.record import Record
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.saved import save
from ansible_collections.tidegate.delivery.plugins.plugin_utils.deployment_folder.report_file import report_page
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.options import file_path

_LOOKED_THROUGH = 100


class ActionModule(DomainAction):
    """A deployment in the ledger → its report in a file."""

    def act(self, call: Call) -> dict[str, Any]:
        deployment = _deployment(call.ledger, str(call.args["of"]))
        record = Record.of(call, deployment.id)
        path = _path(record, call)
        page = report_page(record, deployment, call.redact, _ways_on(record, deployment))
        if not call.check:
            save(path, [page])
        table = [f"{deployment.kind} {deployment.id}, {deployment.state}: {path}"]
        return {"changed": not call.check, "deployment": deployment.id, "path": str(path), "table": table}


def _deployment(record: Record, of: str) -> Deployment:
    found = record.ledger.deployment(of)
    if found is not None and found.environment == record.environment:
        return found
    recent = record.ledger.deployments(of, record.environment, _LOOKED_THROUGH) if of.strip() else []
    if not recent:
        raise BadInput(
            f"there is no deployment {of!r} in environment {record.environment}, and none of a service of that name",
            where="of",
            remedy=f"{advice.history()} lists them",
        )
    return next((each for each in recent if each.kind is not Kind.HAND), recent[0])


def _path(record: Record, call: Call) -> Path:
    if call.args.get("dest"):
        return Path(file_path(str(call.args["dest"]), "dest"))
    if record.folder is None or not record.folder.path.is_dir():
        where = f"{record.folder} is not on this machine" if record.folder else "it has no folder"
        raise BadInput(where, where=record.deployment.id, remedy="Name a file: --output FILE, or the option dest")
    return record.folder.path / REPORT


def _ways_on(record: Record, deployment: Deployment) -> list[str]:
    """What leads on from where it is held, as it was told then."""
    if deployment.state is not State.HELD:
        return []
    held = [event for event in record.events_of(Step.HOLD) if event.attempt == deployment.attempt]
    nodes = held[-1].nodes if held else ()
    stopped = why_held(record.events, deployment.attempt).stopped
    return next_commands(deployment, nodes, stopped=stopped).splitlines()
