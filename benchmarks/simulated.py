"""A site that isn't there: an inventory of simulated nodes and the descriptor of the one service on them."""

from __future__ import annotations

import configparser
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
SERVICE, VERSION = "tradeapi", "2.0.0"
POOLS = (f"{SERVICE}_online", f"{SERVICE}_maintenance")
_PATHS = {"socket": "/run/haproxy.sock", "master_socket": "/run/haproxy-master.sock"}


@dataclass(frozen=True, slots=True)
class Site:
    """Simulated nodes behind two simulated load balancers; `waves` and `min_online` as a descriptor has them."""

    folder: Path
    nodes: tuple[str, ...]
    waves: tuple[str, ...]
    min_online: str

    @property
    def environment(self) -> dict[str, str]:
        """For ansible-playbook: ours, with the no-ops enabled beside what the project itself enables."""
        enabled = [name for name in (_enabled_callbacks(), "noop_nodes") if name]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "TIDEGATE_"))}
        return kept | {
            "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CALLBACK_PLUGINS": str(PROJECT / "benchmarks" / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": ",".join(enabled),
            "TIDEGATE_BENCH_NODES": ",".join(self.nodes),
            "TIDEGATE_BENCH_POOLS": ",".join(POOLS),
        }

    @property
    def ledger(self) -> Path:
        """Where the run's ledger is."""
        return self.folder / "ledger" / "ledger.sqlite"

    def deploy(self) -> list[str]:
        """The command line of a deployment."""
        forks = str(max(50, len(self.nodes)))
        extra = json.dumps({"service": SERVICE, "version": VERSION})
        inventory = str(self.folder / "inventory.json")
        return [str(PLAYBOOK), "-i", inventory, "playbooks/deploy.yml", "--forks", forks, "-e", extra]

    def write(self) -> None:
        """Write inventory and descriptor."""
        services = self.folder / "services"
        services.mkdir(parents=True, exist_ok=True)
        (self.folder / "inventory.json").write_text(json.dumps({"all": self._inventory()}))
        (services / f"{SERVICE}.yml").write_text(json.dumps(self._descriptor()))

    def _inventory(self) -> dict[str, object]:
        balancers = {f"tidegate_haproxy_{name}": path for name, path in _PATHS.items()}
        return {
            "vars": {
                "ansible_python_interpreter": sys.executable,
                "tidegate_environment": "bench",
                "tidegate_ledger": f"sqlite:///{self.ledger}",
                "tidegate_services": str(self.folder / "services"),
                "tidegate_artifacts": "http://artifacts.invalid",
            },
            "hosts": {"localhost": {"ansible_connection": "local"}},
            "children": {
                "edge": {"hosts": {"lb1": {}, "lb2": {}}, "vars": balancers},
                "puppetservers": {"hosts": {"puppet": {"tidegate_rollout_dir": "/etc/tidegate/rollout"}}},
                "testboxes": {"hosts": {"testbox": {"tidegate_test_dir": "/var/lib/tidegate/tests"}}},
                SERVICE: {"hosts": {name: {} for name in self.nodes}},
            },
        }

    def _descriptor(self) -> dict[str, object]:
        """The lab's main service, without the one that moves with it."""
        url = "http://{node}:8080/health"
        return {
            "name": SERVICE,
            "sites": [{"name": "bench", "nodes": SERVICE, "load_balancers": "edge"}],
            "pools": [{"online": POOLS[0], "maintenance": POOLS[1]}],
            "waves": list(self.waves),
            "min_online": self.min_online,
            "artifact": {"url": "{artifacts}/{service}/{version}/{service}-{version}.tar.gz"},
            "deploy": {"puppet": {"pin": "hiera", "key": f"{SERVICE}::version", "digest_key": f"{SERVICE}::digest"}},
            "verify": {
                "release": {"url": url, "version": "$.version", "digest": "$.digest"},
                "health": {"url": url, "expect": {"$.status": "ok"}},
                "nunit": {
                    "box": "testboxes",
                    "url": "http://{load_balancer}:8090",
                    "assemblies": ["TradeApi.Smoke.dll"],
                    "min_tests": 5,
                },
                "warmup": {"urls": ["/quotes"], "until": {"p95": "200ms"}},
            },
        }


def site(folder: Path, nodes: int, waves: tuple[str, ...], min_online: str) -> Site:
    """A site of that many nodes, written to `folder`."""
    made = Site(folder, tuple(f"node{number:03}" for number in range(1, nodes + 1)), waves, min_online)
    made.write()
    return made


def _enabled_callbacks() -> str:
    config = configparser.ConfigParser()
    config.read(PROJECT / "ansible.cfg")
    return config.get("defaults", "callbacks_enabled", fallback="")
