# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a call for several nodes returns, made of what each node's own part returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Ended = Sequence[tuple[str, Mapping[str, Any]]]
# Of the others only the names are told.
_FAILURES_TOLD = 3


def together(ended: Ended) -> dict[str, Any]:
    """One result: of the first failure, a stop last, or of the last part; `nodes` has each node's own.

    `ended` is empty when the plan has no such check for these nodes.
    """
    if not ended:
        return {"changed": False, "outcome": "nothing_planned", "msg": "the plan has nothing to do here", "nodes": {}}
    failed = [result for _node, result in ended if result.get("failed")]
    telling = next((result for result in failed if result.get("reason") != "stopped"), None)
    telling = telling or (failed[0] if failed else ended[-1][1])
    merged = {
        **telling,
        "changed": any(result.get("changed") for _node, result in ended),
        "msg": _failures(ended) if failed else _success(ended),
        "nodes": _by_node(ended),
    }
    if any("own_s" in result for _node, result in ended):
        merged["own_s"] = max(result.get("own_s", 0.0) for _node, result in ended)
    diffs = [result["diff"] for _node, result in ended if "diff" in result]
    return merged | ({"diff": diffs} if diffs else {})


def _by_node(ended: Ended) -> dict[str, dict[str, Any]]:
    """Each node's result; of one with several services that which failed first, else the last."""
    found: dict[str, dict[str, Any]] = {}
    for node, result in ended:
        if not found.get(node, {}).get("failed"):
            found[node] = {key: value for key, value in result.items() if key != "diff"}
    return found


def _failures(ended: Ended) -> str:
    told = [(node, str(result["msg"])) for node, result in ended if result.get("failed")]
    others = list(dict.fromkeys(node for node, _msg in told[_FAILURES_TOLD:]))
    more = f"; {', '.join(others)} failed too" if others else ""
    return "; ".join(dict.fromkeys(msg for _node, msg in told[:_FAILURES_TOLD])) + more


def _success(ended: Ended) -> str:
    if len(ended) == 1:
        return str(ended[0][1].get("msg", ""))
    outcomes: dict[str, list[str]] = {}
    for node, result in ended:
        outcomes.setdefault(str(result.get("outcome", "done")), []).append(node)
    return "; ".join(f"{', '.join(dict.fromkeys(nodes))}: {outcome}" for outcome, nodes in outcomes.items())
