# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment in one page: how it ended, where every node is, what each wave took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.hold import why_held
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.timings import timings
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import with_configuration

_OF_THE_WAVE = ("drain", "puppet", "reboot", "tests", "warmup", "observation")
_WAITED = {
    "freeze": "Puppet's agent off and on again",
    "health": "until healthy",
    "join": "until HAProxy's checks passed",
}


def summarise(
    deployment: Deployment, events: Sequence[Event], plan: Mapping[str, Any], ways_on: Sequence[str] = ()
) -> dict[str, Any]:
    """The summary as plain values, as results and summary.json have it.

    `plan`: that of the last attempt. `ways_on`: the commands that lead on from here, as people are told them.
    """
    hold = _hold(events, deployment)
    return {
        "deployment": deployment.id,
        "service": deployment.service,
        "environment": deployment.environment,
        "kind": str(deployment.kind),
        "version": deployment.version,
        "digest": deployment.digest,
        "revision": deployment.revision,
        "previous_version": deployment.previous_version,
        "previous_revision": deployment.previous_revision,
        "attempt": deployment.attempt,
        "outcome": _outcome(deployment, events),
        "cause": str(hold.details.get("cause", "")) if hold else "",
        "next": _next(deployment, events, ways_on),
        "opened_at": deployment.opened_at,
        "opened_by": deployment.opened_by,
        "ended_at": deployment.closed_at or (hold.at if hold else ""),
        "nodes": _nodes(deployment, events, plan, hold),
        "waves": [wave.as_dict() for wave in timings(events)],
    }


def _hold(events: Sequence[Event], deployment: Deployment) -> Event | None:
    """Where it was held last, unless it went on from there."""
    ended = deployment.state not in (State.HELD, State.SUPERSEDED)
    holds = [event for event in events if event.step is Step.HOLD and event.attempt == deployment.attempt]
    return None if ended or not holds else holds[-1]


def _next(deployment: Deployment, events: Sequence[Event], ways_on: Sequence[str]) -> list[str]:
    if deployment.state is State.HELD:
        return list(ways_on)
    closing = [event for event in events if event.step is Step.CLOSE]
    return [str(closing[-1].details.get("msg", ""))] if closing and deployment.state is State.SUPERSEDED else []


def _outcome(deployment: Deployment, events: Sequence[Event]) -> str:
    if deployment.state is State.DONE and deployment.kind is Kind.ROLLBACK:
        return "rolled_back"
    if deployment.state is State.HELD and why_held(events, deployment.attempt).stopped:
        return "stopped"
    return str(deployment.state)


def _nodes(
    deployment: Deployment, events: Sequence[Event], plan: Mapping[str, Any], hold: Event | None
) -> list[dict[str, Any]]:
    joined = {node: event for event in events if _joined(event) for node in event.nodes}
    before, skipped = plan.get("releases") or {}, plan.get("skipped") or {}
    waves = {node: int(wave["number"]) for wave in plan.get("waves") or [] for node in wave["nodes"]}
    held = set(hold.nodes) if hold else set()
    return [
        {
            "name": node,
            "from": str(before.get(node, "")),
            "to": str(joined[node].details.get("version", "")) if node in joined else "",
            "revision": str(joined[node].details.get("revision", "")) if node in joined else "",
            "wave": waves.get(node),
            "state": _state(node, joined, held, skipped, waves),
            "why": str(skipped.get(node, "")),
        }
        for node in deployment.nodes
    ]


def _joined(event: Event) -> bool:
    return event.step is Step.WAVE and event.details.get("outcome") == "joined"


def _state(
    node: str, joined: Mapping[str, Event], held: set[str], skipped: Mapping[str, Any], waves: Mapping[str, int]
) -> str:
    if node in held:
        return "held"
    if node in joined:
        return "joined"
    if node in skipped:
        return "skipped"
    return "waiting" if node in waves else "unmoved"


def summary_text(summary: Mapping[str, Any]) -> str:
    """The same for people."""
    return "\n".join([*_head(summary), *_node_lines(summary["nodes"]), *_wave_lines(summary["waves"])]) + "\n"


def _head(summary: Mapping[str, Any]) -> list[str]:
    attempts = f", attempt {summary['attempt']}" if summary["attempt"] > 1 else ""
    release = with_configuration(summary["version"], summary["revision"])
    lines = [
        f"{summary['service']} {release} in {summary['environment']}: {summary['outcome']}{attempts}",
        f"{summary['kind']} {summary['deployment']}",
        f"opened {summary['opened_at']} by {summary['opened_by']}, ended {summary['ended_at'] or '-'}",
    ]
    if summary["cause"]:
        lines += ["", f"Why: {summary['cause']}"]
    return [*lines, *summary["next"], ""]


def _node_lines(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    if not nodes:
        return []
    wide = max(len(node["name"]) for node in nodes)
    return [*(_node_line(node, wide) for node in nodes), ""]


def _node_line(node: Mapping[str, Any], wide: int) -> str:
    release = f"{node['from'] or '?'} -> {node['to']}" if node["to"] else node["from"] or "?"
    wave = f"wave {node['wave']}" if node["wave"] else ""
    told = "  ".join(filter(None, (f"{release:<24}", f"{node['state']:<8}", wave, node["why"])))
    return f"  {node['name']:<{wide}}  {told}".rstrip()


def _wave_lines(waves: Sequence[Mapping[str, Any]]) -> list[str]:
    if not waves:
        return []
    shown = [name for name in _OF_THE_WAVE if any(f"{name}_s" in wave for wave in waves)]
    columns = ["wall", *shown, "tidegate"]
    head = f"  {'seconds':<22}" + "".join(f"{name:>12}" for name in columns)
    lines = [line for wave in waves for line in _wave_line(wave, shown)]
    note = "Steps by their own clocks, of several nodes the slowest; tidegate is the rest of the wall time."
    return [head, *lines, f"  {note}"]


def _wave_line(wave: Mapping[str, Any], shown: Sequence[str]) -> list[str]:
    title = f"wave {wave['wave']}" + (f" of attempt {wave['attempt']}" if wave["attempt"] > 1 else "")
    title += "" if wave["outcome"] == "joined" else f" ({wave['outcome']})"
    numbers = [wave["wall_s"], *(wave.get(f"{name}_s") for name in shown), wave["tidegate_added_s"]]
    line = f"  {title:<22}" + "".join(f"{'-' if number is None else format(number, '.1f'):>12}" for number in numbers)
    notes = [f"slowest: {', '.join(f'{name} {node}' for name, node in wave['slowest'].items())}"] * bool(
        wave["slowest"]
    )
    waits = ", ".join(f"{_WAITED[name]} {seconds:.1f} s" for name, seconds in wave["waits_s"].items())
    notes += [f"of tidegate's: {waits}"] * bool(waits)
    return [line, *(f"    {note}" for note in notes)]
