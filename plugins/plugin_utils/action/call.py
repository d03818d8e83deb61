# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of an action: its arguments, its hosts, its deployment."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from copy import copy
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING, Any

from ansible import context
from ansible.utils.display import Display

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.parallel import Answer, in_parallel
from ansible_collections.tidegate.delivery.plugins.module_utils.redaction import Redactor
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import Stopping
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.connections import connect
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.host_variables import HostVariables
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.record import PROOFS, Record
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.secrets import Secrets
from ansible_collections.tidegate.delivery.plugins.plugin_utils.deployment_folder.folder import DeploymentFolder
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping.stop import STOPPING

if TYPE_CHECKING:
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction

_REPEATED = ("extra_vars", "vault_ids", "vault_password_files")


def plain(value: Any) -> Any:  # noqa: ANN401
    """The same value without Ansible's tags, which YAML and databases refuse (ansible-core 2.19 and later)."""
    return json.loads(json.dumps(value, default=str))


class Call:
    """What an action's `act` works with."""

    def __init__(self, action: DomainAction, task_vars: Mapping[str, Any], arguments: dict[str, Any]) -> None:
        self._action = action
        self.vars = task_vars
        self.args = arguments
        self.check: bool = bool(action._task.check_mode)
        self.diff: bool = bool(action._task.diff)
        self.host = str(task_vars["inventory_hostname"])
        self.started = time.monotonic()
        # How long acting took, for a part that is recorded when all others have ended too.
        self.elapsed_s: float | None = None
        # Why a part can't be acted at all, found while it was made.
        self.unfit: DomainError | None = None
        self._connected: dict[str, Node] = {}
        # Of this call and its parts.
        self._closing = ExitStack()
        # All hosts that this call and its parts have to do with.
        self._near = {self.host}
        self._whole: Call = self
        # Ansible's templates are not made for threads.
        self._templating = RLock()
        advice.use_inventories(str(source) for source in task_vars.get("ansible_inventory_sources") or ())
        advice.use_options(*(map(str, context.CLIARGS.get(name) or ()) for name in _REPEATED))

    # Parts

    def part(self, node: str, **arguments: Any) -> Call:  # noqa: ANN401
        """This call for one of its nodes alone, with these arguments: it is acted and recorded by itself."""
        if self.deployment_id:
            _ = self.ledger  # once, for all parts
        alone = copy(self)
        alone.host = node
        # A connection carries one command at a time: what a part connects to, it has for itself.
        alone._connected = dict(self._connected)
        self._near.add(node)
        alone.args = {name: value for name, value in self.args.items() if name != "nodes"} | arguments
        alone.elapsed_s = None
        return alone

    # Hosts

    @cached_property
    def hostvars(self) -> HostVariables:
        """Every host's variables, templated when read."""
        return HostVariables(self.vars["hostvars"])

    def hostvar(self, host: str, name: str, default: Any = None) -> Any:  # noqa: ANN401
        """One variable of a host, free of Ansible's tags. BadInput when it is missing or empty and has no default."""
        if host not in self.hostvars:
            raise BadInput(f"host {host!r} is not in the inventory", where=host, remedy="Name it in the inventory")
        with self._templating:
            value = plain(self.hostvars[host].get(name, default))
        if value in (None, "") and default is None:
            raise BadInput(f"variable {name} is not set", where=host, remedy=f"Set {name} in the inventory")
        return value

    def node(self) -> Node:
        """The node of the task's own host."""
        return self.nodes([self.host])[self.host]

    def nodes(self, names: Iterable[str]) -> dict[str, Node]:
        """Nodes for hosts of the inventory, one connection each, kept for this call."""
        wanted = list(names)
        for name in wanted:
            if name not in self._connected:
                self._near.add(name)
                become = bool(self._action._task.become)
                self._connected[name] = connect(name, self.hostvars, self._action._play_context, become, self._closing)
        return {name: self._connected[name] for name in wanted}

    def close(self) -> None:
        """Let go of what the nodes keep for this call, such as shells of WinRM, of which Windows allows few."""
        self._closing.close()

    def in_parallel(self, work: Callable[[str], Answer], names: Sequence[str]) -> dict[str, Answer | DomainError]:
        """`work(name)` for all names at once; a DomainError is that name's answer and ends no other's."""
        return in_parallel(work, names)

    def progress(self, text: str) -> None:
        """One line for whoever watches, while something is waited for. The base class has it redacted."""
        Display().display(f"  {self.host}: {text}" if self.host != "localhost" else f"  {text}")

    # Secrets

    @cached_property
    def _secrets(self) -> Secrets:
        return Secrets(self.vars, self._action._templar)

    @property
    def redactor(self) -> Redactor:
        """What blots out the secrets that this call, and all that it is a part of, may have come across by now."""
        if self._whole is not self:
            return self._whole.redactor
        known = (host for host in self._near if host in self.hostvars)
        return self._secrets.redactor((*known, "localhost"))

    def redact(self, value: Any) -> Any:  # noqa: ANN401
        """The value without secrets."""
        return self.redactor.value(value)

    # Stopping

    @property
    def stopping(self) -> Stopping:
        """How this call's waits learn that somebody asked to stop."""
        return STOPPING

    # Deployment

    @property
    def deployment_id(self) -> str:
        """The deployment that this call belongs to; empty when it belongs to none."""
        return str(self.args.get("deployment") or "")

    @property
    def covered(self) -> list[str]:
        """The nodes that this call concerns: option `nodes`, else `node`, else the task's host."""
        nodes = self.args.get("nodes")
        if nodes is not None or ("nodes" in self.args and not self._action.NODES_OR_HOST):
            return list(nodes or [])
        return [self.args.get("node") or self.host]

    @cached_property
    def ledger(self) -> Record:
        """This environment's ledger and locks."""
        return Record.of(self)

    @property
    def folder(self) -> DeploymentFolder | None:
        """Where this call may leave files for people; None without a deployment and in check mode."""
        return self.ledger.folder if self.deployment_id and not self.check else None

    def require_permit(self, deadline_s: float, doing: str, *, in_wave: bool) -> None:
        """Refused unless the deployment is open, covers our nodes and its locks are ours; renews the lease."""
        self.ledger.require_permit(self.covered, deadline_s, doing, in_wave=in_wave)

    def require_evidence(self, nodes: Sequence[str]) -> None:
        """Refused unless the ledger holds the evidence that each node may join, or nothing was deployed there."""
        self.ledger.require_evidence(nodes)

    def record(
        self, step: str, outcome: str, nodes: Sequence[str] | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        """Write one event of this deployment to the ledger; nothing without a deployment or in check mode."""
        if self.deployment_id and not self.check:
            concerned = self.covered if nodes is None else nodes
            self.ledger.record(step, outcome, concerned, details, service=self._about)

    def record_end(self, step: str, result: Mapping[str, Any], recorded: Sequence[str], *, effect: bool) -> None:
        """Write how the call ended, with the chosen keys of its result."""
        self.ledger.append([self.end_event(step, result, recorded, effect=effect)])

    def end_event(self, step: str, result: Mapping[str, Any], recorded: Sequence[str], *, effect: bool) -> Event:
        """The event of how the call ended."""
        details = {key: result[key] for key in recorded if result.get(key) is not None}
        elapsed_s = time.monotonic() - self.started if self.elapsed_s is None else self.elapsed_s
        outcome = _ended(result, effect and step not in PROOFS)
        return self.ledger.event(step, outcome, self.covered, details, round(elapsed_s * 1000), service=self._about)

    def record_refusal(self, step: str, result: Mapping[str, Any]) -> None:
        """Write that a step was refused, or stopped, before it began."""
        details = {"msg": str(result["msg"]), "of": step}
        outcome = "stopped" if result["reason"] == "stopped" else "refused"
        self.ledger.record("refuse", outcome, self.covered, details, service=self._about)

    @property
    def _about(self) -> str:
        """The service that a check is about, when it isn't the deployment's own."""
        return str(self.args.get("service") or "")


def _ended(result: Mapping[str, Any], effect: bool) -> str:
    if result.get("failed"):
        reasons = {"refused": "refused", "locked": "refused", "unreachable": "unreachable", "stopped": "stopped"}
        return reasons.get(str(result.get("reason")), "failed")
    if not effect:
        return "ok"
    return "changed" if result.get("changed") else "unchanged"
