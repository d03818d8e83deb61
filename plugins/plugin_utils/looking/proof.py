# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof that a wave is where it should be: read from load balancers and nodes, not from Ansible's host lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.health.check import NotRead, read_release
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import bare_digest
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.capacity import usable
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import allows_unchecked
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.load_balancers import admin_of


def load_balancer_reader(call: Call, backends: list[str]) -> Any:  # noqa: ANN401
    """A function that reads `backends` of one load balancer, by inventory name."""

    def read(host: str) -> LoadBalancerState:
        return admin_of(call, host).read(backends)

    return read


def require_online(
    call: Call, wave: Mapping[str, Any], nodes: Mapping[str, Any]
) -> Mapping[str, LoadBalancerState | DomainError]:
    """Refused unless every node of the wave is usable on every load balancer and serves its release.

    What was read of the load balancers is returned.
    """
    backends = [pool["online"] for pool in wave["pools"]]
    both = [*backends, *(pool["maintenance"] for pool in wave["pools"])]
    without = wave.get("without", [])

    def read(host: str) -> LoadBalancerState:
        return admin_of(call, host, both, without=without).read(backends)

    call.nodes(wave["load_balancers"])
    states: Mapping[str, LoadBalancerState | DomainError] = call.in_parallel(read, wave["load_balancers"])
    problems = [problem for host, state in states.items() for problem in _not_online(host, state, wave)]
    problems += [problem for name in wave["nodes"] for problem in _wrong_release(name, nodes[name]["checks"])]
    if problems:
        raise Refused(
            f"the wave is not online on the new release: {'; '.join(problems)}",
            where=", ".join(wave["nodes"]),
            remedy=f"See {advice.status()}, then run the same command again",
        )
    return states


def _not_online(host: str, state: LoadBalancerState | DomainError, wave: Mapping[str, Any]) -> list[str]:
    if isinstance(state, DomainError):
        return [str(state)]
    return [problem for pool in wave["pools"] for problem in _not_usable(host, state, pool)]


def _not_usable(host: str, state: LoadBalancerState, pool: Mapping[str, Any]) -> list[str]:
    unchecked = allows_unchecked(pool.get("unchecked", ""))
    rows = {name: state.servers.get((pool["online"], name)) for name in pool["nodes"]}
    return [
        f"{name} is {row.status if row else 'missing'} in {pool['online']} on {host}"
        for name, row in rows.items()
        if row is None or not (usable(row, unchecked=unchecked) or (state.down and not row.admin.effective))
    ]


def _wrong_release(name: str, checks: Mapping[str, Any]) -> list[str]:
    problems = []
    for service, check in checks.items():
        asked = check["release"]
        wanted, digest = asked["version"]["value"], asked["digest"]
        release = read_release(asked["url"], asked["version"]["path"], digest["path"] if digest else None)
        if isinstance(release, NotRead):
            problems.append(str(release))
        elif release.version != wanted:
            problems.append(f"{name} serves {service} {release.version}, not {wanted}")
        elif digest and bare_digest(release.digest or "") != bare_digest(digest["value"]):
            problems.append(f"{name} serves {service} {wanted} with digest {release.digest}, not {digest['value']}")
    return problems
