# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger as the domain sees it: its records, the rules of a deployment's life, and what a store must offer."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Step

Anchor = tuple[int, str]


class Kind(StrEnum):
    """What a deployment is for; `hand` is a person's move of single nodes and brings no release."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    HAND = "hand"


class State(StrEnum):
    """Where a deployment stands; `held` waits with its wave in maintenance, the last three are final."""

    OPEN = "open"
    HELD = "held"
    DONE = "done"
    ROLLED_BACK = "rolled_back"
    SUPERSEDED = "superseded"

    @property
    def final(self) -> bool:
        """Whether nothing can be done any more under this deployment."""
        return self not in (State.OPEN, State.HELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Bringing one release to one environment.

    `nodes` is what it covers, `services` what moves together, its own included. `revision` is the configuration's, as
    Puppet's `config_version` tells it; empty where it tells none or the service doesn't count it.
    Times are UTC, ISO 8601 with milliseconds, and stamped by the ledger.
    """

    id: str
    kind: Kind
    service: str
    environment: str
    version: str = ""
    digest: str = ""
    previous_version: str = ""
    revision: str = ""
    previous_revision: str = ""
    state: State = State.OPEN
    attempt: int = 1
    nodes: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    plan: str = "{}"
    opened_at: str = ""
    opened_by: str = ""
    closed_at: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event at its place in its environment's chain; (seq, hash) is an anchor that can leave with it."""

    seq: int
    hash: str
    event: Event

    @property
    def anchor(self) -> Anchor:
        """What proves later that this entry, and all before it, are still there."""
        return self.seq, self.hash


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found: intact up to `upto`, or the first entry at which the chain is broken."""

    upto: int
    head: str
    problem: str = ""
    anchored: bool = False

    @property
    def intact(self) -> bool:
        """Whether every entry that was read fits to the one before it (and to the anchor, if one was given)."""
        return not self.problem

    def __str__(self) -> str:
        if self.problem:
            return f"broken after entry {self.upto}: {self.problem}"
        proof = "" if self.anchored else "; without an anchor nobody can tell whether later entries were cut off"
        return f"intact up to {self.upto}{proof}"


def new_deployment_id(service: str) -> str:
    """A fresh id that a person can read and type: `tradeapi-20260131-142501-7f3a`."""
    return f"{service}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def service_of(deployment_id: str) -> str:
    """The service in an id that `new_deployment_id` made."""
    return deployment_id.rsplit("-", 3)[0]


def require_change(deployment: Deployment, state: State) -> None:
    """Raise Refused when the deployment can't become `state`, because it is final already."""
    if deployment.state.final:
        raise Refused(
            f"deployment {deployment.id} is {deployment.state} since {deployment.closed_at} and can't become {state}",
            where=f"{deployment.service} in {deployment.environment}",
            remedy="Start a new deployment of the version that you want.",
        )


class Ledger(Protocol):
    """The append-only record, one chain an environment; each method is one transaction.

    Raises BadInput when the store can't be used, DeadlineExceeded when other writers kept it busy for 30 s.
    """

    def append(self, event: Event) -> Entry:
        """Write one event at the end of its environment's chain."""

    def append_all(self, events: Iterable[Event]) -> list[Entry]:
        """Write several, in their order."""

    def entries(self, environment: str, deployment: str | None = None, since: int = 0) -> Iterator[Entry]:
        """Entries after seq `since`, oldest first; no transaction stays open between them."""

    def entries_of(self, environment: str, deployment: str, steps: Iterable[Step]) -> list[Entry]:
        """A deployment's entries of these steps only, oldest first: what one step needs of many nodes' events."""

    def verify(self, environment: str, anchor: Anchor | None = None) -> Verdict:
        """Read the whole chain and say up to where it is what was written."""

    def head(self, environment: str) -> Anchor:
        """(seq, hash) of the last entry; seq 0 for an empty chain."""

    def open_deployment(self, service: str, environment: str) -> Deployment | None:
        """The deploy or rollback that is open or held; there is at most one. Moves by hand are not looked at."""

    def deployment(self, id: str) -> Deployment | None:
        """The deployment of that id."""

    def deployments(self, service: str, environment: str, limit: int = 20) -> list[Deployment]:
        """Newest first, moves by hand included; of all services when none is named."""

    def older_entries(
        self, environment: str, service: str, newest: int, steps: Iterable[Step], nodes: Iterable[str]
    ) -> list[Entry]:
        """Entries of these steps that name one of these nodes, oldest first, without the `newest` deployments'."""

    def moves_by_hand(self, service: str, environment: str) -> list[Deployment]:
        """The moves by hand that are open or held, newest first."""

    def last_done(self, service: str, environment: str) -> Deployment | None:
        """The deploy or rollback that was done last: what its nodes are meant to serve."""

    def open(self, deployment: Deployment, event: Event, *, supersedes: tuple[str, Event] | None = None) -> Deployment:
        """Open it; `supersedes` closes that one (by id, with its own event) in the same transaction.

        Raises Refused when another deploy or rollback of this service is open or held.
        """

    def new_attempt(
        self, id: str, plan: str, nodes: tuple[str, ...], event: Event, *, revision: str | None = None
    ) -> Deployment:
        """Open it again as its next attempt. The event's `attempt` is set to it. Raises Refused when it is final.

        `revision`: that of the configuration which it brings by now; a rollback takes what is served.
        """

    def update_state(self, id: str, state: State, event: Event) -> Deployment:
        """Move it to `state`. Raises Refused when it is final already."""
