# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a request to an open deployment: look, decide, lock, record."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import (
    Catalog,
    find_service,
    load_catalog,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.placement import Placement, hosts_of, place
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Service
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.by_hand import is_repair, is_thaw, purpose
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.history import History, read_history
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import (
    Deployment,
    Kind,
    new_deployment_id,
    service_of,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import locked, service_lock, this_user
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.opening import Opening
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import Served, SiteView
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.leaving_out import (
    require_down,
    require_leavable,
    with_way_on,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import Configuration
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import WHILE_PLANNING
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.record import Record, plan_digest
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.secrets import require_no_secret
from ansible_collections.tidegate.delivery.plugins.plugin_utils.deployment_folder.folder import (
    DeploymentFolder,
    folder_of,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.deployment_folder.summary_files import (
    complete,
    keep_summary,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.configuration import (
    Told,
    of_all,
    told_configurations,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.survey import (
    Look,
    read_load_balancers,
    read_nodes,
    require_fit,
    site_view,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.plan_facts import first_error

# Looking at a large site and opening takes no longer than this; the first step renews it.
PLANNING_LEASE = 300.0
# The one that was done last, and one that it superseded.
_ENDED_LATELY = 2
# Of those that were superseded in a row, and the moves by hand in between.
_PAST = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one service right now."""

    sites: tuple[SiteView, ...]
    looks: Mapping[str, Look]
    # By load balancer that is left out, what proves that it is down.
    left_out: Mapping[str, str] = field(default_factory=dict)

    def common_version(self, but: str = "") -> str:
        """The version that most nodes serve, `but` not counted; empty when none tells."""
        versions = Counter(node.served.version for site in self.sites for node in site.nodes)
        ranked = [version for version, _count in versions.most_common() if version and version != but]
        return ranked[0] if ranked else ""

    def release_before(self, target: Served, moving: Collection[str]) -> Served:
        """What a rollback from `target` goes back to: the other version that most nodes serve, as they joined with it.

        When the nodes that move all serve the target's version: that version, with what they joined with.
        """
        nodes = [node for site in self.sites for node in site.nodes]
        moved = [node for node in nodes if node.name in moving]
        joined = [node.joined for node in nodes if node.joined]
        version = self.common_version(but=target.version)
        if target.revision and moved and all(node.served.same_as(target) for node in moved):
            others = [node.joined for node in moved if node.joined and node.joined.same_as(target)]
            others = [each for each in others if each.revision != target.revision]
            version, joined = (target.version, others) if others else (version, joined)
        revisions = Counter(each.revision for each in joined if each.version == version)
        return Served(version, revision=revisions.most_common(1)[0][0] if version and revisions else "")


class Scene:
    """One service in one environment, as a request finds it."""

    def __init__(self, call: Call, name: str, catalog: Catalog | None = None) -> None:
        self.call = call
        self.environment = str(call.hostvar(call.host, "tidegate_environment"))
        folder = str(call.hostvar(call.host, "tidegate_services"))
        self.catalog: Catalog = load_catalog(folder, self.environment) if catalog is None else catalog
        self.service: Service = find_service(self.catalog, name, folder)
        self.placements: list[Placement] = place(self.service, self.catalog, call.vars["groups"])
        self.record = call.ledger

    @property
    def under_way(self) -> Deployment | None:
        """The deploy or rollback that is open or held."""
        return self.record.ledger.open_deployment(self.service.name, self.environment)

    @property
    def last_done(self) -> Deployment | None:
        """The deploy or rollback that was done last."""
        return self.record.ledger.last_done(self.service.name, self.environment)

    @property
    def past(self) -> list[Deployment]:
        """Its latest deployments, newest first."""
        return self.record.ledger.deployments(self.service.name, self.environment, _PAST)

    def configuration(self, kind: Kind) -> Configuration:
        """What the compile servers serve right now, or why that has no revision or doesn't count. Asked once."""
        if self.service.deploy.puppet.revision == "ignored":
            return Configuration(why=f"deploy.puppet.revision of {self.service.name} is ignored")
        return of_all(self._configurations, kind)

    @cached_property
    def _configurations(self) -> Told:
        servers = self.service.deploy.puppet.servers
        named = hosts_of(servers, self.call.vars["groups"], f"{self.service.name}: deploy.puppet.servers")
        return told_configurations(self.call, named, self.nodes)

    def all_moved(self) -> bool:
        """Whether every wave of the open deployment's last attempt has joined, so that only settling is left."""
        return self.under_way is not None and Record.of(self.call, self.under_way.id).all_joined()

    @property
    def left_out(self) -> tuple[str, ...]:
        """The nodes that the last attempt of the open deployment left out and that still host the service.

        Refused when its plan is not the one that was recorded.
        """
        under_way = self.under_way
        if under_way is None:
            return ()
        here = set(self.nodes)
        return tuple(node for node in self._recorded_plan(under_way).get("excluded", []) if node in here)

    @property
    def gone_without(self) -> tuple[str, ...]:
        """The load balancers of the service without which the last attempt of the open deployment went on.

        Refused when its plan is not the one that was recorded.
        """
        under_way = self.under_way
        here = {name for placement in self.placements for name in placement.load_balancers}
        named = self._recorded_plan(under_way).get("without", []) if under_way else []
        return tuple(name for name in named if name in here)

    def _recorded_plan(self, deployment: Deployment) -> dict[str, Any]:
        try:
            return Record.of(self.call, deployment.id).plan
        except Refused as error:
            name = self.service.name
            rollback = deployment.kind is Kind.ROLLBACK
            command = advice.rollback(name) if rollback else advice.deploy(name, deployment.version)
            remedy = f"Find out who changed it; then name the nodes to leave out yourself: {command}"
            raise Refused(error.message, where=error.where, remedy=remedy) from error

    def placement_of(self, node: str) -> Placement:
        """The site to which a node belongs. Raises BadInput for a node that doesn't host the service."""
        for placement in self.placements:
            if node in placement.nodes:
                return placement
        known = ", ".join(self.nodes)
        raise BadInput(
            f"{node} doesn't host {self.service.name}", where=self.service.name, remedy=f"Its nodes are {known}"
        )

    @property
    def nodes(self) -> list[str]:
        """The nodes of all its sites."""
        return [node for placement in self.placements for node in placement.nodes]

    @cached_property
    def history(self) -> History:
        """Who took which node out last, and with what each joined."""
        names = [self.service.name, *(name for name in self.service.moves_with if name in self.catalog)]
        known, events = self.record.moves_of(names, self.nodes)
        return read_history(self.service.name, known, events)

    def look(self, gone_without: Sequence[str] = ()) -> Seen:
        """Every load balancer and node. Raises the first load balancer's error: nothing moves without all of them.

        One that the operator leaves out must be down; one of `gone_without`, an earlier attempt's, may be back.
        """
        named = [str(name) for name in self.call.args.get("without") or []]
        without = tuple(dict.fromkeys([*named, *gone_without]))
        sites_named = {placement.site.name: placement.load_balancers for placement in self.placements}
        require_leavable(self.service.name, without, sites_named)
        self.call.stopping.look(WHILE_PLANNING)
        sites: list[SiteView] = []
        looks: dict[str, Look] = {}
        left_out: dict[str, str] = {}
        for placement in self.placements:
            self.call.progress(f"asking {len(placement.load_balancers)} load balancers, {len(placement.nodes)} nodes")
            states = read_load_balancers(self.call, placement, without)
            for host, state in states.items():
                if isinstance(state, DomainError):
                    raise state if host in without else with_way_on(host, state, placement.load_balancers)
            answered = {host: state for host, state in states.items() if not isinstance(state, DomainError)}
            require_down(answered, named)
            left_out |= {host: state.proof for host, state in answered.items() if state.down}
            require_fit(placement, answered)
            looks |= read_nodes(self.call, placement)
            sites.append(site_view(placement, answered, looks, self.history))
        return Seen(tuple(sites), looks, left_out)

    def require_ready(self) -> None:
        """Refused unless the compile servers and the test boxes answer and have what the steps need there."""
        puppet = self.service.deploy.puppet
        groups = self.call.vars["groups"]
        servers = hosts_of(puppet.servers, groups, f"{self.service.name}: deploy.puppet.servers")
        # Where pins are the nodes' own facts and others raise the common value, nothing is written there.
        written = servers if puppet.pin == "hiera" or puppet.common == "layer" else ()
        folders = {host: str(self.call.hostvar(host, "tidegate_rollout_dir")) for host in written}
        here = {each.name: each for placement in self.placements for on in placement.services.values() for each in on}
        for service in here.values():
            if service.verify.nunit:
                box = hosts_of(service.verify.nunit.box, groups, f"{service.name}: verify.nunit.box")[0]
                folders[box] = str(self.call.hostvar(box, "tidegate_test_dir"))
        self.call.nodes(folders)
        answers = self.call.in_parallel(lambda host: self._require_folder(host, folders[host]), list(folders))
        error = first_error(answers, list(folders))
        if error is not None:
            raise error

    def _require_folder(self, host: str, folder: str) -> None:
        # It may have to be made: then the nearest folder above it must be writable.
        script = 'at=$1; while [ ! -e "$at" ]; do at=$(dirname "$at"); done; [ -d "$at" ] && [ -w "$at" ]'
        if self.call.nodes([host])[host].sh(script, folder).rc != 0:
            raise Refused(f"{folder} can't be written", where=host, remedy="Check the path and its permissions")

    # Locks and the ledger

    def lock_names(self) -> list[str]:
        """The service's lock, and those of the services that share its nodes: their floors are at stake too."""
        names = {each.name for placement in self.placements for here in placement.services.values() for each in here}
        return sorted(service_lock(self.environment, name) for name in names)

    def require_turn(self) -> None:
        """Raise Locked while a service that shares nodes with this one is being deployed."""
        names = self.record.live_locks().intersection(self.lock_names())
        for held in self.record.locks.held():
            if held.name in names and service_of(held.holder.deployment) != self.service.name:
                raise locked(held, self.record.holder())

    @contextmanager
    def locked(self, deployment: str) -> Iterator[None]:
        """Hold the locks; they stay held when the block ends well, for the waves that follow, and go when it fails."""
        lease = self.record.acquire(self.lock_names(), deployment, "planning", PLANNING_LEASE)
        try:
            yield
        except BaseException:
            self.record.locks.release(lease)
            raise

    def unlock(self, deployment: str) -> None:
        """Give the locks back: there is nothing to do."""
        self.record.locks.release_all(deployment)

    def event(
        self, step: Step, outcome: Outcome, deployment: str, details: Mapping[str, Any], nodes: Sequence[str] = ()
    ) -> Event:
        """An event of this service. The ledger sets the attempt."""
        return Event(
            service=self.service.name,
            environment=self.environment,
            deployment=deployment,
            attempt=1,
            step=step,
            outcome=outcome,
            by=this_user(),
            nodes=tuple(nodes),
            details=details,
        )

    def open(
        self, opening: Opening, deployment: Deployment, plan: Mapping[str, Any], table: Sequence[str]
    ) -> Deployment:
        """Open the deployment or its next attempt: the plan beside the chain, its digest and every decision in it."""
        self.call.stopping.look(WHILE_PLANNING)
        require_no_secret(plan, self.call.redactor)
        self.record.keep_in(DeploymentFolder(Path(plan["folder"])))
        ledger = self.record.ledger
        text = json.dumps(plan, sort_keys=True)
        told: dict[str, Any] = {"msg": str(plan["msg"]), "version": deployment.version, "digest": deployment.digest}
        told |= purpose(replace(deployment, plan=text))
        told |= {"plan_sha256": plan_digest(text), "decisions": list(table)}
        told |= {"revision": deployment.revision} if deployment.revision else {}
        told |= {"left_out": plan["left_out"]} if plan.get("left_out") else {}
        event = self.event(Step.PLAN, Outcome.OK, deployment.id, told, deployment.nodes)
        if opening.resumes:
            return ledger.new_attempt(deployment.id, text, deployment.nodes, event, revision=deployment.revision)
        supersedes = None
        if opening.supersedes:
            ended = {"msg": f"superseded by {deployment.id}", "superseded_by": deployment.id}
            before = ledger.deployment(opening.supersedes)
            ended |= purpose(before) if before else {}
            supersedes = (opening.supersedes, self.event(Step.CLOSE, Outcome.OK, opening.supersedes, ended))
        opened = ledger.open(replace(deployment, plan=text), event, supersedes=supersedes)
        if opening.supersedes:
            self._sum_up(opening.supersedes)
        return opened

    def _sum_up(self, superseded: str) -> None:
        """Its summary still says what leads on from there. The ledger has its end, so nothing here may fail."""
        record = Record.of(self.call, superseded)
        with suppress(DomainError):
            keep_summary(record, record.deployment, self.call.redact)

    def complete_ended(self) -> None:
        """Write what a run that was killed at its very end left out of its folder. The ledger has it: none may fail."""
        for ended in self.record.ledger.deployments(self.service.name, self.environment, _ENDED_LATELY):
            if ended.state.final:
                with suppress(DomainError):
                    complete(Record.of(self.call, ended.id), self.call.redact)

    def keep_plan(self, plan: Mapping[str, Any]) -> None:
        """Leave the plan in the folder of the deployment that was just opened."""
        DeploymentFolder(Path(plan["folder"])).write_json("plan.json", self.call.redact(plan))

    def deployment_id(self, opening: Opening) -> str:
        """The id under which the request goes on."""
        return opening.resumes or new_deployment_id(self.service.name)

    def folder(self, deployment: str) -> str:
        """The folder that the deployment gets. Raises Refused when it can't be written; makes nothing yet."""
        folder = folder_of(self.call, self.environment, deployment)
        folder.require_writable()
        return str(folder)

    def require_unchanged(self, seen_before: Deployment | None) -> None:
        """Refused when somebody opened or ended a deployment while we waited for the lock."""
        now = self.under_way
        if (now.id if now else "") != (seen_before.id if seen_before else ""):
            raise Refused(
                f"the open deployment of {self.service.name} changed while this one waited for the lock",
                where=self.service.name,
                remedy="Run the same command again",
            )


def hand_deployment(scene: Scene, node: str) -> Deployment | None:
    """The open move by hand of a node, if there is one."""
    moves = scene.record.ledger.moves_by_hand(scene.service.name, scene.environment)
    return next((each for each in moves if node in each.nodes and not _owns_none(each)), None)


def open_by_hand(scene: Scene, such: Callable[[Deployment], bool]) -> Deployment | None:
    """What of that kind was begun by hand and not brought to its end, if there is one."""
    moves = scene.record.ledger.moves_by_hand(scene.service.name, scene.environment)
    return next((each for each in moves if such(each)), None)


def _owns_none(move: Deployment) -> bool:
    return is_repair(move) or is_thaw(move)
