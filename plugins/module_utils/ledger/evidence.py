# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only what the plan asked for is evidence: a check of something easier, called by hand, is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused

# Whom it is about, where results go, and how long was waited: that does not weaken what was seen.
_FREE = frozenset({"deployment", "node", "save_to", "service", "step", "timeout", "queue_timeout", "work_dir"})
# One answer tells which release is served, and warmth is judged by the rounds: the plan asks for no row there.
_ROW_IS_FREE = ("release", "warmup")


def require_planned(
    plan: Mapping[str, Any],
    node: str,
    service: str,
    step: str,
    asked: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> None:
    """Refuse unless `asked` is what the plan's check of `service` on `node` says for `step`, and nothing besides.

    `asked` are the check's options under the names that the plan has; those that the plan doesn't name must have
    their `defaults`, which hold a mapping for an option with suboptions. Raises Refused; nothing has been done then.
    """
    check = _check(plan, node, service, step)
    free = _FREE | {"in_a_row"} if step in _ROW_IS_FREE else _FREE
    unlike = _unlike(asked, _planned(check, step), defaults, free)
    if unlike:
        raise _refused(f"{', '.join(unlike)} of this {step} check of {service} is not what the plan says", node)


def planned_options(plan: Mapping[str, Any], node: str, service: str, step: str) -> dict[str, Any]:
    """The options of the check that the plan has of `service` on `node` for `step`. Raises Refused when it has none."""
    check = _check(plan, node, service, step)
    options = {key: value for key, value in _planned(check, step).items() if value is not None}
    if step == "warmup":
        options["timeout"] = check["warmup"]["timeout"]
    return options | {"in_a_row": 1} if step in _ROW_IS_FREE else options


def _check(plan: Mapping[str, Any], node: str, service: str, step: str) -> Mapping[str, Any]:
    check: Mapping[str, Any] | None = plan.get("nodes", {}).get(node, {}).get("checks", {}).get(service)
    if check is None or not check.get(step):
        raise _refused(f"the deployment's plan has no {step} check of {service} on {node}", node)
    return check


def _planned(check: Mapping[str, Any], step: str) -> dict[str, Any]:
    if step == "warmup":
        # Its URLs are paths; what they are relative to is the health check's.
        return {"url": check["health"]["url"], "warmup": check["warmup"]}
    planned = dict(check[step])
    return planned | {"version": check["release"]["version"]["value"]} if step == "nunit" else planned


def _unlike(
    asked: Mapping[str, Any], planned: Mapping[str, Any], defaults: Mapping[str, Any], free: frozenset[str]
) -> list[str]:
    """The options, suboptions with a dot, that are neither free nor as planned nor, unplanned, as by default."""
    found: list[str] = []
    for key in sorted({*asked, *planned} - free):
        given, default = asked.get(key), defaults.get(key)
        below = default if isinstance(default, Mapping) else {}
        # An option with suboptions that is neither planned nor given is at its default.
        wanted = planned.get(key, None if below and _nothing(given) else default)
        if key in planned and isinstance(given, Mapping) and isinstance(wanted, Mapping):
            found += [f"{key}.{name}" for name in _unlike(given, wanted, below, free)]
        elif not _same(given, wanted) and not (_nothing(given) and _nothing(wanted)):
            found.append(key)
    return found


def _nothing(value: object) -> bool:
    return value is None or value in ([], {}, "")


def _same(given: object, wanted: object) -> bool:
    # As JSON, so that true is not 1.
    return json.dumps(_bare(given), sort_keys=True, default=str) == json.dumps(
        _bare(wanted), sort_keys=True, default=str
    )


def _bare(value: object) -> object:
    """Without suboptions that are not given: arguments have null in their place."""
    if isinstance(value, Mapping):
        return {key: _bare(each) for key, each in value.items() if each is not None}
    return [_bare(each) for each in value] if isinstance(value, list) else value


def _refused(message: str, node: str) -> Refused:
    return Refused(
        message,
        where=node,
        remedy="Run the playbook, which checks what was planned; without `deployment` any check may be tried by hand",
    )
