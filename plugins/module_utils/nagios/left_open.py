# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downtimes of ours that are open in Nagios: what a dead deployment left, and what is not to be ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.left import (
    UNKNOWN_HERE,
    Whose,
    ends_on_request,
    nodes_left,
    way_on,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.downtime import owner_of, told
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.server import State
from ansible_collections.tidegate.delivery.plugins.module_utils.values import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDowntime:
    """The downtimes that one deployment has on one node, `host` in Nagios.

    `covers`: what is in downtime, `host` for the host itself. `until`: when the last of them ends, in Nagios' Unix
    seconds.
    """

    node: str
    host: str
    service: str
    deployment: str
    covers: tuple[str, ...]
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A downtime of ours and whose it is; or, with neither node nor downtime, a Nagios server that didn't say."""

    whose: Whose
    server: str
    node: str = ""
    downtime: OpenDowntime | None = None
    why: str = ""
    next: str = ""

    def values(self) -> dict[str, Any]:
        """As plain values."""
        downtime = self.downtime
        return {
            "node": self.node,
            "whose": str(self.whose),
            "server": self.server,
            "host": downtime.host if downtime else "",
            "service": downtime.service if downtime else "",
            "deployment": downtime.deployment if downtime else "",
            "covers": list(downtime.covers) if downtime else [],
            "until": told(downtime.until) if downtime else "",
            "why": self.why,
            "next": self.next,
        }


def open_downtimes_of(state: State, service: str, hosts: Mapping[str, str]) -> list[OpenDowntime]:
    """The service's downtimes of ours on `hosts`, which has the node by its name in Nagios. Nobody else's are told."""
    found: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for downtime in state.downtimes:
        owner = owner_of(downtime)
        if owner is not None and owner.service == service and downtime.host in hosts:
            covered = (downtime.service or "host", downtime.end)
            found.setdefault((downtime.host, owner.deployment), []).append(covered)
    return [
        OpenDowntime(
            node=hosts[host],
            host=host,
            service=service,
            deployment=deployment,
            covers=tuple(sorted({name for name, _end in covered}, key=lambda name: (name != "host", name))),
            until=max(end for _name, end in covered),
        )
        for (host, deployment), covered in found.items()
    ]


def judge_downtime(server: str, downtime: OpenDowntime, deployment: Deployment | None, *, out: bool) -> Judged:
    """Whose it is. `deployment` is what the ledger knows under its id, if anything; `out`: its node is, by our doing.

    A held deployment is not over: its nodes that are out stay in downtime, and it closes the others' when it goes on.
    """
    service, node = downtime.service, downtime.node
    if deployment is None:
        whose, why = Whose.UNKNOWN, UNKNOWN_HERE
        way = f"when it is over: {advice.thaw(service, node)}"
    elif not deployment.state.final:
        whose, why = Whose.OPEN, f"that deployment is {deployment.state}: it ends its downtime when it goes on"
        way = way_on(deployment)
    elif out:
        whose, why, way = Whose.OUT, "the node is out: its downtime ends when it joins", advice.status(service)
    else:
        whose, why = Whose.LEFT, f"that deployment is {deployment.state}, and the node is not out"
        way = advice.thaw(service)
    return Judged(whose=whose, server=server, node=node, downtime=downtime, why=why, next=way)


def silent_server(server: str, problem: str) -> Judged:
    """A Nagios that didn't say."""
    return Judged(whose=Whose.SILENT, server=server, why=problem)


def to_end(found: Sequence[Judged], named: Collection[str]) -> list[OpenDowntime]:
    """What a request for these nodes, or for all, ends."""
    return [each.downtime for each in found if each.downtime and ends_on_request(each, named)]


def downtime_table(found: Sequence[Judged]) -> list[str]:
    """Three lines a downtime: what is silent and until when, why it is so, what to run next."""
    return [line for each in found for line in _told(each)]


def _told(each: Judged) -> list[str]:
    downtime = each.downtime
    if downtime is None:
        return [f"Nagios on {each.server} can't be asked for downtimes: {each.why}"]
    what = f"in downtime in Nagios until {told(downtime.until)} ({', '.join(downtime.covers)})"
    return [
        f"{each.node} ({downtime.service}): {what}, by deployment {downtime.deployment}",
        f"  {each.why}",
        f"  next: {each.next}",
    ]


def left_open_count(found: Sequence[Judged]) -> str:
    """How much nobody will end by itself before its time, in words; empty when there is nothing."""
    nodes = nodes_left(found)
    return f"left in downtime: {counted(len(nodes), 'node')}: {', '.join(nodes)}" if nodes else ""
