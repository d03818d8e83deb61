# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entries of a service's quarantine are over or end soon, for those who plan and validate."""

from __future__ import annotations

from datetime import date

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Service
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.values import counted

SOON_DAYS = 14


def ending(service: Service, today: date) -> list[str]:
    """A line for each entry whose day is over or at most 14 days away, the first to end first."""
    entries = service.verify.nunit.quarantine if service.verify.nunit else []
    told = []
    for entry in sorted(entries, key=lambda entry: entry.until):
        left = (entry.until - today).days
        if left < 0:
            state = f"is over since {entry.until}: the test counts again"
        elif left <= SOON_DAYS:
            state = f"ends {'today' if left == 0 else 'in ' + counted(left, 'day')}, on {entry.until}"
        else:
            continue
        told.append(f"{service.name}: quarantine of {excerpt(entry.test, 150)} {state} ({excerpt(entry.reason, 100)})")
    return told
