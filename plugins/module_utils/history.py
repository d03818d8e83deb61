# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ledger says about a node: who took it out last, and with which release it joined last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.events import Event
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger import Deployment, Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.ownership import taken_by
from ansible_collections.tidegate.delivery.plugins.module_utils.permit import confirms_wave
from ansible_collections.tidegate.delivery.plugins.module_utils.plan import Served


@dataclass(frozen=True, slots=True)
class Absence:
    """A node that a deployment or a person took out through Tidegate and that has not joined since."""

    deployment: str
    service: str
    kind: Kind
    by: str
    at: str

    def __str__(self) -> str:
        what = "by hand" if self.kind is Kind.HAND else f"for deployment {self.deployment} of {self.service}"
        return f"{self.by or 'somebody'} {what} at {self.at}"


@dataclass(frozen=True, slots=True)
class History:
    """By node: its absence, if it is out by our doing, and the release with which it joined last."""

    absent: Mapping[str, Absence]
    joined: Mapping[str, Served]


def read_history(service: str, deployments: Mapping[str, Deployment], events: Sequence[Event]) -> History:
    """The history of `service`'s nodes. `events` are those of `deployments`, oldest first."""
    absent = {node: _absence(event, deployments) for node, event in taken_by(events).items()}
    confirmed = [event for event in events if confirms_wave(event) and event.service == service]
    return History(absent, {node: _served(event) for event in confirmed for node in event.nodes})


def _absence(event: Event, deployments: Mapping[str, Deployment]) -> Absence:
    deployment = deployments.get(event.deployment)
    kind = Kind.DEPLOY if deployment is None else deployment.kind
    return Absence(event.deployment, event.service, kind, event.by, event.at)


def _served(event: Event) -> Served:
    return Served(str(event.details.get("version") or ""), str(event.details.get("digest") or ""))
