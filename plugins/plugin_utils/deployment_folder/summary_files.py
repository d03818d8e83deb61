# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment's summary: told in results, and kept in its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.summary import summarise, summary_text
from ansible_collections.tidegate.delivery.plugins.plugin_utils.deployment_folder.junit_file import keep_junit
from ansible_collections.tidegate.delivery.plugins.plugin_utils.deployment_folder.report_file import keep_report

if TYPE_CHECKING:
    from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.record import Record

_SUMMARY = "summary.json"


def keep_summary(
    record: Record, deployment: Deployment, redact: Callable[[Any], Any], ways_on: Sequence[str] = ()
) -> dict[str, Any]:
    """Write `junit.xml`, the report and the summary's files anew; what a result tells of them.

    `deployment`: as it is by now.
    """
    summary = redact(summarise(deployment, record.events, record.plan, ways_on))
    if record.folder is not None:
        keep_junit(record, record.folder)
        keep_report(record, deployment, redact, ways_on)
        record.folder.write("summary.txt", summary_text(summary).encode(errors="replace"))
        # Last: that it tells the end means that all before it is there.
        record.folder.write_json(_SUMMARY, summary)
    return {"summary": summary, "folder": str(record.folder or "")}


def complete(record: Record, redact: Callable[[Any], Any]) -> None:
    """Write what a run that was killed right after its deployment's end left out: the last events, the summary."""
    folder, ended_at = record.folder, record.deployment.closed_at
    if folder is None or not folder.path.is_dir():
        return
    told = folder.read_json(_SUMMARY)
    if not isinstance(told, dict) or told.get("ended_at") != ended_at:
        record.copy_events()
        keep_summary(record, record.deployment, redact)
