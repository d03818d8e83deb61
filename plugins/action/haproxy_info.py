# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.haproxy_info."""

from __future__ import annotations

from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.survey import described
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.proof import load_balancer_reader
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.load_balancers import checked_name
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.options import distinct


class ActionModule(DomainAction):
    """Arguments → every load balancer's state."""

    def act(self, call: Call) -> dict[str, Any]:
        names = distinct(call.args["load_balancers"], "load_balancers")
        pools = [(checked_name(pair["online"]), checked_name(pair["maintenance"])) for pair in call.args["pools"]]
        call.nodes(names)
        backends = [backend for pair in pools for backend in pair]
        found = call.in_parallel(load_balancer_reader(call, backends), names)
        return {
            "changed": False,
            "load_balancers": {
                name: described(state, pools) for name, state in found.items() if isinstance(state, LoadBalancerState)
            },
            # Not "unreachable": Ansible would take the task's host for unreachable.
            "unanswered": {name: str(error) for name, error in found.items() if isinstance(error, DomainError)},
        }
