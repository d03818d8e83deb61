# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment's summary: told in results, and kept in its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.tidegate.delivery.plugins.module_utils.summary import summarise, summary_text

if TYPE_CHECKING:
    from ansible_collections.tidegate.delivery.plugins.module_utils.ledger import Deployment
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.record import Record


def keep_summary(
    record: Record, deployment: Deployment, redact: Callable[[Any], Any], ways_on: Sequence[str] = ()
) -> dict[str, Any]:
    """Write `summary.json` and `summary.txt` anew; what a result tells of them. `deployment`: as it is by now."""
    summary = redact(summarise(deployment, record.events, record.plan, ways_on))
    if record.folder is not None:
        record.folder.write_json("summary.json", summary)
        record.folder.write("summary.txt", summary_text(summary).encode(errors="replace"))
    return {"summary": summary, "folder": str(record.folder or "")}
