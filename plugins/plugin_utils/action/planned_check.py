# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check's options, filled in from the deployment's plan: a playbook names the step, and every template less saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.evidence import planned_options
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.arguments import argument_spec
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.options import distinct

if TYPE_CHECKING:
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call


# What a check of several nodes takes from the plan, for each of them.
_OF_ONE = ("node", "service", "url", "save_to")


def fill_in(call: Call, module: str, step: str, given: Mapping[str, Any], needed: Sequence[str]) -> None:
    """Complete the call's arguments when it belongs to a deployment and names no URL; what was `given` stays.

    Raises Refused when the plan has no such check, BadInput when one of the options `needed` is missing then.
    """
    if call.deployment_id and not call.check and not call.args.get("url"):
        service = call.args.get("service") or call.ledger.deployment.service
        planned = planned_options(call.ledger.plan, call.covered[0], service, step)
        call.args = _validated(module, {**planned, **given})
    missing = [name for name in needed if not call.args.get(name)]
    if missing:
        raise BadInput(
            f"{', '.join(missing)} of this {step} check is not given",
            where=", ".join(missing),
            remedy="Give it, or name the open deployment whose plan says it",
        )


def planned_parts(call: Call, steps: Sequence[str]) -> list[Call] | None:
    """A part for each of these steps of each service of each of the call's `nodes`, as far as the plan has them.

    None when no `nodes` are given. Raises BadInput without an open deployment, Refused for a node that isn't planned.
    """
    if call.args["nodes"] is None:
        return None
    nodes = distinct(call.args["nodes"], "nodes")
    beside = [name for name in _OF_ONE if call.args.get(name)]
    if beside:
        raise BadInput(
            f"{', '.join(beside)} is for one node and can't stand beside nodes",
            where=", ".join(beside),
            remedy="Leave it out: the plan has each node's checks",
        )
    if not call.deployment_id or call.check:
        raise BadInput(
            "the checks of nodes are those of an open deployment's plan", where="nodes", remedy="Give deployment"
        )
    planned = call.ledger.plan["nodes"]
    unknown = [node for node in nodes if node not in planned]
    if unknown:
        raise Refused(
            f"{', '.join(unknown)} is not in the plan of {call.deployment_id}",
            where="nodes",
            remedy="Name nodes of that plan",
        )
    return [
        call.part(node, service=service, **({"step": step} if "step" in call.args else {}))
        for node in nodes
        for service, check in planned[node]["checks"].items()
        for step in steps
        if check.get(step)
    ]


def given_to(call: Call, task_args: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given to a call; to a part, those that make it one."""
    if "nodes" in call.args:
        return dict(task_args)
    own = {name: call.args[name] for name in ("service", "step") if name in call.args}
    return {name: value for name, value in task_args.items() if name != "nodes"} | own


def _validated(module: str, options: dict[str, Any]) -> dict[str, Any]:
    result = ArgumentSpecValidator(argument_spec(module)).validate(options)
    if result.error_messages:
        raise BadInput("; ".join(result.error_messages), where=module, remedy="Correct the options, or plan again")
    return dict(result.validated_parameters)
