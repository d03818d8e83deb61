"""What the Puppet actions see of a call, without Ansible: options with the documentation's defaults, hosts that are
folders of this machine, and a deployment."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Locked, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, Stopping
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.arguments import argument_spec


def deployment(id: str, state: State = State.OPEN, attempt: int = 1) -> Deployment:
    return Deployment(
        id=id, kind=Kind.DEPLOY, service="tradeapi", environment="lab", version="2", state=state, attempt=attempt
    )


class PuppetCall:
    """Stands in for plugin_utils/action/call.py's Call."""

    def __init__(
        self, module: str, host: str, nodes: dict[str, PosixNode], hostvars: dict[str, dict[str, Any]]
    ) -> None:
        defaults = {name: option.get("default") for name, option in argument_spec(module).items()}
        self.args: dict[str, Any] = defaults | {"deployment": "d1"}
        self.host, self.check, self.diff = host, False, True
        self._nodes, self.hostvars = nodes, hostvars
        self.deployments = [deployment("d1")]
        self.told: list[str] = []
        self.locking: list[str] = []
        self.locked_by_others = 0
        self.leases: list[float] = []
        self.lock_lost = False
        self.plan: dict[str, Any] = {}
        self.events: list[Event] = []

    @property
    def stopping(self) -> Stopping:
        return NEVER

    @property
    def folder(self) -> None:
        return None

    @property
    def deployment_id(self) -> str:
        return str(self.args["deployment"])

    @property
    def ledger(self) -> SimpleNamespace:
        known = {each.id: each for each in self.deployments}
        return SimpleNamespace(
            environment="lab",
            plan=self.plan,
            events_of=lambda *steps: [event for event in self.events if event.step in steps],
            deployment=known.get("d1"),
            ledger=SimpleNamespace(deployment=known.get),
            locks=SimpleNamespace(acquire=self._acquire),
            holder=lambda doing: doing,
            unlock=self._unlock,
        )

    def _acquire(self, names: list[str], _holder: str, lease_s: float) -> None:
        if self.locked_by_others > 0:
            self.locked_by_others -= 1
            raise Locked(f"{names[0]} is locked")
        self.locking.append(f"lock {names}")
        self.leases.append(lease_s)

    def _unlock(self, names: list[str]) -> None:
        if self.lock_lost:
            raise Refused("this ansible-playbook holds no lock")
        self.locking.append(f"unlock {names}")

    def hostvar(self, host: str, name: str, default: Any = None) -> Any:
        return self.hostvars.get(host, {}).get(name, default)

    def node(self) -> PosixNode:
        return self._nodes[self.host]

    def nodes(self, names: Iterable[str]) -> dict[str, PosixNode]:
        return {name: self._nodes[name] for name in names}

    def progress(self, text: str) -> None:
        self.told.append(text)


def act(action: type[DomainAction], call: PuppetCall) -> dict[str, Any]:
    """What the action would return to the base class."""
    made = object.__new__(action)
    result: dict[str, Any] = action.act(made, call)  # type: ignore[arg-type]
    return result


def here() -> PosixNode:
    """A node that is this machine."""
    return PosixNode("here", LocalShell())


def folders(home: Path, *servers: str) -> dict[str, dict[str, Any]]:
    """Host variables of compile servers with a rollout folder each."""
    return {server: {"tidegate_rollout_dir": str(home / server)} for server in servers}
