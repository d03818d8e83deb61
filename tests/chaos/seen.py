"""What is to be seen from outside after a kill and after the next run: load balancers, node, ledger, files."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property

import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import parse as parse_event
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, State
from ansible_collections.tidegate.delivery.plugins.module_utils.node import jobs
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import JobState, Phase
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from lab.demo import allowed_minima
from lab.facts import ENVIRONMENT, newest_deployment, read_facts
from lab.haproxy_socket import ask
from lab.layout import Layout, Service
from lab.sampler import Pool, Row, in_both, parse, usable
from lab.sshd import NODE_ROOT
from lab.witness import wait_until
from tests.waiting import PATIENCE_S
from tidegate.ledger import SqlLedger
from tidegate.locks import SqlLocks
from tidegate.store import Store


@dataclass(frozen=True, slots=True)
class Job:
    """A Puppet run on a node, by the id under which it was started, and its process."""

    id: str
    pid: int


class Unmet(Exception):
    """A demand that was not met, in words."""


def require(met: object, otherwise: str) -> None:
    """Raise Unmet with these words unless it is so."""
    if not met:
        raise Unmet(otherwise)


@dataclass
class Looker:
    """Looks at one service and at the one node of it that is deployed to."""

    layout: Layout
    service: Service
    node: str

    @cached_property
    def ledger(self) -> SqlLedger:
        return SqlLedger(Store(f"sqlite:///{self.layout.ledger}"))

    # Looking

    def events(self) -> list[Event]:
        """The service's events, of all deployments."""
        every = (entry.event for entry in self.ledger.entries(ENVIRONMENT))
        return [event for event in every if event.service == self.service.name]

    def newest(self) -> Deployment | None:
        return newest_deployment(self.layout, self.service)

    def serving(self) -> str:
        """The version that the node itself tells; empty when it doesn't."""
        return read_facts(self.layout, self.service).serving[self.node]

    def rows(self) -> dict[str, list[Row]]:
        """All servers by load balancer."""
        hosts = self.layout.load_balancers
        return {host.name: parse(ask(host.haproxy_socket, "show stat -1 4 -1")) for host in hosts}

    def running_job(self) -> Job | None:
        """The deployment's Puppet run that goes on at the node, if there is one."""
        newest = self.newest()
        found = {} if newest is None else self._jobs(newest)
        live = [Job(id, state.pid or 0) for id, state in found.items() if state.phase is Phase.RUNNING]
        return live[0] if live else None

    def run_under_way(self) -> Job | None:
        """The same, once Puppet itself says that it runs: its lock is what another run would wait for."""
        lock = self.layout.host(self.node).puppet_vardir / "state" / "agent_catalog_run.lock"
        wait_until(lambda: lock.exists() or self.running_job() is None, PATIENCE_S)
        return self.running_job()

    def puppet_steps(self) -> int:
        """How many Puppet steps have begun."""
        return len([event for event in self.events() if event.step is Step.PUPPET and event.outcome is Outcome.STARTED])

    def _jobs(self, deployment: Deployment) -> dict[str, JobState]:
        host, family = self.layout.host(self.node), jobs.job_id(deployment.id, self.node) + "."
        # As on the node: another boot's jobs are over.
        shell = LocalShell({**os.environ, NODE_ROOT: str(host.root)})
        return jobs.find(PosixNode(self.node, shell), str(host.tidegate_state / "jobs"), family)

    # Demands

    def require_invariants(self, before: str) -> None:
        """What must hold at any moment, `before` being what the node served when the deployment began."""
        pool = Pool(self.service.name, self.service.online, self.service.maintenance)
        floor = allowed_minima(self.layout)[self.service.name]
        proved = {before, *self._proved()}
        for name, rows in self.rows().items():
            both, online = in_both(rows, pool), usable(rows, pool.online)
            require(not both, f"{both} is in both pools of {name}")
            require(len(online) >= floor, f"{name} has only {online} online; {floor} must be")
            if any(row.server == self.node and row.reachable for row in rows if row.backend == pool.online):
                serving = self.serving()
                require(serving in proved, f"{name} sends customers to {serving!r}, proved are {sorted(proved)}")
        verdict = self.ledger.verify(ENVIRONMENT)
        require(verdict.intact, f"the ledger's chain is {verdict}")

    def _proved(self) -> set[str]:
        """What the newest deployment has proved on the node, by its tests."""
        newest = self.newest()
        if newest is None:
            return set()
        passed = [event for event in self._of(newest) if event.step is Step.NUNIT and event.outcome.good]
        return {newest.version} if passed else set()

    def _of(self, deployment: Deployment) -> list[Event]:
        return [event for event in self.events() if event.deployment == deployment.id]

    def require_finished(self, version: str) -> None:
        """Everything is as after a deployment that nobody disturbed."""
        newest = self.newest()
        require(newest is not None and newest.state is State.DONE, f"the deployment is {newest and newest.state}")
        self._require_place(online=True)
        serving = self.serving()
        require(serving == version, f"the node serves {serving!r} and not {version}")
        self._require_nothing_left()
        pinned = self._pinned()
        require(not pinned, f"the node is still pinned: {pinned}")
        assert newest is not None
        self._require_folder(newest)

    def require_held(self, *, in_maintenance: bool) -> None:
        """Nothing goes on, and the deployment waits for whoever decides."""
        newest = self.newest()
        require(newest is not None and newest.state is State.HELD, f"the deployment is {newest and newest.state}")
        self._require_place(online=not in_maintenance)
        self._require_nothing_left()

    def _require_place(self, *, online: bool) -> None:
        wanted, other = self.service.online, self.service.maintenance
        if not online:
            wanted, other = other, wanted
        for name, rows in self.rows().items():
            require(self.node in usable(rows, wanted), f"{name} can't use {self.node} in {wanted}")
            there = [row.status for row in rows if row.backend == other and row.server == self.node]
            require(there == ["MAINT"], f"{self.node} is {there} in {other} of {name}")

    def _require_nothing_left(self) -> None:
        mine = (self.service.name, self.node)
        held = [lock.name for lock in SqlLocks(Store(f"sqlite:///{self.layout.ledger}")).held()]
        left = [name for name in held if name.endswith(tuple(f"/{word}" for word in mine))]
        require(not left, f"locks are left: {left}")
        frozen = self.layout.host(self.node).puppet_vardir / "state" / "agent_disabled.lock"
        require(not frozen.exists(), f"Puppet is still disabled: {frozen.read_text() if frozen.exists() else ''}")

    def _require_folder(self, deployment: Deployment) -> None:
        """Its copy of the ledger lacks nothing, and its summary tells the end."""
        folder = self.layout.ledger.parent / "deployments" / ENVIRONMENT / deployment.id
        copied = [parse_event(line)[:2] for line in (folder / "events.jsonl").read_bytes().splitlines()]
        recorded = [(entry.event, entry.seq) for entry in self.ledger.entries(ENVIRONMENT, deployment.id)]
        lacking = [f"{event.step} {event.outcome}" for event, seq in recorded if (event, seq) not in copied]
        require(copied == recorded, f"{folder} has {len(copied)} of {len(recorded)} events; it lacks {lacking}")
        summary = folder / "summary.json"
        told = json.loads(summary.read_text())["ended_at"] if summary.exists() else "nothing"
        require(told == deployment.closed_at, f"{summary} tells {told}, the ledger {deployment.closed_at}")

    def _pinned(self) -> dict[str, object]:
        path = self.layout.rollout_dir / "nodes" / f"{self.layout.host(self.node).certname}.yaml"
        values = yaml.safe_load(path.read_text()) or {} if path.exists() else {}
        return {key: value for key, value in values.items() if key.startswith(f"{self.service.name}::")}

    def require_adopted(self, id: str) -> None:
        """A Puppet run that went on at the kill was adopted, not started twice."""
        newest = self.newest()
        assert newest is not None
        puppet = [event for event in self._of(newest) if event.step is Step.PUPPET]
        told = [(event.details.get("job_id"), event.details.get("adopted")) for event in puppet if event.outcome.good]
        # Of a node that was rebooted there is the run before it, too, which the killed command saw the end of.
        jobs = {str(job) for job, _ in told}
        once = len(jobs) == len(told)
        require(once and told[-1:] == [(id, True)], f"{id} went on at the kill and was not adopted: {told}")
        there = list(self._jobs(newest))
        require(set(there) == jobs, f"{id} went on at the kill, and there are {there} now")
