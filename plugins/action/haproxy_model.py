# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.haproxy_model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.values import counted
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.needs import pipeline
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.load_balancers import accesses

with pipeline():
    from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import survey_catalog
    from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog_placement import (
        Placed,
        place_catalog,
        placement_problems,
    )
    from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.model import (
        NOWHERE,
        front_end_problems,
        model,
    )
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.survey import address_of


class ActionModule(DomainAction):
    """The catalog → what the task's host, a load balancer, shall have."""

    def act(self, call: Call) -> dict[str, Any]:
        placed = _placed(call)
        access = accesses(call, [call.host])[call.host]
        if not access.state_dir:
            raise BadInput(
                "tidegate_haproxy_state_dir is not set",
                where=f"load balancer {call.host}",
                remedy="Set it in the inventory: without state files a reload brings back every server that left",
            )
        found = model(placed, call.host, lambda host: address_of(call, host), call.args["shared_binds"])
        pools = counted(len(found.pools), "pool")
        return {
            "changed": False,
            "msg": f"{pools} to write on {call.host}; {counted(len(found.by_hand), 'backend')} are written by hand",
            "model": {**asdict(found), "nowhere": NOWHERE},
            "servers": found.servers,
            "by_hand": list(found.by_hand),
        }


def _placed(call: Call) -> Placed:
    """The catalog in the inventory. BadInput when anything is wrong with it: a pool left out would be taken away."""
    folder = str(call.hostvar(call.host, "tidegate_services"))
    survey = survey_catalog(folder, str(call.hostvar(call.host, "tidegate_environment")))
    placed = place_catalog(survey, call.vars["groups"])
    problems = [*survey.problems, *placement_problems(placed), *front_end_problems(placed)]
    if problems:
        more = f" (and {counted(len(problems) - 1, 'more problem')}; playbooks/validate.yml shows all)"
        raise BadInput(
            f"{problems[0].key}: {problems[0].problem}{more if len(problems) > 1 else ''}",
            where=problems[0].file,
            remedy=problems[0].remedy,
        )
    return placed
