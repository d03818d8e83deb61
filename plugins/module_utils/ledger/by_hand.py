# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment is for, and what a person's move of single nodes is for, told from its recorded plan."""

from __future__ import annotations

import json

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind

# Intents of the plan: what somebody else took out becomes ours, what is ours is taken out again, and the freezes that
# dead deployments left end.
ADOPT = "adopt"
REPAIR = "repair"
THAW = "thaw"


def is_repair(move: Deployment) -> bool:
    """Whether it takes out again what others took: it owns no node, and leads nowhere."""
    return move.kind is Kind.HAND and _said(move, "intent") == REPAIR


def is_thaw(move: Deployment) -> bool:
    """Whether it ends freezes that dead deployments left: it moves no node."""
    return move.kind is Kind.HAND and _said(move, "intent") == THAW


def is_adoption(move: Deployment) -> bool:
    """Whether its node was taken over from somebody else, on a person's word."""
    return move.kind is Kind.HAND and _said(move, "adopted") is True


def purpose(deployment: Deployment) -> dict[str, str]:
    """What the events of a deployment's beginning and end tell by themselves: details `kind`, `version`, and `intent`.

    A version where it brings one; an intent where it is a person's move.
    """
    told = {"kind": str(deployment.kind), "version": deployment.version}
    if deployment.kind is Kind.HAND:
        told["intent"] = str(_said(deployment, "intent") or "")
    return {key: value for key, value in told.items() if value}


def _said(move: Deployment, key: str) -> object:
    try:
        return json.loads(move.plan).get(key)
    except (ValueError, AttributeError, RecursionError):
        return None
