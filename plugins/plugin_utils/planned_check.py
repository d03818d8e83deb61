# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check's options, filled in from the deployment's plan: a playbook names the step, and every template less saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.evidence import planned_options
from ansible_collections.tidegate.delivery.plugins.plugin_utils.arguments import argument_spec

if TYPE_CHECKING:
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.call import Call


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


def _validated(module: str, options: dict[str, Any]) -> dict[str, Any]:
    result = ArgumentSpecValidator(argument_spec(module)).validate(options)
    if result.error_messages:
        raise BadInput("; ".join(result.error_messages), where=module, remedy="Correct the options, or plan again")
    return dict(result.validated_parameters)
