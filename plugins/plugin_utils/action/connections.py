# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes over Ansible's connections: the current host and any other host of the inventory."""

from __future__ import annotations

import hashlib
import uuid
from contextlib import ExitStack
from typing import Any

from ansible import constants as C  # noqa: N812 (Ansible's own name for it)
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.loader import become_loader, connection_loader

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, Node, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode

WINRM = "tidegate.delivery.winrm"
_SUPPORTED = {
    "ssh": "ssh",
    "ansible.builtin.ssh": "ssh",
    "smart": "ssh",
    "local": "local",
    "ansible.builtin.local": "local",
    WINRM: WINRM,
}
# A dead way to a host is noticed after 15 s; by ssh's own default never, and a step would wait for ever.
_KEEP_ALIVE = {"ServerAliveInterval": 5, "ServerAliveCountMax": 3}
_ARGUMENTS = ("ssh_args", "ssh_common_args", "ssh_extra_args")
_CONNECT_RETRIES_MESSAGE = "Check that the host is up and that `ansible -m ansible.builtin.raw -a true` reaches it"


class AnsibleExecute:
    """An `Execute` over one Ansible connection."""

    def __init__(self, host: str, connection: Any) -> None:  # noqa: ANN401 (ansible-core is untyped)
        self._host = host
        self._connection = connection

    def __call__(self, command: str, stdin: bytes | None, timeout: float) -> Completed:  # noqa: ARG002
        # The deadline is the node's (coreutils' timeout) and, for a dead way there, ssh's ServerAliveInterval.
        become = self._connection.become
        if become is not None:
            command = become.build_become_command(command, self._connection._shell)
        try:
            rc, stdout, stderr = self._connection.exec_command(command, in_data=stdin, sudoable=become is not None)
        except AnsibleConnectionFailure as error:
            raise Unreachable(_one_line(error), where=self._host, remedy=_CONNECT_RETRIES_MESSAGE) from error
        except AnsibleError as error:
            raise BadInput(
                _one_line(error), where=self._host, remedy="Check the host's connection variables"
            ) from error
        return Completed(rc, stdout, stderr)


def connect(host: str, hostvars: Any, play_context: Any, become: bool, closing: ExitStack) -> Node:  # noqa: ANN401
    """A node for an inventory host, by its own connection variables.

    `become` is the task's; the host's `ansible_become` goes before it. No traffic yet: the first command connects.
    What stays open on the node is closed with `closing`. Raises BadInput for an unknown host or a connection that node
    operations can't use.
    """
    if host not in hostvars:
        raise BadInput(f"host {host!r} is not in the inventory", where=host, remedy="Name it in the inventory")
    variables = hostvars[host]
    named = str(variables.get("ansible_connection", "ssh"))
    if named not in _SUPPORTED:
        raise BadInput(
            f"connection {named!r} can't carry node operations",
            where=f"{host}: ansible_connection",
            remedy=f"Use ssh, local or, for Windows, {WINRM}",
        )
    kind = _SUPPORTED[named]
    connection = connection_loader.get(kind, play_context.copy(), task_uuid=str(uuid.uuid4()))
    connection.set_options(var_options=_plugin_options("connection", connection._load_name, variables, host))
    if kind == WINRM:
        closing.callback(connection.close)
        return _windows(host, connection, _truth(variables.get("ansible_become", False)))
    if kind == "ssh":
        # A tty merges stderr into stdout, turns newlines into CRLF and ends the command with the controller.
        connection.set_option("use_tty", False)
        _keep_alive(connection)
    if _truth(variables.get("ansible_become", become)):
        connection.set_become_plugin(_become(variables))
    return PosixNode(host, AnsibleExecute(host, connection))


def _windows(host: str, connection: Any, become: bool) -> WindowsNode:  # noqa: ANN401
    if become:
        raise BadInput(
            "node operations on Windows run as the user who logs in",
            where=f"{host}: ansible_become",
            remedy="Take ansible_become away, and log in as the user who may do it",
        )
    return WindowsNode(host, connection.directly)


def _keep_alive(connection: Any) -> None:  # noqa: ANN401
    """See that a dead way ends the connection, unless the user's ssh arguments say how that is noticed."""
    given = " ".join(str(connection.get_option(name) or "") for name in _ARGUMENTS)
    ours = [f"-o {name}={value}" for name, value in _KEEP_ALIVE.items() if name.lower() not in given.lower()]
    connection.set_option("ssh_extra_args", " ".join([connection.get_option("ssh_extra_args") or "", *ours]).strip())
    if not connection.get_option("control_path"):
        # Not the shared connection of Ansible's other tasks: it may have been opened without these options.
        who = [str(connection.get_option(name)) for name in ("host", "port", "remote_user", *_ARGUMENTS)]
        name = hashlib.sha256("\0".join(who).encode()).hexdigest()[:10]
        connection.set_option("control_path", f"%(directory)s/t{name}")


def _become(variables: Any) -> Any:  # noqa: ANN401
    method = str(variables.get("ansible_become_method", "sudo"))
    plugin = become_loader.get(method)
    if plugin is None:
        raise BadInput(f"become method {method!r} is unknown", where="ansible_become_method", remedy="Use sudo")
    plugin.set_options(var_options=_plugin_options("become", method, variables, ""))
    return plugin


def _plugin_options(kind: str, name: str, variables: Any, host: str) -> dict[str, Any]:  # noqa: ANN401
    wanted = C.config.get_plugin_vars(kind, name)
    options = {key: variables[key] for key in wanted if key in variables}
    if kind == "connection":
        options.setdefault("inventory_hostname", host)
        options.setdefault("ansible_host", host)
    if name.endswith(".winrm"):
        # What pywinrm knows beyond the documented options, as Ansible's task executor hands it on.
        options["_extras"] = {key: variables[key] for key in variables if key.startswith("ansible_winrm_")}
    return options


def _truth(value: Any) -> bool:  # noqa: ANN401
    return str(value).lower() in ("true", "yes", "1")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
