# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as the playbook's roles take it: every URL, share and time filled in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.artifact import (
    Artifact,
    checked_version,
    find_artifact,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.descriptor_types import fill
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.placement import Placement, hosts_of
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Service
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service_nunit import NUnit, NUnitAim
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import Fate, Plan, PlannedWave, Served
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.place import Place
from ansible_collections.tidegate.delivery.plugins.module_utils.values import format_duration
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.survey import (
    Look,
    address_of,
    release_question,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.health_facts import health_facts


@dataclass(frozen=True, slots=True)
class Target:
    """The release that the service's nodes shall serve."""

    version: str
    digest: str
    artifact: Artifact
    revision: str = ""

    @property
    def served(self) -> Served:
        """What a node must tell when it serves this release, and the configuration that it must have been given."""
        return Served(self.version, self.digest, self.revision)


def artifact_of(call: Call, service: Service, version: str) -> Artifact:
    """The artifact of a release. Raises BadInput when there is no such version."""
    repository = str(call.hostvar(call.host, "tidegate_artifacts", ""))
    environment = str(call.hostvar(call.host, "tidegate_environment"))
    url = fill(
        service.artifact.url, artifacts=repository, service=service.name, version=version, environment=environment
    )
    return find_artifact(service.name, version, url)


def wave_facts(plan: Plan, placements: Mapping[str, Placement], without: Collection[str] = ()) -> list[dict[str, Any]]:
    """The waves with the pools that move in each; `without` are load balancers that are down."""
    return [_wave(number, wave, placements[wave.site], without) for number, wave in enumerate(plan.waves, 1)]


def _wave(number: int, wave: PlannedWave, placement: Placement, without: Collection[str]) -> dict[str, Any]:
    return {
        "number": number,
        "site": wave.site,
        "nodes": list(wave.nodes),
        "load_balancers": list(wave.load_balancers),
        "without": [name for name in wave.load_balancers if name in without],
        "asked": wave.asked,
        "limited_by": wave.limited_by,
        "pools": [
            {
                "online": move.pool.online,
                "maintenance": move.pool.maintenance,
                "min_online": str(move.min_online),
                "nodes": list(move.nodes),
                "unchecked": move.pool.unchecked,
            }
            for move in placement.moves(wave.nodes)
        ],
    }


def left_out_facts(proofs: Mapping[str, str]) -> dict[str, list[str]]:
    """The load balancers without which it goes on, and what proves of each that it is down."""
    return {"without": list(proofs), "left_out": [f"{name}: {proof}" for name, proof in proofs.items()]}


def for_plays(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What plays and roles take of the plan: nothing about single nodes.

    Ansible goes through all facts whenever a template reads one, for every task. The actions read what is asked of a
    node, and what must be answered, from the recorded plan.
    """
    told = {key: value for key, value in facts.items() if key not in ("nodes", "releases", "nagios")}
    return told | {"downtime": bool(facts.get("nagios"))}


def for_wave(plan: Mapping[str, Any], number: int) -> dict[str, Any]:
    """What the plays and roles of one wave take of the recorded plan: nothing about other waves."""
    kept = {key: value for key, value in for_plays(plan).items() if key not in ("order", "sizes")}
    return kept | {"waves": [wave for wave in plan["waves"] if wave["number"] == number]}


def puppet_facts(
    call: Call,
    service: Service,
    target: Target,
    plan: Plan,
    known: Mapping[str, Served],
    deployment: str,
    looks: Mapping[str, Look],
) -> dict[str, Any]:
    """Pins: what the wave's nodes get, what nodes that are left out keep, what goes at the end.

    What is `open` lets Puppet change the service, and goes before a node joins.

    `known` is each node's release. Raises Refused for a node that is left out and would take the new release by itself:
    nobody knows which one it has, or its pin is a fact of its own and it can't be reached.
    """
    puppet = service.deploy.puppet
    if Place(puppet.pin) is Place.FACT:
        require_reached(service, plan.of(Fate.SKIP), looks)
    return {
        "place": puppet.pin,
        "servers": list(hosts_of(puppet.servers, call.vars["groups"], f"{service.name}: deploy.puppet.servers")),
        "timeout": format_duration(puppet.timeout),
        "common": puppet.common,
        "merge_within": format_duration(puppet.merge_within),
        "pin": _pin(service, target.served),
        "open": {puppet.open_key: deployment} if puppet.open_key else {},
        "keep": {name: _kept(call, service, name, known) for name in plan.of(Fate.SKIP)},
        "unpin": [node.name for node in plan.nodes if node.fate is not Fate.SKIP],
    }


def require_reached(service: Service, left_out: Sequence[str], looks: Mapping[str, Look]) -> None:
    """Refused when a node that is left out can't be told its pin, which would be a fact of its own."""
    for name in left_out:
        if looks[name].unreachable:
            raise Refused(
                f"{name} is left out and can't be reached, and its pin would be a fact of its own: nothing would keep "
                f"it from the new release when it comes back ({looks[name].unreachable})",
                where=f"{service.name}: {name}",
                remedy="Bring it back, take it out of the inventory, or set deploy.puppet.pin to hiera",
            )


def _kept(call: Call, service: Service, name: str, known: Mapping[str, Served]) -> dict[str, str]:
    served = known.get(name, Served())
    if not served.version:
        raise Refused(
            f"{name} is left out, and nobody knows which release it has: it can't be pinned to it",
            where=f"{service.name}: {name}",
            remedy="Bring it back until it tells its version, or take it out of the inventory",
        )
    if service.deploy.puppet.digest_key and not served.digest:
        served = Served(served.version, artifact_of(call, service, served.version).sha256)
    return _pin(service, served)


def _pin(service: Service, served: Served) -> dict[str, str]:
    puppet = service.deploy.puppet
    checked_version(served.version)
    digest = {puppet.digest_key: served.digest} if puppet.digest_key and served.digest else {}
    return {puppet.key: served.version, **digest}


class Checks:
    """What proves a node, for every service on it. Reads each release's artifact once.

    Tests go through a load balancer that is not in `without`.
    """

    def __init__(
        self,
        call: Call,
        service: Service,
        target: Target,
        looks: Mapping[str, Look],
        without: Collection[str] = (),
    ) -> None:
        self._call = call
        self._service = service
        self._target = target
        self._looks = looks
        self._without = without
        self._artifacts: dict[tuple[str, str], Artifact] = {(service.name, target.version): target.artifact}

    def of(self, host: str, placement: Placement) -> dict[str, dict[str, Any]]:
        """One node's checks by service: the deployed one at the target, those beside it at what they serve."""
        return {service.name: self._check(service, host, placement) for service in placement.services[host]}

    def _check(self, service: Service, host: str, placement: Placement) -> dict[str, Any]:
        expected = self._expected(service, host)
        verify = service.verify
        return {
            "release": self._release(service, host, expected),
            "health": health_facts(
                verify.health,
                self._words(service, host, expected, placement),
                deployed=service is self._service,
            ),
            "nunit": self._nunit(service, host, verify.nunit, expected, placement) if verify.nunit else None,
            "warmup": {
                "urls": list(verify.warmup.urls),
                "until": {"p95": format_duration(verify.warmup.until.p95)},
                "timeout": format_duration(verify.warmup.timeout),
            }
            if verify.warmup
            else None,
        }

    def _words(self, service: Service, host: str, expected: Served, placement: Placement) -> dict[str, str]:
        """What the placeholders of a service's health checks stand for on one node."""
        first = next(name for name in placement.load_balancers if name not in self._without)
        return {
            "node": address_of(self._call, host),
            "name": host,
            "load_balancer": address_of(self._call, first),
            "service": service.name,
            "environment": str(self._call.hostvar(host, "tidegate_environment")),
            "version": expected.version,
        }

    def _expected(self, service: Service, host: str) -> Served:
        if service is self._service:
            return self._target.served
        look = self._looks[host]
        if not look.served[service.name].version:
            raise Refused(
                f"{service.name} on {host} doesn't tell its release: {look.problems.get(service.name, 'no answer')}",
                where=f"{service.name} on {host}",
                remedy=f"It moves with {self._service.name}: mend it first, or leave {host} out",
            )
        return look.served[service.name]

    def _release(self, service: Service, host: str, expected: Served) -> dict[str, Any]:
        url, version, digest = release_question(self._call, service, host)
        told = {"path": digest, "value": expected.digest} if digest and expected.digest else None
        return {
            "url": url,
            "version": {"path": version, "value": expected.version},
            "digest": told,
            "timeout": format_duration(service.verify.release.timeout),
        }

    def _nunit(
        self, service: Service, host: str, nunit: NUnit, expected: Served, placement: Placement
    ) -> dict[str, Any]:
        artifact = self._artifact(service, expected.version)
        box = hosts_of(nunit.box, self._call.vars["groups"], f"{service.name}: verify.nunit.box")[0]
        usable = [name for name in placement.load_balancers if name not in self._without]
        environment = str(self._call.hostvar(usable[0], "tidegate_environment"))
        named = {"node": host, "service": service.name, "environment": environment}
        if nunit.aim.by == "port":
            named["node_port"] = str(node_port(self._call, service, host))
        return {
            "box": box,
            "url": fill(nunit.url, load_balancer=address_of(self._call, usable[0]), **named),
            "aim": _aim(nunit.aim, named),
            "probe": _probe(service),
            "artifact": {"url": artifact.url, "sha256": artifact.sha256},
            "assemblies": list(nunit.assemblies),
            "runner": nunit.runner.value,
            "program": list(nunit.program),
            "parallel": nunit.parallel,
            "secrets": dict(nunit.secrets),
            "log": self._log(service, nunit, usable),
            "min_tests": nunit.min_tests,
            "allowed_failures": nunit.allowed_failures,
            "required_tests": list(nunit.required_tests),
            "categories": nunit.categories.model_dump(),
            "quarantine": [entry.model_dump() for entry in nunit.quarantine],
            "timeout": format_duration(nunit.timeout),
            "queue_timeout": format_duration(nunit.queue_timeout),
        }

    def _log(self, service: Service, nunit: NUnit, load_balancers: Sequence[str]) -> dict[str, Any]:
        files = {name: str(self._call.hostvar(name, "tidegate_haproxy_log", "")) for name in load_balancers}
        backends = [name for pool in service.pools for name in (pool.online, pool.maintenance)]
        return {
            **nunit.log.model_dump(),
            "files": {name: path for name, path in files.items() if path},
            "backends": backends,
        }

    def _artifact(self, service: Service, version: str) -> Artifact:
        key = (service.name, version)
        if key not in self._artifacts:
            self._artifacts[key] = artifact_of(self._call, service, version)
        return self._artifacts[key]


def _aim(aim: NUnitAim, named: Mapping[str, str]) -> dict[str, str]:
    told = {"by": aim.by, "header": aim.header, "served_by": aim.served_by}
    return told | ({"host": fill(aim.host, **named).lower()} if aim.host else {})


def node_port(call: Call, service: Service, host: str) -> int:
    """The port of the maintenance front end that reaches this node alone. Raises BadInput when nobody says it.

    What the node's variable `tidegate_node_ports` has for the service, else as the role `haproxy` counts them.
    """
    own = call.hostvar(host, "tidegate_node_ports", {})
    if isinstance(own, dict) and str(own.get(service.name, "")).isdigit():
        return int(own[service.name])
    written = service.pools[0].haproxy
    for site in service.sites if written and written.node_ports else ():
        nodes = hosts_of(site.nodes, call.vars["groups"], f"{service.name}: sites.{site.name}.nodes")
        if written and written.node_ports and host in nodes:
            return written.node_ports + nodes.index(host)
    raise BadInput(
        f"nobody says which port of the maintenance front end reaches {host}",
        where=f"{service.name}: verify.nunit.aim",
        remedy="Give pools[0].haproxy.node_ports in the descriptor, or the node tidegate_node_ports in the inventory",
    )


def _probe(service: Service) -> dict[str, str]:
    """What is asked through the maintenance front end before and after the tests: the same as of the node itself."""
    release = service.verify.release
    digest = {"digest": release.digest} if release.digest else {}
    return {"path": urlsplit(release.url).path or "/", "version": release.version, **digest}


def first_error(answers: Mapping[str, Any], names: Sequence[str]) -> DomainError | None:
    """The first of the answers that is an error."""
    return next((answers[name] for name in names if isinstance(answers[name], DomainError)), None)


def step_facts(service: Service) -> dict[str, Any]:
    """How nodes of the service leave, are rebooted and join."""
    drain = service.drain
    return {
        "drain": {
            "soft": format_duration(drain.soft),
            "hard": format_duration(drain.hard),
            "at_hard": drain.at_hard,
            "sticky": drain.sticky,
        },
        "join_timeout": format_duration(service.join_timeout),
        "reboot": service.deploy.reboot,
        "reboot_timeout": format_duration(service.deploy.reboot_timeout),
    }
