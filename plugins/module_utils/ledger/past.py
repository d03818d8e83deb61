# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Past deployments and their events, as programs and as people read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.columns import columns
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Entry, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import with_configuration
from ansible_collections.tidegate.delivery.plugins.module_utils.values import format_duration

# What the last word on a deployment is in.
LAST_WORDS = (Step.HOLD, Step.CLOSE, Step.POOL)
_DEPLOYMENTS = ("deployment", "kind", "from", "to", "state", "attempt", "opened", "took", "by", "last word")
_EVENTS = ("at", "attempt", "wave", "step", "outcome", "took", "nodes", "by", "message")
_LONGEST_WORD = 120
_MOST_NODES = 6


def described(deployment: Deployment, last_words: Iterable[Event]) -> dict[str, Any]:
    """One deployment as plain values; `last_words` are its events of the steps LAST_WORDS, oldest first."""
    said = [event for event in last_words if event.attempt == deployment.attempt]
    return {
        "id": deployment.id,
        "service": deployment.service,
        "environment": deployment.environment,
        "kind": str(deployment.kind),
        "version": deployment.version,
        "digest": deployment.digest,
        "revision": deployment.revision,
        "previous_version": deployment.previous_version,
        "previous_revision": deployment.previous_revision,
        "state": str(deployment.state),
        "attempt": deployment.attempt,
        "nodes": list(deployment.nodes),
        "services": list(deployment.services),
        "opened_at": deployment.opened_at,
        "opened_by": deployment.opened_by,
        "closed_at": deployment.closed_at,
        "closed_by": said[-1].by if said and deployment.closed_at else "",
        "took_s": _seconds(deployment.opened_at, deployment.closed_at),
        "message": _message(said[-1]) if said and deployment.state is not State.OPEN else "",
        "folder": _folder(deployment.plan),
    }


def history_table(deployments: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line a deployment, below a line that names the columns."""
    return (
        columns([_DEPLOYMENTS, *(_row(each) for each in deployments)]) if deployments else ["no deployment on record"]
    )


def event_values(entry: Entry) -> dict[str, Any]:
    """One event as plain values, with its place in the chain."""
    event = entry.event
    values = asdict(event) | {"step": str(event.step), "outcome": str(event.outcome), "nodes": list(event.nodes)}
    return {"seq": entry.seq, "hash": entry.hash, **values, "details": dict(event.details)}


def events_table(entries: Sequence[Entry]) -> list[str]:
    """A line an event, below a line that names the columns."""
    return columns([_EVENTS, *(_event_row(entry.event) for entry in entries)], "  ")


def _row(deployment: Mapping[str, Any]) -> tuple[str, ...]:
    by_hand = deployment["kind"] == Kind.HAND
    before = with_configuration(deployment["previous_version"] or "?", deployment["previous_revision"])
    release = with_configuration(deployment["version"], deployment["revision"])
    took = deployment["took_s"]
    return (
        deployment["id"],
        deployment["kind"],
        "" if by_hand else before,
        ", ".join(deployment["nodes"]) if by_hand else release,
        deployment["state"],
        str(deployment["attempt"]),
        _to_the_second(deployment["opened_at"]),
        "" if took is None else format_duration(took),
        deployment["opened_by"],
        _short(deployment["message"]),
    )


def _event_row(event: Event) -> tuple[str, ...]:
    return (
        _to_the_second(event.at),
        str(event.attempt),
        "" if event.wave is None else str(event.wave),
        str(event.step),
        str(event.outcome),
        "" if event.duration_ms is None else format_duration(event.duration_ms / 1000),
        _named(event.nodes),
        event.by,
        _short(_message(event)),
    )


def _named(nodes: Sequence[str]) -> str:
    more = f" +{len(nodes) - _MOST_NODES}" if len(nodes) > _MOST_NODES else ""
    return ", ".join(nodes[:_MOST_NODES]) + more


def _message(event: Event) -> str:
    return str(event.details.get("cause") or event.details.get("msg") or "")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_WORD else f"{line[: _LONGEST_WORD - 1]}…"


def _to_the_second(at: str) -> str:
    """`2026-01-31T14:25:01.123Z` without the milliseconds."""
    return f"{at.partition('.')[0]}Z" if "." in at else at


def _seconds(opened_at: str, closed_at: str) -> float | None:
    if not opened_at or not closed_at:
        return None
    return round((datetime.fromisoformat(closed_at) - datetime.fromisoformat(opened_at)).total_seconds(), 3)


def _folder(plan: str) -> str:
    """Where its plan says that its folder is; empty for one that had none."""
    try:
        return str(json.loads(plan).get("folder") or "")
    except (ValueError, AttributeError, RecursionError):
        return ""
