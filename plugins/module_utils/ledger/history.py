# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ledger says about a node: who took it out last, and with which release it joined last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.by_hand import is_adoption
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.permit import confirms_wave
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import Served
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.ownership import ownership


@dataclass(frozen=True, slots=True)
class Absence:
    """A node that a deployment or a person took out through Tidegate and that has not joined since.

    `begun` is its last move, a leave or a join, when that has no end: it is under way, or its run was killed.
    `over`: the deployment that took it ended without it. `adopted`: a person took it over from somebody else.
    """

    deployment: str
    service: str
    kind: Kind
    by: str
    at: str
    begun: Step | None = None
    over: bool = False
    adopted: bool = False

    def __str__(self) -> str:
        what = "by hand" if self.kind is Kind.HAND else f"for deployment {self.deployment} of {self.service}"
        what = "from somebody else" if self.adopted else what
        return f"{self.by or 'somebody'} {what} at {self.at}"


@dataclass(frozen=True, slots=True)
class History:
    """By node: its absence, if it is out by our doing, and the release with which it joined last.

    `named` are the nodes that any move of ours ever named.
    """

    absent: Mapping[str, Absence]
    joined: Mapping[str, Served]
    named: frozenset[str] = frozenset()


def read_history(service: str, deployments: Mapping[str, Deployment], events: Sequence[Event]) -> History:
    """The history of `service`'s nodes. `events` are those of `deployments`, oldest first."""
    found = ownership(events)
    absent = {node: _absence(event, deployments, found.begun.get(node)) for node, event in found.taken.items()}
    confirmed = [event for event in events if confirms_wave(event) and event.service == service]
    return History(absent, {node: _served(event) for event in confirmed for node in event.nodes}, found.named)


def _absence(event: Event, deployments: Mapping[str, Deployment], begun: Event | None) -> Absence:
    deployment = deployments.get(event.deployment)
    return Absence(
        deployment=event.deployment,
        service=event.service,
        kind=Kind.DEPLOY if deployment is None else deployment.kind,
        by=event.by,
        at=event.at,
        begun=begun.step if begun else None,
        over=deployment is not None and deployment.state.final,
        adopted=deployment is not None and is_adoption(deployment),
    )


def _served(event: Event) -> Served:
    version, digest, revision = (str(event.details.get(key) or "") for key in ("version", "digest", "revision"))
    return Served(version, digest, revision)
