# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a Puppet run: what its report says happened, never parameters, diffs, old or new values."""

from __future__ import annotations

from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.report import Report
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.result import Result


def puppet_evidence(node: str, result: Result, msg: str) -> dict[str, Any]:
    """One run as a JSON object. `report` is null when the run left none of its own."""
    return {
        "node": node,
        "outcome": result.outcome.value,
        "msg": msg,
        "job_id": result.job_id,
        "adopted": result.adopted,
        "waited": result.waited,
        "reconnected": result.reconnected,
        "rebooted": result.rebooted,
        "reboot_pending": result.reboot_pending,
        "exit_code": result.exit_code,
        "duration_s": result.seconds,
        "report_on_node": result.report_path,
        "report": _told(result.report) if result.report else None,
    }


def _told(report: Report) -> dict[str, Any]:
    return {
        "status": report.status,
        "began": report.began,
        "environment": report.environment,
        "configuration_version": report.configuration_version,
        "puppet_version": report.puppet_version,
        "report_format": report.report_format,
        "cached_catalog_status": report.cached_catalog_status,
        "transaction_completed": report.transaction_completed,
        "noop": report.noop,
        "noop_pending": report.noop_pending,
        "times_s": {name: round(seconds, 3) for name, seconds in report.times.items()},
        "resources": dict(report.resources or {}),
        "changed": list(report.changed),
        "failed": [
            {"resource": each.resource, "place": each.place, "message": each.message, "restart": each.restart}
            for each in report.failed
        ],
    }
