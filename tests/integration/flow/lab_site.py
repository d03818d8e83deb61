"""The lab as the flow's tests use it: run playbooks like a person, disturb, look from outside, put right again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.permit import confirms_wave
from lab import agents, control, haproxy_socket
from lab.facts import Facts, newest_deployment, read_facts
from lab.layout import PROJECT, TRADEAPI, Layout, Service
from lab.witness import wait_until
from tests.waiting import DEPLOYMENT_S, PATIENCE_S, until
from tidegate.ledger import SqlLedger
from tidegate.locks import SqlLocks
from tidegate.store import Store

ENVIRONMENT = "lab"
PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
NODES = TRADEAPI.nodes
GOOD = ("1.1.0", "1.3.0", "1.0.0")
ENDED = ("done", "rolled_back", "nothing in the ledger")
# Six nodes in four waves, after another deployment's turn, take two minutes on an idle machine.
_PLAY_LIMIT_S = 1200.0


@dataclass(frozen=True, slots=True)
class Played:
    """A playbook that ended: exit code and all it printed."""

    rc: int
    output: str

    def changed(self) -> list[str]:
        """The recap's lines of hosts on which something changed."""
        recap = self.output.partition("PLAY RECAP")[2].splitlines()
        return [line for line in recap if "changed=" in line and "changed=0 " not in line]


class Site:
    """One lab with the services in `services`."""

    def __init__(self, layout: Layout, services: Path) -> None:
        self.layout = layout
        self.services = services
        self.ledger = SqlLedger(Store(f"sqlite:///{layout.ledger}"))
        self.locks = SqlLocks(Store(f"sqlite:///{layout.ledger}"))

    # Running playbooks

    def argv(self, name: str, *options: str, **extra: object) -> list[str]:
        """The command of a playbook; an extra variable that is None is not given."""
        values = {"tidegate_services": str(self.services), **extra}
        words = [word for key, value in values.items() if value is not None for word in ("-e", _extra(key, value))]
        return [str(PLAYBOOK), "-i", "inventories/lab", f"playbooks/{name}.yml", *words, *options]

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a playbook against this lab."""
        own = {"TIDEGATE_LAB_NET": self.layout.net, "TIDEGATE_LAB_STATE": str(self.layout.state)}
        return {**os.environ, **self.layout.environment, **own, "ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": "1"}

    def start(self, name: str, *options: str, **extra: object) -> subprocess.Popen[str]:
        """Begin a playbook in a process group of its own."""
        return subprocess.Popen(
            self.argv(name, *options, **extra),
            cwd=PROJECT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def play(self, name: str, *options: str, **extra: object) -> Played:
        """Run a playbook to its end."""
        return finished(self.start(name, *options, **extra))

    def deploy(self, version: str, *options: str, nodes: Sequence[str] = NODES, **extra: object) -> Played:
        """Deploy tradeapi, all nodes but `nodes` left out."""
        return self.play("deploy", *options, service="tradeapi", version=version, exclude=others(nodes), **extra)

    def start_deploy(self, version: str, nodes: Sequence[str] = NODES, *options: str) -> subprocess.Popen[str]:
        return self.start("deploy", *options, service="tradeapi", version=version, exclude=others(nodes))

    # Looking

    def facts(self) -> Facts:
        return read_facts(self.layout, TRADEAPI)

    def deployment(self) -> Deployment:
        newest = newest_deployment(self.layout, TRADEAPI)
        assert newest is not None, "the ledger has no deployment"
        return newest

    def events(self, deployment: str | None = None) -> list[Event]:
        return [entry.event for entry in self.ledger.entries(ENVIRONMENT, deployment=deployment)]

    def last_event(self, deployment: str | None = None) -> Event:
        """The newest one that is about the deployment itself: what customers got is recorded after its end."""
        return [event for event in self.events(deployment) if event.step is not Step.CUSTOMERS][-1]

    def await_event(self, seen: Callable[[Event], bool], process: subprocess.Popen[str]) -> None:
        """Wait until there is such an event that was not there before, while `process` runs."""
        before = {event.id for event in self.events()}

        def what() -> str:
            said = process.stdout.read() if process.stdout and process.poll() is not None else ""
            return f"the event\n{said}"

        until(
            lambda: any(seen(event) for event in self.events() if event.id not in before),
            what,
            DEPLOYMENT_S,
            of=process,
        )

    def await_lock(self, name: str) -> None:
        """Wait until somebody holds it."""
        until(lambda: any(held.name == name for held in self.locks.held()), f"{name} is taken", DEPLOYMENT_S)

    def await_wave(self, service: Service, number: int) -> None:
        """Wait until that wave of the service joins."""
        before = {event.id for event in self.events()}

        def joins(event: Event) -> bool:
            return event.id not in before and event.service == service.name and event.wave == number

        until(
            lambda: any(joins(event) and confirms_wave(event) for event in self.events()),
            f"wave {number} joins",
            _PLAY_LIMIT_S,
        )

    def servers(self) -> dict[str, str]:
        """Every server's administrative state in every backend of each load balancer, as HAProxy tells it."""
        states = {}
        for host in self.layout.load_balancers:
            for line in haproxy_socket.ask(host.haproxy_socket, "show servers state").splitlines():
                words = line.split()
                if len(words) > 6 and words[0].isdigit():
                    states[f"{host.name} {words[1]}/{words[3]}"] = f"admin {int(words[6]) & ~4}"
        return states

    def pins(self) -> dict[str, str]:
        """What Tidegate has written for Puppet, by file."""
        folder = self.layout.rollout_dir
        return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.yaml")}

    def frozen(self) -> list[str]:
        return [node for node in NODES if self._disabled(node).exists()]

    def snapshot(self) -> tuple[object, ...]:
        """All that a refused command must leave as it is."""
        deployments = self.ledger.deployments("tradeapi", ENVIRONMENT)
        return self.servers(), self.pins(), self.frozen(), deployments, self.locks.held()

    def _disabled(self, node: str) -> Path:
        return self.layout.host(node).puppet_vardir / "state" / "agent_disabled.lock"

    # Disturbing

    def freeze(self, node: str, reason: str) -> None:
        self._disabled(node).write_text(json.dumps({"disabled_message": reason}))

    def freeze_as_somebody_else(self, node: str) -> None:
        self.freeze(node, "patching, ask Ann")

    def set_server(self, load_balancer: str, server: str, state: str) -> None:
        """As a colleague on the load balancer would."""
        answer = haproxy_socket.ask(
            self.layout.host(load_balancer).haproxy_socket, f"set server {server} state {state}"
        )
        assert not answer.strip(), answer

    # Putting right

    def reset(self, *, even: bool = False) -> None:
        """Everything reachable, nothing open, all nodes online; with `even` all on one release."""
        for host in (*self.layout.load_balancers, *self.layout.nodes):
            control.start_access(self.layout, host.name)
        for host in self.layout.load_balancers:
            control.thaw_haproxy(self.layout, host.name)
        for node in NODES:
            agents.clear_node_data(self.layout, node)
            self._disabled(node).unlink(missing_ok=True)
        facts = self.facts()
        if facts.outcome in ENDED and not _all_on(facts):
            self._bring_back_what_others_took()
            facts = self.facts()
        out = [node for node in NODES if not all(node in online for online in facts.online.values())]
        common = max(GOOD, key=list(facts.serving.values()).count)
        uneven = [node for node in NODES if facts.serving[node] != common] if even else []
        if out or uneven or facts.outcome not in ENDED:
            played = self.deploy(common, nodes=[*out, *uneven])
            assert played.rc == 0, played.output
            assert _all_on(self.facts())

    def _bring_back_what_others_took(self) -> None:
        """A test that failed may have left servers out as a colleague would; nothing of ours is open."""
        for host in self.layout.load_balancers:
            for node in NODES:
                self.set_server(host.name, f"tradeapi_maintenance/{node}", "maint")
                self.set_server(host.name, f"tradeapi_online/{node}", "ready")
        wait_until(lambda: _all_on(self.facts()), PATIENCE_S, every=0.2)

    def other_version(self, *nodes: str) -> str:
        """A good release that none of these nodes serves."""
        serving = self.facts().serving
        return next(version for version in GOOD if version not in {serving[node] for node in nodes or NODES})

    def rarest_version(self) -> str:
        """The good release that the fewest nodes serve: most of them would move."""
        serving = list(self.facts().serving.values())
        return min(GOOD, key=serving.count)

    def edited_services(self, folder: Path, edit: Callable[[dict[str, Any]], object], name: str = "services") -> Path:
        """A copy of the catalog in which tradeapi's descriptor is another one."""
        copy = folder / name
        copy.mkdir(exist_ok=True)
        for path in self.services.glob("*.yml"):
            described = yaml.safe_load(path.read_text())
            if path.stem == "tradeapi":
                edit(described)
            (copy / path.name).write_text(yaml.safe_dump(described))
        return copy

    @contextmanager
    def with_services(self, folder: Path, edit: Callable[[dict[str, Any]], object]) -> Iterator[None]:
        """Use an edited catalog for a while."""
        kept, self.services = self.services, self.edited_services(folder, edit)
        try:
            yield
        finally:
            self.services = kept


def others(nodes: Sequence[str]) -> list[str]:
    """tradeapi's nodes but these."""
    return [node for node in NODES if node not in nodes]


def finished(process: subprocess.Popen[str], limit_s: float = _PLAY_LIMIT_S) -> Played:
    """Wait for a playbook; whatever happens, it doesn't run on."""
    try:
        output, _ = process.communicate(timeout=limit_s)
    finally:
        if process.poll() is None:
            kill(process)
    return Played(process.returncode, output)


def kill(process: subprocess.Popen[str]) -> None:
    """`kill -9` of the whole process group, as a lost machine would."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE_S)
    if process.stdout:
        process.stdout.close()


def _extra(key: str, value: object) -> str:
    return yaml.safe_dump({key: value}, default_flow_style=True, width=10_000).strip()


def _all_on(facts: Facts) -> bool:
    return all(set(nodes) == set(NODES) for nodes in facts.online.values())
