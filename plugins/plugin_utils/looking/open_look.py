# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading where the keys stand that let Puppet change a service, and asking the ledger whose they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.placement import hosts_of
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import HieraFile, node_file
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.left_open import (
    LeftOpen,
    judge_open,
    nobody_told,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.pins import pins
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.place import Place
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.puppet_options import facts_file, rollout_dir
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.scene import Scene

# Files of one remote call: their paths are its arguments.
_AT_ONCE = 200


# By who has the files (a compile server, or a node itself), whose pins each path has.
Paths = dict[str, dict[str, str]]
Answers = Mapping[str, Mapping[str, HieraFile] | DomainError]


def find_open(call: Call, scenes: Iterable[Scene]) -> list[LeftOpen]:
    """Every node on which Puppet may change one of these services right now, and each server that doesn't say."""
    asked = [scene for scene in scenes if scene.service.deploy.puppet.open_key]
    of_place = {place: [scene for scene in asked if _place(scene) is place] for place in Place}
    return [found for place, some in of_place.items() for found in _in(call, place, some)]


def _place(scene: Scene) -> Place:
    return Place(scene.service.deploy.puppet.pin)


def _in(call: Call, place: Place, scenes: Sequence[Scene]) -> Iterator[LeftOpen]:
    """What is open of the services whose pins are in one place. Each file is read once, whatever it has."""
    paths = {scene.service.name: _PATHS[place](call, scene) for scene in scenes}
    wanted: Paths = {}
    for of_service in paths.values():
        for holder, files in of_service.items():
            wanted.setdefault(holder, {}).update(files)
    if not wanted:
        return
    call.progress(f"asking {len(wanted)} hosts for pins")
    call.nodes(wanted)
    answers = call.in_parallel(lambda holder: _read(call, place, holder, wanted[holder]), list(wanted))
    for scene in scenes:
        yield from _judged(call, scene, paths[scene.service.name], answers)


def _on_servers(call: Call, scene: Scene) -> Paths:
    service = scene.service
    servers = hosts_of(service.deploy.puppet.servers, call.vars["groups"], f"{service.name}: deploy.puppet.servers")
    certnames = {node: str(call.hostvar(node, "tidegate_certname", node)) for node in scene.nodes}
    folders = {server: rollout_dir(call, server) for server in servers}
    return {
        server: {node_file(folder, certnames[node]): node for node in scene.nodes} for server, folder in folders.items()
    }


def _on_nodes(call: Call, scene: Scene) -> Paths:
    return {node: {facts_file(call, node): node} for node in scene.nodes}


_PATHS: dict[Place, Callable[[Call, Scene], Paths]] = {Place.HIERA: _on_servers, Place.FACT: _on_nodes}


def _read(call: Call, place: Place, holder: str, paths: Mapping[str, str]) -> dict[str, HieraFile]:
    """The pins that it has, by node."""
    found: dict[str, HieraFile] = {}
    for first in range(0, len(paths), _AT_ONCE):
        some = list(paths)[first : first + _AT_ONCE]
        files = pins(call.nodes([holder])[holder], some, place)
        found |= {paths[path]: file for path, file in files.items()}
    return found


def _judged(call: Call, scene: Scene, paths: Paths, answers: Answers) -> Iterator[LeftOpen]:
    service, key = scene.service.name, str(scene.service.deploy.puppet.open_key)
    told: set[str] = set()
    for holder, files in paths.items():
        answer = answers[holder]
        if isinstance(answer, DomainError):
            yield nobody_told(service, key, holder, str(answer))
            continue
        for node in files.values():
            owner = answer[node].owners.get(key, "")
            # Read after the file: a deployment that has ended since has taken back what was seen.
            known = call.ledger.ledger.deployment(owner) if owner else None
            found = judge_open(node, service, key, answer[node], known)
            # Each node once: every server has the same file.
            if found is not None and node not in told:
                told.add(node)
                yield found
