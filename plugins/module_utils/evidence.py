# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only what the plan asked for is evidence: a check of something easier, called by hand, is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused

# How long was waited does not weaken what was seen.
_FREE = ("timeout", "interval", "base")


def require_planned(plan: Mapping[str, Any], node: str, service: str, step: str, asked: Mapping[str, Any]) -> None:
    """Refuse unless `asked` holds everything that the plan's check of `service` on `node` says for `step`.

    `asked` has the names that the plan has. Raises Refused; nothing has been done then.
    """
    check = plan.get("nodes", {}).get(node, {}).get("checks", {}).get(service)
    if check is None or not check.get(step):
        raise _refused(f"the deployment's plan has no {step} check of {service} on {node}", node)
    planned = dict(check[step])
    if step == "nunit":
        planned["version"] = check["release"]["version"]["value"]
    elif step == "warmup":
        # Its URLs are paths; what they are relative to is the health check's.
        planned["url"] = check["health"]["url"]
    unlike = [key for key, wanted in planned.items() if key not in _FREE and not _holds(asked.get(key), wanted)]
    if unlike:
        raise _refused(f"{', '.join(unlike)} of this {step} check of {service} is not what the plan says", node)


def _holds(given: object, wanted: object) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(given, Mapping) and all(_holds(given.get(key), value) for key, value in wanted.items())
    return given == wanted or (not given and not wanted)


def _refused(message: str, node: str) -> Refused:
    return Refused(
        message,
        where=node,
        remedy="Run the playbook, which checks what was planned; without `deployment` any check may be tried by hand",
    )
