# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger and the locks, as an action uses them: permit, evidence, events."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.by_hand import is_adoption, purpose
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State, service_of
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import (
    Holder,
    Lease,
    Liveness,
    liveness,
    node_lock,
    service_lock,
    this_process,
    this_user,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.permit import (
    confirms_wave,
    covers,
    evidence_missing,
    undo_refused,
    waves_missing,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.ownership import (
    moved_by_us,
    settled,
    taken_by,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.deployment_folder.folder import DeploymentFolder
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping.controller import controller_pid

# At the module's top, so that Ansible's parent process pays for SQLAlchemy once and not each worker.
try:
    from tidegate.copied import CopiedLedger
    from tidegate.locks import SqlLocks
    from tidegate.store import Store
except ImportError as error:
    PIPELINE_MISSING: str = str(error)
else:
    PIPELINE_MISSING = ""

if TYPE_CHECKING:
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call

# Beyond a step's own deadline: the way there and back, and a busy controller.
LEASE_GRACE = 120.0
# How many deployments back the ledger is read for all nodes; older ones only for those of which these don't tell.
REMEMBERED = 50
# What tells who is out and who joined with what.
_MOVES = (Step.LEAVE, Step.JOIN, Step.WAVE)
# What makes the release the common one comes when every planned wave is online with it.
_AFTER_ALL_WAVES = (Step.RAISE, Step.SETTLE)
PROOFS = (Step.RELEASE, Step.HEALTH, Step.NUNIT, Step.WARMUP)


class Record:
    """One environment's ledger and locks, with the deployment that a call names."""

    def __init__(
        self, url: str, environment: str, deployment_id: str, clean: Callable[[Event], Event] = lambda event: event
    ) -> None:
        """`clean` takes the secrets out of every event before it is written."""
        if PIPELINE_MISSING:
            raise BadInput(
                f"the pipeline isn't installed here ({PIPELINE_MISSING})",
                where="controller",
                remedy="Install it into Ansible's own Python: pip install tidegate",
            )
        store = Store(url)
        self.environment = environment
        self.ledger = CopiedLedger(store, clean, self._copy)
        self.locks = SqlLocks(store)
        self._id = deployment_id
        self._opening: DeploymentFolder | None = None

    @classmethod
    def of(cls, call: Call, deployment_id: str = "") -> Record:
        """The record of the call's environment, with its deployment or that one.

        BadInput when the inventory names no ledger.
        """
        url = str(call.hostvar(call.host, "tidegate_ledger"))
        environment = str(call.hostvar(call.host, "tidegate_environment"))
        return cls(url, environment, deployment_id or call.deployment_id, lambda event: call.redactor.event(event))

    # Who and what

    def holder(self, deployment: str = "", doing: str = "") -> Holder:
        """We, as a lock's holder: the ansible-playbook that lives as long as the deployment runs."""
        return Holder(
            user=this_user(), process=this_process(controller_pid()), deployment=deployment or self._id, doing=doing
        )

    @cached_property
    def deployment(self) -> Deployment:
        """The deployment that the call names. Refused when the ledger doesn't know it."""
        found = self.ledger.deployment(self._id)
        if found is None or found.environment != self.environment:
            raise Refused(
                f"there is no deployment {self._id!r} in environment {self.environment}",
                where="deployment",
                remedy=f"Effects belong to a deployment: run {advice.deploy('SERVICE', 'VERSION')}",
            )
        return found

    @cached_property
    def plan(self) -> dict[str, Any]:
        """The deployment's plan. Refused when it isn't the one that the chain has the digest of."""
        plans = [event for event in self.events_of(Step.PLAN) if event.outcome.good]
        recorded = plans[-1].details.get("plan_sha256") if plans else None
        if recorded != plan_digest(self.deployment.plan):
            raise Refused(
                f"the plan of deployment {self._id} is not the one that was recorded",
                where="ledger: deployments.plan",
                remedy="Somebody changed it there. Find out who, then run the playbook again: it plans anew",
            )
        return dict(json.loads(self.deployment.plan))

    @property
    def events(self) -> list[Event]:
        """The deployment's own events, oldest first."""
        return [entry.event for entry in self.ledger.entries(self.environment, deployment=self._id)]

    def events_of(self, *steps: Step) -> list[Event]:
        """Those of its events that are about these steps: an action must not read what all other nodes did."""
        return [entry.event for entry in self.ledger.entries_of(self.environment, self._id, steps)]

    @cached_property
    def puppet_began(self) -> dict[str, str]:
        """When Puppet was first run on each node for the deployment, an ISO 8601 time by the ledger's clock.

        A node that every run left unchanged is not among them. One whose end nobody saw may have changed something.
        """
        events = self.events_of(Step.PUPPET)
        started = [event for event in events if event.outcome is Outcome.STARTED]
        open_runs = Counter(node for event in started for node in event.nodes)
        open_runs.subtract(node for event in events if event.outcome is Outcome.UNCHANGED for node in event.nodes)
        return {node: event.at for event in reversed(started) for node in event.nodes if open_runs[node] > 0}

    def moves_of(self, services: Iterable[str], nodes: Iterable[str]) -> tuple[dict[str, Deployment], list[Event]]:
        """Deployments of these services, moves by hand included, and when each of these nodes was moved, oldest first.

        The recent ones, and for nodes of which those don't tell enough the older ones too: who took a node out stays
        known however many releases pass it by.
        """
        names = list(services)
        lists = [self.ledger.deployments(name, self.environment, REMEMBERED) for name in names]
        known = {deployment.id: deployment for each in lists for deployment in each}
        entries = [entry for id_ in known for entry in self.ledger.entries_of(self.environment, id_, _MOVES)]
        untold = set(nodes) - settled(entry.event for entry in entries)
        for name in [name for name, each in zip(names, lists, strict=True) if untold and len(each) == REMEMBERED]:
            older = self.ledger.older_entries(self.environment, name, REMEMBERED, _MOVES, untold)
            entries += older
            takers = {event.deployment for event in taken_by(entry.event for entry in older).values()}
            known |= {id_: found for id_ in takers if (found := self.ledger.deployment(id_)) is not None}
        return known, [entry.event for entry in sorted(entries, key=lambda entry: entry.seq)]

    # Permit

    def require_permit(self, nodes: Sequence[str], deadline_s: float, doing: str, *, in_wave: bool = False) -> None:
        """Refused unless the deployment is open, covers `nodes`, and its locks are held by our own controller.

        A step `in_wave` needs the lock of each node too, which beginning the wave took. Renews the lease:
        `deadline_s` is the most that the step takes, in seconds.
        """
        uncovered = [node for node in nodes if not covers(self.deployment, node)]
        if self.deployment.state is not State.OPEN:
            raise Refused(
                f"deployment {self._id} is {self.deployment.state}",
                where=self._id,
                remedy=f"Run the playbook again to go on with {self.deployment.service}",
            )
        if uncovered:
            raise Refused(
                f"deployment {self._id} doesn't cover {', '.join(uncovered)}",
                where=self._id,
                remedy="Only nodes of its plan may be touched: plan again",
            )
        if doing in _AFTER_ALL_WAVES:
            self.require_joined(self.wave_numbers())
        if doing in (Step.PUPPET, Step.REBOOT):
            self._require_left(nodes)
        lease = self._held(self._kept(deadline_s, doing))
        if in_wave:
            self._require_node_locks(lease, nodes)

    def renew(self, deadline_s: float, doing: str) -> None:
        """Keep our locks through a step that only reads; nothing when this controller holds none."""
        self._kept(deadline_s, doing)

    def _kept(self, deadline_s: float, doing: str) -> Lease | None:
        return self.locks.keep(self.holder(), doing, deadline_s + LEASE_GRACE, slack_s=LEASE_GRACE / 2)

    def _require_left(self, nodes: Sequence[str]) -> None:
        online = sorted(set(nodes) - moved_by_us(self.events_of(Step.LEAVE, Step.JOIN)))
        if online:
            raise Refused(
                f"{', '.join(online)} has not left the online pool in this deployment",
                where=self._id,
                remedy="Run the playbook from its beginning: customers' requests drain first",
            )

    def _require_node_locks(self, lease: Lease, nodes: Sequence[str]) -> None:
        missing = [node for node in nodes if node_lock(self.environment, node) not in lease.names]
        if missing:
            raise Refused(
                f"the wave of {', '.join(missing)} has not begun: its node locks are not ours",
                where=self._id,
                remedy="Run the playbook from its beginning",
            )

    def wave_numbers(self) -> list[int]:
        """The planned waves, in order."""
        return [int(wave["number"]) for wave in self.plan.get("waves", [])]

    def all_joined(self) -> bool:
        """Whether all planned waves were confirmed to be online in this attempt."""
        return not waves_missing(self.events_of(Step.WAVE), self.deployment.attempt, self.wave_numbers())

    def configured(self, nodes: Sequence[str]) -> dict[str, list[str]]:
        """These nodes by the configuration's revision that their last good Puppet run of this attempt was of.

        An empty one for a deployment without: what Puppet then says is when the code was read.
        """
        if not self.deployment.revision:
            return {"": list(nodes)}
        runs = [event for event in self.events_of(Step.PUPPET) if event.attempt == self.deployment.attempt]
        good = {node: event for event in runs if event.outcome.good for node in event.nodes}
        found: dict[str, list[str]] = {}
        for node in nodes:
            told = good[node].details.get("revision") if node in good else ""
            found.setdefault(str(told or ""), []).append(node)
        return found

    def require_joined(self, numbers: Iterable[int]) -> None:
        """Refused unless these waves were confirmed to be online in this attempt."""
        missing = waves_missing(self.events_of(Step.WAVE), self.deployment.attempt, numbers)
        if missing:
            raise Refused(
                f"wave {missing[0]} has not joined in this attempt",
                where=self._id,
                remedy="Run the playbook from its beginning, without --limit and --start-at-task",
            )

    def lease(self) -> Lease:
        """Our locks of this deployment. Refused when our controller holds none."""
        return self._held(self.locks.lease_of(self.holder()))

    def _held(self, lease: Lease | None) -> Lease:
        if lease is None:
            raise Refused(
                f"this ansible-playbook holds no lock of deployment {self._id}",
                where=self._id,
                remedy="Run the playbook from its beginning, not a part of it: it takes the lock",
            )
        return lease

    def acquire(self, names: Iterable[str], deployment: str, doing: str, lease_s: float) -> Lease:
        """Take these locks, all or none, and record what was taken over from whom. Raises Locked."""
        lease = self.locks.acquire(sorted(names), self.holder(deployment, doing), lease_s)
        for takeover in lease.taken_over:
            self.ledger.append(
                Event(
                    service=service_of(deployment),
                    environment=self.environment,
                    deployment=deployment,
                    attempt=0,
                    step=Step.LOCK,
                    outcome=Outcome.CHANGED,
                    by=this_user(),
                    details={"msg": str(takeover)},
                )
            )
        return lease

    def live_locks(self) -> frozenset[str]:
        """The names of all locks whose holder may still run."""
        here, now = this_process(), time.time() * 1000
        held = (each for each in self.locks.held() if each.until_ms > now)
        return frozenset(each.name for each in held if liveness(each.holder.process, here) is not Liveness.GONE)

    def require_not_taken_over(self) -> None:
        """Refused when another process that may still run has the service's lock: its state is not ours to set."""
        name = service_lock(self.environment, self.deployment.service)
        ours, here = this_process(controller_pid()), this_process()
        for held in self.locks.held():
            theirs = held.name == name and held.holder.process != ours
            if (
                theirs
                and liveness(held.holder.process, here) is not Liveness.GONE
                and held.until_ms > time.time() * 1000
            ):
                raise Refused(
                    f"{name} is now held by {held.holder.who} for deployment {held.holder.deployment}",
                    where=name,
                    remedy=f"Leave the deployment to that run; see {advice.status(self.deployment.service)}",
                )

    def unlock(self, names: Sequence[str]) -> None:
        """Give some of our locks back before the deployment ends."""
        lease = self.lease()
        self.locks.release(replace(lease, names=tuple(sorted(set(names) & set(lease.names)))))

    def release_ours(self) -> None:
        """Give back what our own controller holds of this deployment; another run of it keeps its locks."""
        self.locks.release_all(self._id, process=this_process(controller_pid()))

    # Evidence

    def require_evidence(self, nodes: Sequence[str], *, undo: bool = True) -> None:
        """Refused unless each node was proved in this attempt or, with `undo`, nothing was deployed since it left.

        A move by hand always needs the proof: nobody knows what was done to the node meanwhile.
        """
        seen = _by_node(self.events)
        by_hand = self.deployment.kind is Kind.HAND
        for node in nodes:
            events = seen[node]
            if undo and not by_hand and not undo_refused(events, node):
                continue
            for service, check in self.plan["nodes"][node]["checks"].items():
                self._require_proof(events, node, service, check)

    def _require_proof(self, events: Iterable[Event], node: str, service: str, check: Mapping[str, Any]) -> None:
        concerning = [event for event in events if event.step not in PROOFS or event.service == service]
        required = [Step(step) for step in ("nunit", "warmup") if check.get(step)]
        by_hand = self.deployment.kind is Kind.HAND
        missing = evidence_missing(concerning, node, self.deployment.attempt, required, by_hand=by_hand)
        if missing:
            raise Refused(
                f"{node} may not join: the ledger has no good {', '.join(missing)} of {service} in this attempt",
                where=f"{node}, deployment {self._id}",
                remedy="Run the playbook from its beginning: it verifies the node and then lets it join",
            )

    # Events

    def event(
        self,
        step: str,
        outcome: str,
        nodes: Sequence[str] = (),
        details: Mapping[str, Any] | None = None,
        duration_ms: int | None = None,
        service: str = "",
    ) -> Event:
        """An event of this deployment; `service` when it is about one that moves with it."""
        wave = self._wave_of(nodes)
        return Event(
            service=service or self.deployment.service,
            environment=self.environment,
            deployment=self._id,
            attempt=self.deployment.attempt,
            step=Step(step),
            outcome=Outcome(outcome),
            site=str(wave.get("site", "")),
            wave=wave.get("number"),
            nodes=tuple(nodes),
            by=this_user(),
            duration_ms=duration_ms,
            details=_chosen(details or {}),
        )

    def record(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (the same as event's)
        """Write one event of this deployment."""
        self.append([self.event(*args, **kwargs)])

    def append(self, events: Iterable[Event]) -> None:
        """Write these events, all or none."""
        self.ledger.append_all(events)

    # The folder

    @cached_property
    def folder(self) -> DeploymentFolder | None:
        """The deployment's folder, which its plan names; None for a plan that was made before there were folders."""
        path = self.plan.get("folder")
        return DeploymentFolder(Path(path)) if path else None

    def close_adoptions(self) -> None:
        """End the adoptions of nodes that this deployment has brought in."""
        joined = {node for event in self.events_of(Step.WAVE) if confirms_wave(event) for node in event.nodes}
        for move in self.ledger.moves_by_hand(self.deployment.service, self.environment):
            if is_adoption(move) and joined.issuperset(move.nodes):
                closing = Event(
                    service=move.service,
                    environment=self.environment,
                    deployment=move.id,
                    attempt=move.attempt,
                    step=Step.CLOSE,
                    outcome=Outcome.OK,
                    by=this_user(),
                    nodes=move.nodes,
                    details={"msg": f"{', '.join(move.nodes)} joined with deployment {self._id}"} | purpose(move),
                )
                self.ledger.update_state(move.id, State.DONE, closing)

    def keep_in(self, folder: DeploymentFolder) -> None:
        """Make the folder of the deployment that is about to be opened. Raises Refused when it can't be written."""
        folder.prepare()
        self._opening = folder

    def copy_events(self) -> None:
        """Bring the folder's copy of the deployment's events up to date."""
        if self.folder is not None:
            self._copy(self._id)

    def _copy(self, deployment: str) -> None:
        """Copy what was just written. The ledger has it: whatever is wrong here must not fail the step."""
        # The plan was read for the event that was just written; reading it here could fail.
        folder = self._opening or (self.folder if "plan" in self.__dict__ else None)
        if folder is not None and deployment:
            folder.beside(deployment).copy_events(lambda seq: self.ledger.bodies(self.environment, deployment, seq))

    def _wave_of(self, nodes: Sequence[str]) -> dict[str, Any]:
        waves = [wave for wave in self.plan.get("waves", []) if set(nodes) & set(wave["nodes"])]
        return dict(waves[0]) if len(waves) == 1 else {}


def _by_node(events: Iterable[Event]) -> defaultdict[str, list[Event]]:
    """Each node's events in their order: looking through all of them for each node would cost the square of a wave."""
    found: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        for node in event.nodes:
            found[node].append(event)
    return found


def plan_digest(plan: str) -> str:
    """What the chain keeps of a plan, whose text stands beside it."""
    return hashlib.sha256(plan.encode()).hexdigest()


def _chosen(details: Mapping[str, Any]) -> dict[str, Any]:
    """Values that an event has a place for; structured ones as their JSON text."""
    return {key: _fitting(value) for key, value in details.items()}


def _fitting(value: Any) -> Any:  # noqa: ANN401
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    return json.dumps(value, sort_keys=True, default=str)
