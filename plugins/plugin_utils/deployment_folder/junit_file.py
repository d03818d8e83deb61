# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment's `junit.xml`: what its nodes' tests brought, in one file for Jenkins."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.folder_files import results_name
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.gate import Gate, Quarantined, Rules
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.junit_report import Suite, write_report
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results import chunks_of
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.saved import digest_of
from ansible_collections.tidegate.delivery.plugins.plugin_utils.deployment_folder.folder import DeploymentFolder

if TYPE_CHECKING:
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.record import Record

JUNIT = "junit.xml"


def keep_junit(record: Record, folder: DeploymentFolder) -> None:
    """Write it anew from the ledger and the folder's results; nothing when no node was tested.

    What the ledger says of a node's tests last counts. A results file that is not the recorded one is named there.
    """
    last = _last_of_each(record.events_of(Step.NUNIT))
    if last:
        suites = (_suite(service, node, event, record.plan, folder.path) for (service, node), event in last.items())
        folder.write_by(JUNIT, lambda file: write_report(file, record.deployment.id, suites))


def _last_of_each(events: list[Event]) -> dict[tuple[str, str], Event]:
    ended = [event for event in events if event.outcome is not Outcome.STARTED]
    return {(event.service, node): event for event in ended for node in event.nodes}


def _suite(service: str, node: str, event: Event, plan: Mapping[str, Any], folder: Path) -> Suite:
    path = folder / results_name(service, node, event.attempt)
    recorded = str(event.details.get("results_sha256") or "")
    found = digest_of(path)
    problem = ""
    if recorded and found != recorded:
        what = f"has the SHA-256 {found}" if found else "is not there or can't be read"
        problem = f"{path} {what}; the ledger has {recorded}. Somebody changed or removed it"
    return Suite(
        name=f"{service}.{node}",
        outcome=str(event.details.get("outcome") or event.outcome),
        sentence=str(event.details.get("msg") or ""),
        gate=Gate(Rules(quarantine=_quarantine(service, node, plan)), _day(event)),
        chunks=chunks_of(path) if recorded and found == recorded else None,
        sha256=recorded,
        problem=problem,
    )


def _quarantine(service: str, node: str, plan: Mapping[str, Any]) -> tuple[Quarantined, ...]:
    check = plan.get("nodes", {}).get(node, {}).get("checks", {}).get(service) or {}
    entries = (check.get("nunit") or {}).get("quarantine") or []
    return tuple(Quarantined(entry["test"], date.fromisoformat(entry["until"]), entry["reason"]) for entry in entries)


def _day(event: Event) -> date:
    """When it was tested: later the quarantine may be over."""
    with suppress(ValueError):
        return date.fromisoformat(event.at[:10])
    return datetime.now(UTC).date()
