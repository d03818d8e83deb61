# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that messages send people to: the only place that spells them.

Who runs playbooks by hand is told playbooks; the `tidegate` command sets TIDEGATE_COMMAND=1, and its user is told
commands. Both with the inventory that was given, files of extra variables and where the vault's passwords are, so that
a command can be typed as it stands. Extra variables that were given themselves are not repeated: they may be secrets.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Sequence

BY_COMMAND = "TIDEGATE_COMMAND"
# Of this process: one ansible-playbook, or one of its workers, has one set of inventories.
_inventories: list[str] = []
_files: list[str] = []
_vault: list[str] = []


def use_inventories(sources: Iterable[str]) -> None:
    """Name these in every command from now on: paths as seen from here, lists of hosts as they are."""
    _inventories[:] = [source if "," in source else os.path.relpath(source) for source in sources]


def use_options(extra_vars: Iterable[str], vault_ids: Iterable[str], vault_password_files: Iterable[str]) -> None:
    """Name those of these options of ansible-playbook that can be repeated in every command from now on."""
    files = [source[1:] for source in extra_vars if source.startswith("@")]
    _files[:] = [word for file in files for word in ("-e", f"@{os.path.relpath(file)}")]
    passwords = [("--vault-password-file", os.path.relpath(file)) for file in vault_password_files]
    _vault[:] = [word for pair in [*(("--vault-id", each) for each in vault_ids), *passwords] for word in pair]


def plan(service: str, version: str) -> str:
    """Show what a deployment would do."""
    command = _spelled(("plan", service, version), "deploy", {"service": service, "version": version})
    return command if by_command() else f"{command} --check"


def deploy(service: str, version: str) -> str:
    """Bring a version to a service."""
    return _spelled(("deploy", service, version), "deploy", {"service": service, "version": version})


def rollback(service: str) -> str:
    """Go back to the release before."""
    return _spelled(("rollback", service), "rollback", {"service": service})


def resume(service: str) -> str:
    """Go on with what is open."""
    return _spelled(("resume", service), "resume", {"service": service})


def leave(service: str, node: str) -> str:
    """Take a node out by hand."""
    told = {"service": service, "node": node, "state": "maintenance"}
    return _spelled(("pools", service, "--leave", node), "pool", told)


def join(service: str, node: str) -> str:
    """Bring a node back that was taken out by hand."""
    return _spelled(("pools", service, "--join", node), "pool", {"service": service, "node": node, "state": "online"})


def adopt(service: str, node: str) -> str:
    """Take over a node that somebody else took out."""
    told = {"service": service, "node": node, "state": "adopted"}
    return _spelled(("pools", service, "--adopt", node), "pool", told)


def repair(service: str, *nodes: str) -> str:
    """Take out again what came back, all or only these nodes."""
    words = [word for node in nodes for word in ("--node", node)]
    told = {"service": service} | ({"nodes": ",".join(nodes)} if nodes else {})
    return _spelled(("pools", service, "--repair", *words), "repair", told)


def thaw(service: str, *nodes: str) -> str:
    """End the freezes that dead deployments left, all or only on these nodes."""
    words = [word for node in nodes for word in ("--node", node)]
    told = {"service": service} | ({"nodes": ",".join(nodes)} if nodes else {})
    return _spelled(("frozen", service, "--thaw", *words), "thaw", told)


def frozen(service: str = "") -> str:
    """Show where Puppet is disabled, and by whom."""
    return _asking("frozen", service)


def status(service: str = "") -> str:
    """Show where everything is."""
    return _asking("status", service)


def pools(service: str = "") -> str:
    """Show the pools."""
    return _asking("pools", service)


def history(service: str = "") -> str:
    """Show past deployments."""
    return _asking("history", service)


def validate() -> str:
    """Check the catalog."""
    return _asking("validate", "")


def leaving_out(*nodes: str) -> str:
    """The option that leaves nodes out of a deployment."""
    if by_command():
        return shlex.join(word for node in nodes for word in ("--exclude", node))
    return shlex.join(("-e", json.dumps({"exclude": nodes})))


def going_on_without(*load_balancers: str) -> str:
    """The option that goes on without load balancers whose HAProxy is down."""
    if by_command():
        return shlex.join(word for name in load_balancers for word in ("--without", name))
    return shlex.join(("-e", json.dumps({"without": load_balancers})))


def by_command() -> bool:
    """Whether the command runs this, and shows plan and end in its own way."""
    return os.environ.get(BY_COMMAND) == "1"


def _asking(name: str, service: str) -> str:
    return _spelled((name, service) if service else (name,), name, {"service": service} if service else {})


def _spelled(command: Sequence[str], playbook: str, variables: dict[str, str]) -> str:
    inventories = [word for source in _inventories for word in ("-i", source)]
    if by_command():
        return shlex.join(("tidegate", *command, *inventories, *_files, *(("--", *_vault) if _vault else ())))
    extra = [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
    return shlex.join(("ansible-playbook", *inventories, *_files, *_vault, f"playbooks/{playbook}.yml", *extra))
