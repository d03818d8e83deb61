# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An effect is what the deployment's recorded plan says, or it is refused: extra variables change nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.by_hand import REPAIR, THAW
from ansible_collections.tidegate.delivery.plugins.module_utils.node.boot import OnPending
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.place import Place

_LIMITS = ("soft", "hard", "at_hard", "sticky")


def require_planned_move(
    plan: Mapping[str, Any],
    nodes: Sequence[str],
    load_balancers: Sequence[str],
    pools: Sequence[Mapping[str, Any]],
    drain: Mapping[str, Any],
    without: Sequence[str] = (),
) -> None:
    """Refused unless just these nodes are a planned wave that moves in these pools on these load balancers.

    `without` are those of them that may be down: who says so is in the plan.
    """
    wave = next((each for each in plan.get("waves", []) if set(each["nodes"]) == set(nodes)), None)
    if wave is None:
        raise _unlike(f"{', '.join(nodes)} is no wave of the plan")
    if sorted(load_balancers) != sorted(wave["load_balancers"]):
        raise _unlike(f"load_balancers is {', '.join(load_balancers)}, planned are {', '.join(wave['load_balancers'])}")
    if sorted(without) != sorted(wave.get("without") or []):
        planned_without = ", ".join(wave.get("without") or []) or "none"
        raise _unlike(f"without is {', '.join(without) or 'none'}, planned is {planned_without}")
    if _pools(pools, nodes) != _pools(wave["pools"], nodes):
        raise _unlike("pools, their min_online or their nodes are others than those of the planned wave")
    planned = plan.get("drain") or {}
    if any(key in planned and drain.get(key) != planned[key] for key in _LIMITS):
        raise _unlike("drain is another than planned")


def require_planned_repair(plan: Mapping[str, Any], state: str) -> None:
    """Refused when a repair is asked for that the plan is none of, or something else of a plan that is one."""
    if (state == "repaired") != (plan.get("intent") == REPAIR):
        raise _unlike(f"state is {state}, and the plan is for {plan.get('intent') or 'a deployment'}")


def require_planned_thaw(plan: Mapping[str, Any], state: str, nodes: Sequence[str]) -> None:
    """Refused when the plan is for thawing what dead deployments left, and something else is asked for."""
    if not is_for_thaw(plan):
        return
    if state != "thawed":
        raise _unlike(f"state is {state}, and the plan is for {THAW}")
    frozen = plan.get("frozen") or {}
    unplanned = [node for node in nodes if node not in frozen]
    if unplanned:
        raise _unlike(f"{', '.join(unplanned)} is not to be thawed")


def require_planned_end(plan: Mapping[str, Any], state: str) -> None:
    """Refused when the plan is for ending what dead deployments left, and a downtime is to be opened."""
    if is_for_thaw(plan) and state != "closed":
        raise _unlike(f"state is {state}, and the plan is for {THAW}")


def is_for_thaw(plan: Mapping[str, Any]) -> bool:
    """Whether the plan ends what dead deployments left, and moves nothing."""
    return plan.get("intent") == THAW


def require_planned_reboot(plan: Mapping[str, Any]) -> None:
    """Refused unless the plan says that nodes are rebooted."""
    if plan.get("reboot") != OnPending.IF_PENDING:
        raise _unlike(f"nodes are not to be rebooted: reboot is {plan.get('reboot') or 'not planned'}")


def require_planned_pin(
    plan: Mapping[str, Any],
    state: str,
    servers: Sequence[str],
    nodes: Sequence[str],
    values: Mapping[str, Any],
    place: str = Place.HIERA,
) -> None:
    """Refused unless the plan pins, raises or removes just these values for these nodes there, on these servers."""
    puppet = plan.get("puppet") or {}
    # A plan of before there were two places has none.
    planned_place = Place.HIERA if state == "raised" else puppet.get("place", Place.HIERA)
    if place != planned_place:
        raise _unlike(f"place is {place}, planned is {planned_place}")
    if place == Place.HIERA and sorted(servers) != sorted(puppet.get("servers") or []):
        raise _unlike(f"servers is {', '.join(servers)}, planned are {', '.join(puppet.get('servers') or [])}")
    moving = {node for wave in plan.get("waves", []) for node in wave["nodes"]}
    for node in nodes:
        allowed = _values_of(puppet, state, node, moving)
        if allowed is None:
            raise _unlike(f"the plan has no pin to be {state} for {node}")
        _require_values(values, allowed)
    if state == "raised":
        if puppet.get("common", "layer") != "layer":
            raise _unlike("the common value is raised by the site's command, not in our layer")
        _require_values(values, puppet.get("pin") or {})


def require_planned_raise(
    plan: Mapping[str, Any], servers: Sequence[str], nodes: Sequence[str], values: Mapping[str, Any]
) -> None:
    """Refused unless the plan has just these values raised by the site's command, for all nodes whose pins go."""
    puppet = plan.get("puppet") or {}
    if puppet.get("common", "layer") != "command":
        raise _unlike("the common value is raised in our layer, not by the site's command")
    if sorted(servers) != sorted(puppet.get("servers") or []):
        raise _unlike(f"servers is {', '.join(servers)}, planned are {', '.join(puppet.get('servers') or [])}")
    if sorted(nodes) != sorted(puppet.get("unpin") or []):
        raise _unlike(f"nodes is {', '.join(nodes)}, the pins of {', '.join(puppet.get('unpin') or [])} go")
    _require_values(values, puppet.get("pin") or {})


def _values_of(puppet: Mapping[str, Any], state: str, node: str, moving: set[str]) -> Mapping[str, Any] | None:
    pin: Mapping[str, Any] = puppet.get("pin") or {}
    opening: Mapping[str, Any] = puppet.get("open") or {}
    if state == "absent":
        return {**pin, **opening} if node in (puppet.get("unpin") or []) else None
    kept: Mapping[str, Mapping[str, Any]] = puppet.get("keep") or {}
    if state == "sealed":
        return opening if opening and node in {*moving, *kept, *(puppet.get("unpin") or [])} else None
    return kept.get(node, {**pin, **opening} if node in moving else None)


def _require_values(values: Mapping[str, Any], allowed: Mapping[str, Any]) -> None:
    if dict(values) != dict(allowed):
        raise _unlike(f"values are {dict(values)}, planned are {dict(allowed)}")


def _pools(pools: Sequence[Mapping[str, Any]], nodes: Sequence[str]) -> set[tuple[str, ...]]:
    return {
        (
            *(pool["online"], pool["maintenance"], str(pool["min_online"]), pool.get("unchecked", "refuse")),
            *sorted(pool.get("nodes") or nodes),
        )
        for pool in pools
    }


def _unlike(what: str) -> Refused:
    return Refused(
        f"not what the recorded plan says: {what}",
        where="the deployment's plan",
        remedy="Run the playbook without extra variables for its roles; change the descriptor and plan again",
    )
