# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The secrets that one call may come across: its own host's, those of hosts that it talks to, the environment's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from ansible.vars.plugins import get_vars_from_inventory_sources

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.redaction import NAMED, Redactor, secrets_in

# Ansible's own variables: about other hosts, or all of them once more. `tidegate_plan` is refused with a secret in it.
_MAGIC = frozenset({"hostvars", "vars", "groups", "omit", "ansible_facts", "ansible_version", "tidegate_plan"})
_TEMPLATE = ("{{", "{%", "{#")


class Secrets:
    """What to blot out in one call's results, lines, events and files. `templar` is the task's own."""

    def __init__(self, task_vars: Mapping[str, Any], templar: Any) -> None:  # noqa: ANN401 (ansible-core is untyped)
        self._vars = task_vars
        self._templar = templar
        self._made: dict[frozenset[str], Redactor] = {}
        self._of_hosts: dict[str, tuple[str, ...]] = {}

    def redactor(self, near: Iterable[str]) -> Redactor:
        """For the task's host and those `near`: their values are templated. Of all others only plain values count."""
        hosts = frozenset(near)
        if hosts not in self._made:
            self._made[hosts] = Redactor(self._all(hosts), self._public)
        return self._made[hosts]

    def _all(self, near: frozenset[str]) -> Iterator[str]:
        yield from self._anyway
        for host in near - {str(self._vars.get("inventory_hostname"))}:
            if host not in self._of_hosts:
                self._of_hosts[host] = tuple(self._host(host))
            yield from self._of_hosts[host]

    def _host(self, host: str) -> Iterator[str]:
        raw = self._vars["hostvars"].raw_get(host)
        if isinstance(raw, Mapping):
            yield from secrets_in({key: raw[key] for key in raw if key not in _MAGIC}, self._named, self._of(raw))

    @cached_property
    def _anyway(self) -> tuple[str, ...]:
        """Whatever the call talks to. It doesn't change meanwhile, and grows with the inventory: found once."""
        own = {name: value for name, value in self._vars.items() if name not in _MAGIC}
        inventory = (secrets_in(variables, self._named, _plain) for variables in self._inventory())
        return (
            *secrets_in(own, self._named, _resolver(self._templar)),
            *secrets_in(os.environ, self._named, lambda value: value),
            *chain.from_iterable(inventory),
            *_ledger_password(_resolver(self._templar)(self._vars.get("tidegate_ledger"))),
        )

    @cached_property
    def _named(self) -> frozenset[str]:
        names = _resolver(self._templar)(self._vars.get(NAMED))
        return frozenset(map(str, names)) if isinstance(names, list) else frozenset()

    def _of(self, variables: Mapping[str, Any]) -> Any:  # noqa: ANN401
        return _resolver(self._templar.copy_with_new_env(available_variables=variables))

    def _inventory(self) -> Iterator[Mapping[str, Any]]:
        """Every group's and host's variables as they are written: inline, and in files beside the inventory.

        Read entity by entity, some microseconds each: all variables of one host, merged, cost a hundred times that.
        """
        hostvars = self._vars["hostvars"]
        inventory, loader = hostvars._inventory, hostvars._loader
        for entity in (*inventory.groups.values(), *inventory.hosts.values()):
            yield entity.vars
            yield get_vars_from_inventory_sources(loader, inventory._sources, [entity], "task")

    @cached_property
    def _public(self) -> frozenset[str]:
        """Names that everybody sees. Blotting them out would hide the message and not the secret."""
        groups: Mapping[str, list[str]] = self._vars.get("groups") or {}
        hosts = (str(host) for members in groups.values() for host in members)
        return frozenset({*map(str, groups), *hosts, *filter(None, map(str, self._spoken_of()))})

    def _spoken_of(self) -> Iterator[Any]:
        for name in ("service", "version", "tidegate_environment"):
            yield self._vars.get(name) or ""


def require_no_secret(plan: Mapping[str, Any], redactor: Redactor) -> None:
    """Raise Refused when a secret stands in the plan: the ledger and Ansible's facts keep plans as they are."""
    found = _place(plan, redactor)
    if found:
        raise Refused(
            f"the plan would carry a secret: the value of a variable whose name looks like one stands at {found}",
            where="plan",
            remedy="Take it out of the descriptor or the inventory's URLs; if it is no secret, rename that variable",
        )


def _place(value: Any, redactor: Redactor, path: str = "") -> str:  # noqa: ANN401
    """The path of the first text in which a secret stands; empty when there is none."""
    if isinstance(value, str):
        return path if redactor.text(value) != value else ""
    below = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    found = (_place(each, redactor, f"{path}.{key}" if path else str(key)) for key, each in below)
    return next(filter(None, found), "")


def _resolver(templar: Any) -> Any:  # noqa: ANN401
    def resolve(value: Any) -> Any:  # noqa: ANN401
        try:
            return templar.template(value)
        except Exception:  # noqa: BLE001 (whatever a template or a lookup raises: it has no value then)
            return _plain(value)

    return resolve


def _plain(value: Any) -> Any:  # noqa: ANN401
    """The value when it is one as it stands, without templates; what is encrypted has none."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return None if any(mark in value for mark in _TEMPLATE) else value
    return value if isinstance(value, int | float) else None


def _ledger_password(url: Any) -> Iterator[str]:  # noqa: ANN401
    try:
        password = urlsplit(str(url or "")).password
    except ValueError:
        return
    if password:
        yield password
