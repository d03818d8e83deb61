# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a task's result: chosen fields, and no text that a task made."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import stamp
from ansible_collections.tidegate.delivery.plugins.module_utils.redaction import Redactor

_COLLECTION = "tidegate.delivery."
_OWN = Path(__file__).resolve().parents[3]
_LONGEST = 500
# Somebody's password may stand in a name that somebody wrote: users in URLs are taken out of it.
_CLEAN = Redactor([])


@dataclass(frozen=True, slots=True)
class Started:
    """When a task began on a host, by both clocks."""

    at: float
    monotonic: float

    @classmethod
    def now(cls) -> Started:
        """Now."""
        return cls(time.time(), time.monotonic())


def told(result: Any, status: str, started: Started, *, ignored: bool) -> dict[str, Any] | None:  # noqa: ANN401
    """The fields, and `time` in seconds since 1970; None for Tidegate's own tasks, which are events of the ledger."""
    task = result.task
    action, path = str(task.resolved_action or task.action), str(task.get_path() or "")
    if action.startswith(_COLLECTION) or _is_own(path):
        return None
    values = result.result
    fields: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "time": time.time(),
        "start": stamp(datetime.fromtimestamp(started.at, UTC)),
        "duration_ms": max(0, round(1000 * (time.monotonic() - started.monotonic))),
        "status": status,
        "host": str(result.host.get_name()),
        "task": written_name(task),
        "task_path": _text(path),
        "action": action,
    }
    if isinstance(values.get("rc"), int) and not isinstance(values.get("rc"), bool):
        fields["rc"] = int(values["rc"])
    if isinstance(values.get("results"), list):
        fields["items"] = len(values["results"])
    if ignored:
        fields["ignored"] = True
    return fields


def written_name(play_or_task: Any) -> str:  # noqa: ANN401
    """Its name as the playbook has it, before its templates: what those make may be anything."""
    written = play_or_task.get_ds()
    return _text(written.get("name")) if isinstance(written, Mapping) else ""


def _is_own(path: str) -> bool:
    file = Path(path.rpartition(":")[0]).resolve()
    return bool(path) and any(file.is_relative_to(_OWN / folder) for folder in ("roles", "playbooks"))


def _text(value: object) -> str:
    return _CLEAN.text(str(value or ""))[:_LONGEST]
