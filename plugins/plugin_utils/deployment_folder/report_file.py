# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment's `report.html`: all of it in one page, made from the ledger and the folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ansible.utils.display import Display

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.folder_files import REPORT

if TYPE_CHECKING:
    from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.record import Record


def keep_report(
    record: Record, deployment: Deployment, redact: Callable[[Any], Any], ways_on: Sequence[str] = ()
) -> None:
    """Write it into the deployment's folder. What goes wrong is a warning: no deployment ends by its report."""
    if record.folder is None:
        return
    try:
        page = report_page(record, deployment, redact, ways_on)
    except Exception as error:  # noqa: BLE001 (whatever it is, the wave and its locks come first)
        told = f"{type(error).__name__}: {error}"
        Display().warning(f"{record.folder.path / REPORT} can't be made ({told}). The deployment goes on without it")
        return
    record.folder.write(REPORT, page)


def report_page(
    record: Record, deployment: Deployment, redact: Callable[[Any], Any], ways_on: Sequence[str] = ()
) -> bytes:
    """The page as it is by now. `ways_on`: the commands that lead on, as people are told them."""
    # Here, since no other task needs it: it would cost each of them the time to read it.
    from tidegate.report import render, report_of

    folder = record.folder.path if record.folder is not None else None
    entries = list(record.ledger.entries(record.environment, deployment=deployment.id))
    report = report_of(deployment, entries, record.plan, folder, ways_on=ways_on, clean=lambda text: str(redact(text)))
    return render(report).encode(errors="replace")
