# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose something is that a deployment leaves behind outside of the ledger, and who will end it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Protocol

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind


class Whose(StrEnum):
    """Whose a freeze or a downtime is, or why nobody can tell."""

    # A deployment that is over and should have ended it (a freeze: also one that is held): nobody will any more.
    LEFT = "left"
    # A deployment that is under way, or whose run was killed: it ends it when it goes on.
    OPEN = "open"
    # Its node is out of the online pool by our doing, whatever became of the deployment: the join ends it.
    OUT = "out"
    # A deployment of ours by the wording, but not of this ledger: another ledger's may still be under way.
    UNKNOWN = "unknown"
    FOREIGN = "foreign"
    SILENT = "silent"


class Found(Protocol):
    """Something of ours that stands on a node."""

    @property
    def whose(self) -> Whose: ...

    @property
    def node(self) -> str: ...


def ends_on_request(found: Found, named: Collection[str]) -> bool:
    """Whether a request for the nodes that were `named`, or for all, ends it.

    What is left of known deployments; of unknown ones only on nodes that were named.
    """
    if named and found.node not in named:
        return False
    return found.whose is Whose.LEFT or (found.whose is Whose.UNKNOWN and found.node in named)


def nodes_left(found: Iterable[Found]) -> list[str]:
    """The nodes on which nobody will end what this ledger's deployments left, each once.

    What another ledger's may have left is that one's to tell: there it may be under way.
    """
    return sorted({each.node for each in found if each.whose is Whose.LEFT})


UNKNOWN_HERE = "this ledger doesn't know that deployment: it may be another ledger's"


def way_on(deployment: Deployment) -> str:
    """What brings a deployment that is not over to its end."""
    if deployment.kind is Kind.HAND:
        return advice.status(deployment.service)
    return advice.resume(deployment.service)
