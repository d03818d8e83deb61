# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan says about downtimes: which Nagios, for how long, and what of each moving node is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.placement import hosts_of
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Service
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.values import format_duration
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call


def nagios_facts(call: Call, service: Service, beside: Mapping[str, Sequence[Service]]) -> dict[str, Any] | None:
    """The downtimes of a service's moving nodes; None when its descriptor names no Nagios.

    `beside` has, by node, all services that move with it. Raises BadInput for an unknown server and Refused when two
    services that move together name two.
    """
    if service.nagios is None:
        return None
    server = nagios_server(call, service)
    for other in {other.name: other for others in beside.values() for other in others}.values():
        if other.nagios and nagios_server(call, other) != server:
            raise Refused(
                f"{other.name} and {service.name} move together, but not with one Nagios",
                where=f"{other.name}: nagios.server",
                remedy="Name the same server in both, or none in one of them",
            )
    hosts = {node: nagios_host(call, node) for node in beside}
    twice = sorted(node for node in hosts if list(hosts.values()).count(hosts[node]) > 1)
    if twice:
        raise BadInput(
            f"{', '.join(twice)} are one host in Nagios: {hosts[twice[0]]}",
            where="tidegate_nagios_host",
            remedy="Give each node the host that Nagios has of it",
        )
    return {
        "server": server,
        "length": format_duration(service.nagios.length),
        "at_failure": service.nagios.at_failure,
        "nodes": {
            node: {"host": hosts[node], "services": merged_services([service, *others])}
            for node, others in beside.items()
        },
    }


def merged_services(services: Sequence[Service]) -> list[str] | None:
    """What Nagios calls the services of a node that are in downtime with it, of all that move; None for all it has."""
    named = [each.nagios.services for each in services if each.nagios]
    if None in named:
        return None
    return sorted({name for names in named for name in names or ()})


def nagios_host(call: Call, node: str) -> str:
    """What Nagios calls a node."""
    return str(call.hostvar(node, "tidegate_nagios_host", node))


def nagios_server(call: Call, service: Service) -> str:
    """The host of the inventory on which the service's Nagios runs. Raises BadInput for one that isn't there."""
    server = service.nagios.server if service.nagios else ""
    return hosts_of(server, call.vars["groups"], f"{service.name}: nagios.server")[0]
