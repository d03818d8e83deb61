# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inventory lacks for a catalog: variables that the steps can't do without, read without a connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ansible.errors import AnsibleError

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog_placement import Placed
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.descriptor import Problem
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.load_balancers import accesses

INVENTORY = "inventory"
_ENVIRONMENT = "tidegate_environment"
_REMEDY = "Set it in the inventory; docs/your-inventory.md says what each variable is for"


def controller_problems(call: Call) -> list[Problem]:
    """What the controller lacks before any descriptor can be read."""
    return list(_missing(call, call.host, (_ENVIRONMENT, "tidegate_ledger", "tidegate_services")))


def inventory_problems(call: Call, placed: Placed) -> list[Problem]:
    """What the hosts of the catalog lack, and nodes that are another environment's."""
    found = [problem for host, names in _needed(call, placed).items() for problem in _missing(call, host, names)]
    found += [problem for host in _load_balancers(placed) for problem in _no_access(call, host)]
    return found + list(_elsewhere(call, placed))


def _needed(call: Call, placed: Placed) -> Mapping[str, tuple[str, ...]]:
    """By host, the variables that a step takes from it."""
    needed: dict[str, dict[str, None]] = {}
    for service in placed.survey.services.values():
        nunit = service.verify.nunit
        if "{artifacts}" in service.artifact.url:
            needed.setdefault(call.host, {})["tidegate_artifacts"] = None
        for host in placed.hosts(service.deploy.puppet.servers):
            needed.setdefault(host, {})["tidegate_rollout_dir"] = None
        for host in placed.hosts(nunit.box)[:1] if nunit else ():
            needed.setdefault(host, {})["tidegate_test_dir"] = None
    return {host: tuple(names) for host, names in needed.items()}


def _load_balancers(placed: Placed) -> Iterable[str]:
    return dict.fromkeys(host for home in placed.homes for host in home.load_balancers)


def _missing(call: Call, host: str, names: Iterable[str]) -> Iterator[Problem]:
    for name in names:
        problem = _unreadable(call, host, name)
        if problem:
            yield Problem(INVENTORY, f"{host}: {name}", problem, _REMEDY)


def _unreadable(call: Call, host: str, name: str) -> str:
    """Why a variable of a host gives no value; empty when it does."""
    try:
        return "" if str(call.hostvar(host, name, "")) else "is not set"
    except AnsibleError as error:
        return f"can't be worked out: {' '.join(str(error).split())[:300]}"


def _no_access(call: Call, host: str) -> Iterator[Problem]:
    try:
        accesses(call, [host])
    except BadInput as error:
        yield Problem(INVENTORY, host, error.message, error.remedy)
    except AnsibleError as error:
        yield Problem(INVENTORY, host, f"can't be worked out: {' '.join(str(error).split())[:300]}", _REMEDY)


def _elsewhere(call: Call, placed: Placed) -> Iterator[Problem]:
    """Nodes and load balancers whose environment is not the controller's: another chain, other locks."""
    here = str(call.hostvar(call.host, _ENVIRONMENT, ""))
    for host in dict.fromkeys(host for home in placed.homes for host in (*home.nodes, *home.load_balancers)):
        problem = _unreadable(call, host, _ENVIRONMENT)
        there = "" if problem else str(call.hostvar(host, _ENVIRONMENT))
        if there != here:
            told = problem or f"is {there!r}, but the controller's is {here!r}"
            yield Problem(INVENTORY, f"{host}: {_ENVIRONMENT}", told, _REMEDY)
