# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of services as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.columns import columns
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import with_configuration


def status_table(services: Mapping[str, Any], locks: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line a service, a line a node with columns of one width for all services, a line a lock."""
    rows = {name: list(_node_rows(service["nodes"])) for name, service in services.items()}
    nodes = iter(columns([row for each in rows.values() for row in each], "  "))
    lines: list[str] = []
    for name, service in services.items():
        lines.append(f"{name}: {service.get('problem') or _headline(service)}")
        lines += [next(nodes) for _row in rows[name]]
        lines += [f"  {host} did not answer: {why}" for host, why in service["silent_load_balancers"].items()]
    return [*lines, *(_lock_line(lock) for lock in locks)]


def _headline(service: Mapping[str, Any]) -> str:
    under_way, last = service["under_way"], service["last_done"]
    if under_way:
        return f"{under_way['kind']} to {_release(under_way)} is {under_way['state']} ({under_way['id']})"
    return f"{last['kind']} to {_release(last)} was done at {last['closed_at']}" if last else "no deployment on record"


def _release(deployment: Mapping[str, Any]) -> str:
    return with_configuration(deployment["version"], deployment.get("revision", ""))


def _node_rows(nodes: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for node, seen in nodes.items():
        release = with_configuration(seen["version"] or "?", seen.get("revision", ""))
        yield node, _where(seen["pools"]), release, "; ".join(_notes(seen))


def _where(pools: Mapping[str, str]) -> str:
    places = sorted(set(pools.values()))
    return places[0] if len(places) == 1 else ", ".join(f"{host}: {place}" for host, place in pools.items())


def _notes(seen: Mapping[str, Any]) -> Iterator[str]:
    if seen["taken_by"]:
        yield f"taken out by {seen['taken_by']}"
    if seen["frozen_by"]:
        yield f"Puppet disabled: {seen['frozen_by']}"
    if seen["beside"]:
        yield f"with {', '.join(seen['beside'])}"
    if seen["problem"]:
        yield seen["problem"]


def _lock_line(lock: Mapping[str, Any]) -> str:
    gone = "; that process is gone: the next run takes the lock over" if lock["gone"] else ""
    return f"locked: {lock['name']} by {lock['holder']} since {lock['since']}, doing {lock['doing']}{gone}"
