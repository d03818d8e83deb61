# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recording what customers got, at the moments of a deployment. Nothing depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.customers import Moment, common_backends, sample
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Kind
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.load_balancers import admin_of


def record_customers(
    call: Call, moment: Moment, states: Mapping[str, LoadBalancerState | DomainError] | None = None
) -> None:
    """Write a `customers` event for each load balancer that answers, from `states` where somebody has read them.

    A load balancer that does not answer leaves none, and so what customers felt there is not known.
    """
    with suppress(DomainError):
        record = call.ledger
        if record.deployment.kind is Kind.HAND:
            return
        backends = common_backends(record.plan.get("waves") or ())
        asked = [name for name in backends if states is None or name in states]
        found = states if states is not None else _read(call, backends)
        told = [
            details
            for name in asked
            if isinstance(state := found[name], LoadBalancerState)
            and (details := sample(state, backends[name], moment)) is not None
        ]
        record.append([record.event(Step.CUSTOMERS, Outcome.OK, (), details) for details in told])


def begun(call: Call) -> bool:
    """Whether this attempt has a sample already."""
    attempt = call.ledger.deployment.attempt
    return any(event.attempt == attempt for event in call.ledger.events_of(Step.CUSTOMERS))


def _read(call: Call, backends: Mapping[str, list[str]]) -> Mapping[str, LoadBalancerState | DomainError]:
    names = list(backends)
    call.nodes(names)

    def read(host: str) -> LoadBalancerState:
        return admin_of(call, host).read(backends[host])

    found: Mapping[str, LoadBalancerState | DomainError] = call.in_parallel(read, names)
    return found
