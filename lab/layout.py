"""Where everything of one lab is: the only place that knows its hosts, addresses, ports and paths.

`inventories/lab/` says the same to Ansible; `tests/unit/lab/test_inventory.py` compares the two.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput

PROJECT = Path(__file__).resolve().parent.parent
DEFAULT_NET = "127.20"
DEFAULT_STATE = PROJECT / "build" / "lab"
NET_VARIABLE = "TIDEGATE_LAB_NET"
STATE_VARIABLE = "TIDEGATE_LAB_STATE"
# Every process of a lab has this in its environment, so that `down` finds it whatever happened in between.
MARKER_VARIABLE = "TIDEGATE_LAB_ID"

SSH_PORT = 2222
# WinRM over TLS, as on Windows.
WINRM_PORT = 5986
ARTIFACT_PORT = 8081
PUPPET_PORT = 8140
SHARED_PORT = 8000
FIRST_VERSION = "1.0.0"

# A unix socket's path holds 107 bytes; HAProxy binds `<path>.<pid>.tmp` and ssh `<path>.<16 characters>` first.
LONGEST_STATE_WITH_SOCKETS = 50
# Not $TMPDIR: the inventory must find the same place, in whatever environment Ansible runs.
SHORT_PARENT = Path("/tmp")  # noqa: S108

_NET = re.compile(r"127\.(\d{1,3})")
_PLAIN_PATH = re.compile(r"/[\w.+@/-]+", re.ASCII)


class Kind(StrEnum):
    """What a lab host is."""

    LOAD_BALANCER = "load balancer"
    PUPPETSERVER = "puppetserver"
    TESTBOX = "testbox"
    ARTIFACTS = "artifacts"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the lab: its nodes and its ports there and on the load balancers."""

    name: str
    nodes: tuple[str, ...]
    port: int
    maintenance_port: int
    virtual_host: str
    online_port: int | None = None

    @property
    def online(self) -> str:
        """The backend that customers reach."""
        return f"{self.name}_online"

    @property
    def maintenance(self) -> str:
        """The backend that only testers reach."""
        return f"{self.name}_maintenance"


TRADEAPI = Service(
    name="tradeapi",
    nodes=("n1", "n2", "n3", "n4", "n5", "n6"),
    port=8080,
    maintenance_port=8090,
    virtual_host="trade.lab",
    online_port=8080,
)
PRICEFEED = Service(name="pricefeed", nodes=("n6", "p1"), port=8082, maintenance_port=8092, virtual_host="feed.lab")
SERVICES = (TRADEAPI, PRICEFEED)

_HOSTS = {
    "lb1": (Kind.LOAD_BALANCER, "0.1"),
    "lb2": (Kind.LOAD_BALANCER, "0.2"),
    "puppet": (Kind.PUPPETSERVER, "0.10"),
    "testbox": (Kind.TESTBOX, "0.20"),
    "artifacts": (Kind.ARTIFACTS, "0.30"),
    "n1": (Kind.NODE, "1.1"),
    "n2": (Kind.NODE, "1.2"),
    "n3": (Kind.NODE, "1.3"),
    "n4": (Kind.NODE, "1.4"),
    "n5": (Kind.NODE, "1.5"),
    "n6": (Kind.NODE, "1.6"),
    "p1": (Kind.NODE, "1.7"),
}


# Nodes that are reached as Windows is, over WinRM; the services on them are the same.
_WINDOWS_LIKE = frozenset({"n4"})


@dataclass(frozen=True, slots=True)
class Host:
    """One host of the lab: an address of its own and, since all share a file system, a root folder of its own."""

    name: str
    kind: Kind
    address: str
    root: Path
    run: Path
    windows_like: bool = False

    @property
    def etc(self) -> Path:
        return self.root / "etc"

    @property
    def log(self) -> Path:
        return self.root / "var" / "log"

    @property
    def lib(self) -> Path:
        return self.root / "var" / "lib"

    @property
    def certname(self) -> str:
        """The name in its Puppet certificate."""
        return f"{self.name}.lab"

    # -- nodes -------------------------------------------------------------------------------------------------------
    @property
    def service_tree(self) -> Path:
        """The folder that the node's own runsvdir watches."""
        return self.etc / "service"

    @property
    def service_definitions(self) -> Path:
        """Where Puppet writes the runit definitions that `service_tree` links to."""
        return self.etc / "sv"

    @property
    def releases(self) -> Path:
        """Where Puppet unpacks artifacts: `<service>/<version>/`."""
        return self.root / "opt"

    @property
    def tidegate_state(self) -> Path:
        """Tidegate's own files on that host (job folders)."""
        return self.program_data / "Tidegate" if self.windows_like else self.lib / "tidegate"

    @property
    def puppet_confdir(self) -> Path:
        return self.program_data / "PuppetLabs" / "puppet" / "etc" if self.windows_like else self.etc / "puppet"

    @property
    def puppet_vardir(self) -> Path:
        return self.program_data / "PuppetLabs" / "puppet" / "cache" if self.windows_like else self.lib / "puppet"

    @property
    def facts_dir(self) -> Path:
        """External facts, as in Facter's own places."""
        facter = self.program_data / "PuppetLabs" / "facter" if self.windows_like else self.etc / "facter"
        return facter / "facts.d"

    @property
    def puppet_ssldir(self) -> Path:
        return self.puppet_vardir / "ssl"

    # -- Windows-like nodes ------------------------------------------------------------------------------------------
    @property
    def winrm(self) -> Path:
        """The endpoint's own files: configuration, certificate, password."""
        return self.root / "winrm"

    @property
    def drive(self) -> Path:
        """What the node has as drive C:."""
        return self.winrm / "C"

    @property
    def program_data(self) -> Path:
        return self.drive / "ProgramData"

    # -- test box ----------------------------------------------------------------------------------------------------
    @property
    def test_dir(self) -> Path:
        return self.root / "srv" / "tests"

    # -- load balancers ----------------------------------------------------------------------------------------------
    @property
    def haproxy_config(self) -> Path:
        return self.etc / "haproxy" / "haproxy.cfg"

    @property
    def haproxy_socket(self) -> Path:
        return self.run / "haproxy" / "admin.sock"

    @property
    def haproxy_master_socket(self) -> Path:
        return self.run / "haproxy" / "master.sock"

    @property
    def haproxy_lock(self) -> Path:
        """Whoever changes servers or dumps their state holds this file's flock."""
        return self.run / "haproxy" / "tidegate.lock"

    @property
    def haproxy_state_dir(self) -> Path:
        """One state file per backend, named like it."""
        return self.lib / "haproxy" / "state"

    @property
    def haproxy_log(self) -> Path:
        return self.log / "haproxy.log"


@dataclass(frozen=True, slots=True)
class Layout:
    """One lab: a /16 of the loopback network and a state folder; everything else follows from these two."""

    net: str
    state: Path

    def __post_init__(self) -> None:
        match = _NET.fullmatch(self.net)
        if not match or int(match[1]) > 255:
            raise BadInput(
                f"{self.net!r} is no loopback prefix",
                where=f"--net or {NET_VARIABLE}",
                remedy=f"Write 127.<0 to 255>, such as {DEFAULT_NET}.",
            )
        # The path goes into configurations of sshd, HAProxy and Puppet, which each quote in a way of their own.
        if not _PLAIN_PATH.fullmatch(str(self.state)):
            raise BadInput(
                f"{str(self.state)!r} can't be a state folder",
                where=f"--state or {STATE_VARIABLE}",
                remedy="Choose an absolute path of letters, digits and the characters _ . - + @ / alone.",
            )

    @classmethod
    def of(
        cls, net: str | None = None, state: str | Path | None = None, environ: Mapping[str, str] = os.environ
    ) -> Layout:
        """Given values, else those of the environment, else the defaults. Raises BadInput."""
        chosen = state or environ.get(STATE_VARIABLE) or DEFAULT_STATE
        return cls(net=net or environ.get(NET_VARIABLE) or DEFAULT_NET, state=Path(chosen).resolve())

    @property
    def environment(self) -> dict[str, str]:
        """What a child process needs in order to mean this lab, the marker included."""
        return {MARKER_VARIABLE: self.id, NET_VARIABLE: self.net, STATE_VARIABLE: str(self.state)}

    @property
    def id(self) -> str:
        return str(self.state)

    # -- hosts -------------------------------------------------------------------------------------------------------
    def host(self, name: str) -> Host:
        """Raises KeyError for a name that is no host of the lab."""
        kind, suffix = _HOSTS[name]
        root = self.state / "hosts" / name
        run = self.runtime / name if self.runtime_is_elsewhere else root / "run"
        return Host(name, kind, f"{self.net}.{suffix}", root, run, windows_like=name in _WINDOWS_LIKE)

    @property
    def hosts(self) -> tuple[Host, ...]:
        return tuple(self.host(name) for name in _HOSTS)

    def of_kind(self, kind: Kind) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.kind is kind)

    @property
    def load_balancers(self) -> tuple[Host, ...]:
        return self.of_kind(Kind.LOAD_BALANCER)

    @property
    def nodes(self) -> tuple[Host, ...]:
        return self.of_kind(Kind.NODE)

    @property
    def ssh_hosts(self) -> tuple[Host, ...]:
        """The hosts that Ansible reaches by ssh; the artifact repository is only asked over HTTP."""
        return tuple(host for host in self.hosts if host.kind is not Kind.ARTIFACTS and not host.windows_like)

    @property
    def windows_like(self) -> tuple[Host, ...]:
        """The nodes that Ansible reaches by WinRM."""
        return tuple(host for host in self.hosts if host.windows_like)

    @property
    def puppet(self) -> Host:
        return self.host("puppet")

    @property
    def testbox(self) -> Host:
        return self.host("testbox")

    @property
    def services(self) -> tuple[Service, ...]:
        return SERVICES

    def services_on(self, node: str) -> tuple[Service, ...]:
        return tuple(service for service in SERVICES if node in service.nodes)

    # -- folders of the lab itself -----------------------------------------------------------------------------------
    @property
    def runtime_is_elsewhere(self) -> bool:
        """The state folder's path is too long for unix sockets below it."""
        return len(str(self.state)) > LONGEST_STATE_WITH_SOCKETS

    @property
    def runtime(self) -> Path:
        """Sockets and other things that die with the lab; the inventory computes the same path."""
        if not self.runtime_is_elsewhere:
            return self.state / "run"
        return SHORT_PARENT / f"tidegate-lab-{hashlib.sha256(self.id.encode()).hexdigest()[:12]}"

    @property
    def log(self) -> Path:
        """One file per unit of the lab's own tree."""
        return self.state / "log"

    @property
    def unit_definitions(self) -> Path:
        return self.state / "sv"

    @property
    def unit_tree(self) -> Path:
        """The folder that the lab's own runsvdir watches."""
        return self.state / "service"

    @property
    def lock(self) -> Path:
        """Held by `up` and `down` while they work."""
        return self.state / "lab.lock"

    @property
    def ledger(self) -> Path:
        return self.state / "ledger.sqlite"

    # -- ssh ---------------------------------------------------------------------------------------------------------
    @property
    def ssh_dir(self) -> Path:
        return self.state / "ssh"

    @property
    def ssh_key(self) -> Path:
        return self.ssh_dir / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.ssh_dir / "known_hosts"

    @property
    def control_path_dir(self) -> Path:
        """Where Ansible's ssh keeps the sockets of its shared connections."""
        return self.runtime / "cp"

    # -- artifacts ---------------------------------------------------------------------------------------------------
    @property
    def artifacts_dir(self) -> Path:
        """What the artifact repository serves: `<service>/<version>/<service>-<version>.tar.gz`, digests beside."""
        return self.host("artifacts").root / "srv"

    @property
    def artifacts_url(self) -> str:
        return f"http://{self.host('artifacts').address}:{ARTIFACT_PORT}"

    # -- puppetserver ------------------------------------------------------------------------------------------------
    @property
    def puppet_url(self) -> str:
        return f"https://{self.puppet.address}:{PUPPET_PORT}"

    @property
    def puppet_code_dir(self) -> Path:
        return self.puppet.etc / "puppet" / "code"

    @property
    def rollout_dir(self) -> Path:
        """The global Hiera layer: `nodes/<certname>.yaml` (pins) above `common.yaml` (released values)."""
        return self.puppet.etc / "puppet" / "rollout"
