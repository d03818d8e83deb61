"""The plays that are measured: moves by tidegate.delivery.haproxy_pool, and the same by community.general.haproxy."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.balancers import variables
from benchmarks.measured import Run, measure
from benchmarks.simulated import PLAYBOOK, PROJECT
from benchmarks.stock_ansible import StockAnsible
from lab.layout import Layout

Task = dict[str, Any]
# Opens a deployment and takes its locks, as plan does for a playbook.
_ACTIONS = PROJECT / "tests" / "integration" / "haproxy" / "action_plugins"
_ENVIRONMENT = "lab"
_RESTART_S = 120
# community.general.haproxy waits as long as this for each server.
_WAIT_INTERVAL_S, _WAIT_RETRIES = 1, 120


@dataclass(frozen=True, slots=True)
class Plays:
    """Plays over a layout's load balancers, which are reached over Ansible's connection `local`."""

    layout: Layout
    folder: Path

    def ours(self, name: str, tasks: Sequence[Task]) -> Run:
        """Run tasks of ours, with a ledger of their own."""
        play = {"hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}
        shared = {"tidegate_ledger": self._ledger(name), "tidegate_environment": _ENVIRONMENT}
        argv = [str(PLAYBOOK), *self._written(name, play, sys.executable, shared)]
        settings = {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_ACTION_PLUGINS": str(_ACTIONS)}
        return measure(argv, PROJECT, _environment(settings), self.folder / f"{name}.log")

    def stock(self, name: str, play: Mapping[str, Any], ansible: StockAnsible) -> Run:
        """Run a play with the yardstick's Ansible, which has nothing of ours."""
        argv = [str(ansible.playbook), *self._written(name, play, str(ansible.python), {})]
        # The cheapest that Ansible has for a shipped module.
        settings = {"ANSIBLE_PIPELINING": "True", "ANSIBLE_HOME": str(self.folder / "ansible")}
        return measure(argv, self.folder, _environment(settings), self.folder / f"{name}.log")

    # -- tasks of ours ------------------------------------------------------------------------------------------------
    def begin(self, name: str, nodes: Sequence[str], pools: Sequence[Mapping[str, str]]) -> Task:
        """Open a deployment that covers the nodes; `name` is that of the play."""
        arguments = {"ledger": self._ledger(name), "deployment": name, "nodes": ",".join(nodes), "pools": list(pools)}
        return {"begin_deployment": arguments}

    def moved(self, name: str, state: str, nodes: Sequence[str], pools: Sequence[Mapping[str, str]]) -> Task:
        """Move the nodes to that pool."""
        names = [host.name for host in self.layout.load_balancers]
        arguments = {"deployment": name, "state": state, "load_balancers": names, "nodes": list(nodes)}
        return {"tidegate.delivery.haproxy_pool": {**arguments, "pools": list(pools)}}

    def _ledger(self, name: str) -> str:
        return f"sqlite:///{self.folder / name}.sqlite"

    def _written(self, name: str, play: Mapping[str, Any], python: str, shared: Mapping[str, str]) -> list[str]:
        local = {"ansible_connection": "local", "ansible_python_interpreter": python}
        balancers = {host.name: variables(host) for host in self.layout.load_balancers}
        groups = {"edge": {"hosts": balancers}}
        inventory = {"all": {"hosts": {"localhost": {}}, "vars": {**local, **shared}, "children": groups}}
        paths = self.folder / f"{name}-hosts.json", self.folder / f"{name}.json"
        for path, content in zip(paths, (inventory, [play]), strict=True):
            path.write_text(json.dumps(content))
        return ["-i", str(paths[0]), str(paths[1])]


def restarted(url: str, node: str) -> Task:
    """Restart the node, and wait until it serves."""
    return {
        "ansible.builtin.uri": {"url": f"{url}/{node}", "method": "POST", "status_code": 204, "timeout": _RESTART_S}
    }


def stock_move(nodes: Sequence[str], online: str, maintenance: str) -> dict[str, Any]:
    """The play that makes the same leave with community.general.haproxy: one loop, all load balancers side by side.

    Each item is one server entry and one call of the module. It does to the entry just what a leave of ours does,
    and reads back after each step: drain, no session left, MAINT in the online pool, then ready in the other one.
    """
    left = {"backend": online, "state": "disabled", "drain": True, "wait": True}
    opened = {"backend": maintenance, "state": "enabled", "drain": False, "wait": False}
    items = [{"host": node, **step} for node in nodes for step in (left, opened)]
    arguments = {name: f"{{{{ item.{name} }}}}" for name in ("host", "backend", "state", "drain", "wait")}
    task = {
        "community.general.haproxy": {**arguments, "socket": "{{ tidegate_haproxy_socket }}"},
        "loop": items,
        "loop_control": {"label": "{{ item.host }}"},
    }
    return {"hosts": "edge", "gather_facts": False, "tasks": [task]}


def recipe(node: str, backends: Sequence[str], sockets: Sequence[str], url: str) -> dict[str, Any]:
    """The play that restarts one node as community.general.haproxy's examples do: drain and wait, then enable."""

    def everywhere(**arguments: str | bool | int) -> Task:
        return {
            "community.general.haproxy": {
                "host": node,
                "backend": "{{ item.0 }}",
                "socket": "{{ item.1 }}",
                "wait": True,
                "wait_interval": _WAIT_INTERVAL_S,
                "wait_retries": _WAIT_RETRIES,
                **arguments,
            },
            "loop": [[backend, socket] for backend in backends for socket in sockets],
        }

    tasks = [everywhere(state="disabled", drain=True), restarted(url, node), everywhere(state="enabled")]
    return {"hosts": "localhost", "gather_facts": False, "tasks": tasks}


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "TIDEGATE_"))}
    return kept | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "False"} | dict(settings)
