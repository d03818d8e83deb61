# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which load balancers an operator may leave out, and which of them nobody has seen again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Step

Sites = Mapping[str, Sequence[str]]


def require_leavable(service: str, without: Sequence[str], sites: Sites) -> None:
    """Raises BadInput for a host that is no load balancer of the service, Refused for all of a site's.

    `sites` has each site's load balancers.
    """
    known = list(dict.fromkeys(name for names in sites.values() for name in names))
    strangers = [name for name in without if name not in known]
    if strangers:
        raise BadInput(
            f"{', '.join(strangers)} is no load balancer of {service}",
            where="without",
            remedy=f"Its load balancers are {', '.join(known)}",
        )
    for site, names in sites.items():
        if set(names) <= set(without):
            message, remedy = RefusalKind.NONE_LEFT.told(site=site, names=", ".join(names))
            raise Refused(message, where="without", remedy=remedy)


def require_down(states: Mapping[str, LoadBalancerState], named: Iterable[str]) -> None:
    """Refused when one that the operator leaves out answers: it may carry traffic, and it can be moved."""
    for name in named:
        if name in states and not states[name].down:
            message, remedy = RefusalKind.ANSWERS.told(host=name)
            raise Refused(message, where=f"load balancer {name}", remedy=remedy)


def with_way_on(name: str, error: DomainError, site: Sequence[str]) -> DomainError:
    """Why a load balancer can't be asked, with the way on if it is known to be down and not its site's only one."""
    if len(site) < 2:
        return error
    way_on = f"If no HAProxy runs there, go on without it: {advice.going_on_without(name)}"
    return type(error)(error.message, where=error.where, remedy=f"{error.remedy.rstrip('.')}. {way_on}".lstrip(". "))


def left_out_lines(proofs: Mapping[str, str]) -> list[str]:
    """A line for people for each load balancer that is left out."""
    return [f"{name} is left out: {proof}; what it will start with is moved" for name, proof in proofs.items()]


def unconfirmed(plan: Mapping[str, Any], events: Iterable[Event]) -> list[str]:
    """The load balancers that were left out and that no move of the deployment found back since."""
    names = dict.fromkeys(plan.get("without") or [])
    for event in events:
        if event.step in (Step.LEAVE, Step.JOIN) and event.outcome.good:
            for name in _texts(event, "back"):
                names.pop(name, None)
            names |= dict.fromkeys(text.partition(":")[0] for text in _texts(event, "left_out"))
    return list(names)


def unconfirmed_note(service: str, names: Sequence[str]) -> str:
    """What is to be done about them, as the end of a message; empty when there are none."""
    if not names:
        return ""
    who = ", ".join(names)
    return f"; {who} was left out and is not confirmed: when it is back, look at it with {advice.pools(service)}"


def _texts(event: Event, key: str) -> list[str]:
    value = event.details.get(key)
    return [str(each) for each in value] if isinstance(value, list) else []
