# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What customers got from a service on one load balancer, as its own counters tell it at one moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Detail

_TIMES = ("queue_ms", "connect_ms", "response_ms", "total_ms")


class Moment(StrEnum):
    """When in an attempt it was: before its first wave leaves, when a wave has joined, when it is held, at its end."""

    BEFORE = "before"
    JOINED = "joined"
    HELD = "held"
    AFTER = "after"


def sample(state: LoadBalancerState, backends: Collection[str], moment: Moment) -> dict[str, Detail] | None:
    """The details of a `customers` event; None for a load balancer that is down or doesn't tell all these backends'.

    Counters are those since the worker began: only the difference of two samples of one worker says something, and only
    if both add up the same backends. Of several backends the slowest's times are told.
    """
    found = [state.traffic[name] for name in backends if name in state.traffic]
    if state.down or not found or len(found) < len(backends):
        return None
    times: dict[str, Detail] = {name: max(getattr(each, name) for each in found) for name in _TIMES}
    return {
        "load_balancer": state.host,
        "at_moment": str(moment),
        # A pid alone is used again.
        "worker": ":".join(filter(None, (str(state.pid), state.began))),
        "requests": sum(each.requests for each in found),
        "failed": sum(each.failed for each in found),
        "hrsp_5xx": sum(each.answered_5xx for each in found),
        "cut": sum(each.cut for each in found),
        "retried": sum(each.retried for each in found),
        "redispatched": sum(each.redispatched for each in found),
        **times,
        "pools": sorted(backends),
    }


def common_backends(waves: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """By load balancer the online backends that all planned waves move in which are moved there.

    Those of a service that stands beside on some nodes only are not among them: when a wave is confirmed its own
    backends are read, and sums over others each time could not be compared.
    """
    found: dict[str, list[str]] = {}
    for wave in waves:
        own = [str(pool["online"]) for pool in wave["pools"]]
        for name in wave["load_balancers"]:
            if name not in wave.get("without", ()):
                found[name] = [each for each in found.get(name, own) if each in own]
    return found
