"""Two HAProxy whose configuration the role writes, and the catalog and inventory for it."""

from __future__ import annotations

import contextlib
import copy
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import Runtime
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from tests.integration.haproxy.haproxy_site import Backend
from tests.waiting import DEPLOYMENT_S, PATIENCE_S, until

# No other test has this prefix.
NET = "127.61"
PROJECT = Path(__file__).resolve().parents[3]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
SHARED, HEADER_PORT, NODE_PORTS = 8000, 8090, 9100
AIM = "X-Tidegate-Node"
NODES = {"shop": ("n1", "n2"), "wiki": ("w1", "w2")}


@dataclass(frozen=True, slots=True)
class Run:
    """How a playbook ended."""

    rc: int
    output: str

    @property
    def changed(self) -> dict[str, int]:
        """By host, how many tasks changed something."""
        return {host: int(count) for host, count in re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", self.output, re.M)}


@dataclass
class Balancer:
    """One HAProxy with a hand-written global section beside the folder that the role writes to."""

    name: str
    address: str
    home: Path
    process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        (self.home / "conf.d").mkdir(parents=True)
        self.base.write_text("global\n    hard-stop-after 10s\n")

    @property
    def base(self) -> Path:
        return self.home / "haproxy.cfg"

    @property
    def written(self) -> Path:
        return self.home / "conf.d" / "tidegate.cfg"

    @property
    def state_dir(self) -> Path:
        return self.home / "state"

    @property
    def access(self) -> AdminAccess:
        sockets = (str(self.home / "a.sock"), str(self.home / "m.sock"))
        return AdminAccess(self.name, *sockets, str(self.home / "lock"), str(self.state_dir))

    def variables(self) -> dict[str, Any]:
        return {
            "ansible_connection": "local",
            "tidegate_address": self.address,
            "tidegate_haproxy_socket": self.access.socket,
            "tidegate_haproxy_master_socket": self.access.master_socket,
            "tidegate_haproxy_lock": self.access.lock,
            "tidegate_haproxy_state_dir": self.access.state_dir,
            "haproxy_base": [str(self.base)],
            "haproxy_folder": str(self.home / "conf.d"),
            "haproxy_program": "haproxy",
            "haproxy_reload": ["/bin/sh", "-c", f"kill -USR2 $(cat {self.home}/pid)"],
            "haproxy_timeout": 60,
            "haproxy_drop_in": str(self.home / "unit.d" / "tidegate.conf"),
            "haproxy_shared_binds": [f"{self.address}:{SHARED}"],
            "haproxy_defaults": [
                *("timeout connect 1s", "timeout client 10s", "timeout server 10s"),
                "default-server inter 150 rise 2 fall 2",
            ],
        }

    def start(self) -> None:
        command = ["haproxy", "-W", "-db", "-f", str(self.base), "-f", str(self.home / "conf.d")]
        command += ["-S", f"{self.home}/m.sock,mode,600,level,admin"]
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        (self.home / "pid").write_text(str(self.process.pid))
        until(self._answers, lambda: f"{self.name} starts: {(self.home / 'log').read_text()[-400:]}")

    def read(self) -> LoadBalancerState:
        return Runtime(PosixNode(self.name, LocalShell()), self.access).read()

    def status(self, server: str) -> str:
        backend, name = server.split("/")
        return self.read().servers[backend, name].status

    def say(self, *commands: str) -> str:
        """Send commands as a person does."""
        argv = ["socat", "-t", "60", "-", f"UNIX-CONNECT:{self.access.socket}"]
        request = ";".join(commands) + "\n"
        return subprocess.run(
            argv, input=request, capture_output=True, text=True, timeout=PATIENCE_S, check=True
        ).stdout

    def _answers(self) -> bool:
        with contextlib.suppress(DomainError):
            return bool(self.read().servers)
        return False

    def kill(self) -> None:
        """The master, and with it its workers."""
        if self.process is None:
            return
        children = ["ps", "-o", "pid=", "--ppid", str(self.process.pid)]
        workers = subprocess.run(children, capture_output=True, text=True, check=False).stdout.split()
        for pid in [str(self.process.pid), *workers]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        self.process.wait(PATIENCE_S)


@dataclass
class Written:
    """The whole site."""

    home: Path
    balancers: dict[str, Balancer]
    backends: dict[str, Backend]
    addresses: dict[str, str]
    services: dict[str, dict[str, Any]] = field(default_factory=dict)

    def edit(self, name: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Change a descriptor."""
        change(self.services[name])
        (self.home / "services" / f"{name}.yml").write_text(yaml.safe_dump(self.services[name]))

    @contextlib.contextmanager
    def edited(self, name: str, change: Callable[[dict[str, Any]], object]) -> Iterator[None]:
        """A descriptor that is another one for a while."""
        before = copy.deepcopy(self.services[name])
        self.edit(name, change)
        try:
            yield
        finally:
            self.services[name] = before
            self.edit(name, lambda _: None)

    def play(self, *options: str, **hosts: dict[str, Any]) -> Run:
        """Run the playbook; `hosts` are variables of hosts for this run."""
        self._write_inventory(hosts)
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}
        done = subprocess.run(
            [str(PLAYBOOK), "-i", str(self.home / "hosts.yml"), "playbooks/haproxy.yml", *options],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEPLOYMENT_S,
        )
        return Run(done.returncode, done.stdout + done.stderr)

    def _write_inventory(self, hosts: dict[str, dict[str, Any]]) -> None:
        edge = {name: {**each.variables(), **hosts.get(name, {})} for name, each in self.balancers.items()}
        groups: dict[str, Any] = {"edge": {"hosts": edge}}
        for service, nodes in NODES.items():
            groups[service] = {"hosts": {node: {"tidegate_address": self.addresses[node]} for node in nodes}}
        groups["puppetservers"] = {"hosts": {"puppet": {"tidegate_rollout_dir": "/etc/rollout"}}}
        common = {
            "tidegate_environment": "lab",
            "tidegate_ledger": f"sqlite:///{self.home}/ledger",
            "tidegate_services": str(self.home / "services"),
            "tidegate_artifacts": "http://192.0.2.1",
        }
        inventory = {"all": {"hosts": {"localhost": {"ansible_connection": "local"}}, "vars": common}}
        inventory["all"]["children"] = groups
        (self.home / "hosts.yml").write_text(yaml.safe_dump(inventory))


def described(name: str, haproxy: dict[str, Any]) -> dict[str, Any]:
    """A descriptor like the lab's, without tests."""
    service: dict[str, Any] = yaml.safe_load((PROJECT / "services" / "pricefeed.yml").read_text())
    health = {"url": "http://{node}:8080/health"}
    return {
        **service,
        "name": name,
        "sites": [{"nodes": name, "load_balancers": "edge"}],
        "pools": [{"online": f"{name}_online", "maintenance": f"{name}_maintenance", "haproxy": haproxy}],
        "deploy": {"puppet": {"key": f"{name}::version"}},
        "verify": {"release": health, "health": health},
        "moves_with": [],
    }
