# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.puppet_raise."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.planned import require_planned_raise
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.common_value import (
    COMMAND_TIMEOUT,
    LOOKUP_TIMEOUT,
    Asked,
    NotServed,
    ask_to_raise,
    differing,
    look_up,
    shadowing,
    told,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import (
    Scalar,
    checked_values,
    common_file,
    read_hiera,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.pin_files import read_files
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import AtStop
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.options import distinct, seconds
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.puppet_options import confdir

_LOOK_AGAIN = 10.0
_OVERHEAD = 60.0


class ActionModule(DomainAction):
    """Is it served? → else ask for it → wait until it is, or say that it isn't yet."""

    EFFECT = True
    STEP = "raise"
    # A merge may take as long as people do: whoever asks to stop doesn't wait for it, and the pins stay.
    AT_STOP = AtStop.GIVE_UP
    RECORDED = ("outcome", "msg", "values", "request")

    def require_planned(self, call: Call) -> None:
        args = call.args
        require_planned_raise(call.ledger.plan, args["servers"], args["nodes"], args["values"])

    def deadline(self, call: Call) -> float:
        lookups = LOOKUP_TIMEOUT * max(1, len(call.args["values"])) * max(1, len(call.args["nodes"]))
        return seconds(call.args, "wait") + COMMAND_TIMEOUT + 2 * lookups + _OVERHEAD

    def act(self, call: Call) -> dict[str, Any]:
        values, wait_s = checked_values(call.args["values"]), seconds(call.args, "wait")
        nodes, servers = distinct(call.args["nodes"], "nodes"), distinct(call.args["servers"], "servers")
        missing = _missing(call, servers, nodes, values)
        if not missing:
            return _result("served", values, f"{_named(values)} is what the compile servers serve", changed=False)
        if call.check:
            return _result("raised", values, f"{_named(values)} would be asked for: {told(missing)}", changed=True)
        request = ask_to_raise(PosixNode("controller", LocalShell()), _command(call), _request(call, values))
        call.progress(f"asked for {_named(values)}{': ' + request if request else ''}")
        began = time.monotonic()
        while missing := _missing(call, servers, nodes, values):
            if time.monotonic() - began >= wait_s:
                raise _not_served(call, request, missing)
            call.stopping.pause(_LOOK_AGAIN, "while the raised value was not served yet; the pins stay")
        return _result("raised", values, f"{_named(values)} is raised and served", changed=True, request=request)


def _missing(call: Call, servers: Sequence[str], nodes: Sequence[str], values: dict[str, Scalar]) -> list[str]:
    """What the servers would give these nodes without their pins, where it isn't what was raised."""
    call.nodes(servers)
    ways = {server: _asked(call, server) for server in servers}
    certnames = {node: _of(call, node, "tidegate_certname", node) for node in nodes}
    environments = {node: _of(call, node, "tidegate_puppet_environment", "production") for node in nodes}
    files = {server: common_file(_of(call, server, "tidegate_rollout_dir")) for server in servers}

    def look(server: str) -> list[str]:
        asked = call.nodes([server])[server]
        path = files[server]
        common = read_hiera(path, read_files(asked, [path])[path])
        found = shadowing(f"{server}: {path}", common.values, values)
        for node in nodes:
            call.stopping.look("while the compile servers were asked; the pins stay")
            there = look_up(asked, ways[server], certnames[node], environments[node], list(values))
            found += differing(f"{node} on {server}", there, values)
            if found:
                break  # one is enough to wait on, and each costs a Puppet process
        return found

    answers = call.in_parallel(look, servers)
    found: list[str] = []
    for answer in answers.values():
        if isinstance(answer, DomainError):
            raise answer
        found += answer
    return found


def _asked(call: Call, server: str) -> Asked:
    return Asked(confdir=confdir(call, server), facts=_of(call, server, "tidegate_puppet_facts", "json"))


def _of(call: Call, host: str, name: str, default: str | None = None) -> str:
    return str(call.hostvar(host, name, default))


def _command(call: Call) -> list[str]:
    command = call.hostvar(call.host, "tidegate_raise_command")
    if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
        raise BadInput(
            "tidegate_raise_command is no list of words",
            where="tidegate_raise_command",
            remedy="Give the command that opens the merge request as a list: program and arguments",
        )
    return command


def _request(call: Call, values: dict[str, Scalar]) -> dict[str, Any]:
    deployment = call.ledger.deployment
    return {
        "deployment": deployment.id,
        "service": deployment.service,
        "environment": deployment.environment,
        "kind": str(deployment.kind),
        "version": deployment.version,
        "revision": deployment.revision,
        "values": values,
    }


def _not_served(call: Call, request: str, missing: Sequence[str]) -> NotServed:
    merged = f"Have {request} merged and brought to the servers" if request else "Have it merged and brought there"
    return NotServed(
        f"the raised value is asked for and not served yet; the pins stay until it is: {told(missing)}",
        where=call.deployment_id,
        remedy=f"{merged}, then run {advice.resume(call.ledger.deployment.service)}",
    )


def _named(values: dict[str, Scalar]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in values.items())


def _result(outcome: str, values: dict[str, Scalar], msg: str, *, changed: bool, request: str = "") -> dict[str, Any]:
    shown = {key: str(value) for key, value in values.items()}
    return {"changed": changed, "outcome": outcome, "msg": msg, "values": shown, "request": request}
