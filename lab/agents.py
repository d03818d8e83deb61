"""Puppet agents of the lab's nodes: their runs, and the data that tests give single nodes."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded
from lab.files import write_file
from lab.layout import Host, Layout
from lab.programs import HOST_PATH, program

RUN_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class AgentRun:
    """One finished run: `--detailed-exitcodes` (0 unchanged, 2 changed, 4 failed, 6 both, 1 no run) and its report."""

    exit_code: int
    output: str
    report: Path
    seconds: float


def report_path(host: Host) -> Path:
    return host.puppet_vardir / "state" / "last_run_report.yaml"


def agent_argv(host: Host, *extra: str) -> list[str]:
    """A run as a node's cron would start it, in the foreground."""
    fixed = ["--onetime", "--no-daemonize", "--detailed-exitcodes", "--no-usecacheonfailure", "--color=false"]
    return [program("puppet"), "agent", "--confdir", str(host.puppet_confdir), *fixed, *extra]


def run_agent(layout: Layout, node: str, *extra: str, timeout_s: float = RUN_TIMEOUT_S) -> AgentRun:
    """Run a node's agent once and wait for it. Raises DeadlineExceeded."""
    host = layout.host(node)
    return run_puppet(layout, host, agent_argv(host, "--verbose", "--logdest", "console", *extra), timeout_s)


def run_puppet(layout: Layout, host: Host, argv: list[str], timeout_s: float) -> AgentRun:
    """Run one of puppet's commands with the lab's marker in its environment. Raises DeadlineExceeded."""
    began = time.monotonic()
    environment = {**layout.environment, "PATH": HOST_PATH, "LANG": "C.UTF-8", "HOME": str(host.root)}
    try:
        done = subprocess.run(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as problem:
        raise DeadlineExceeded(
            f"Puppet did not end within {timeout_s:.0f} s",
            where=host.name,
            remedy=f"See whether {layout.puppet_url} answers, and {host.log}.",
        ) from problem
    seconds = time.monotonic() - began
    return AgentRun(done.returncode, done.stdout.decode("utf-8", "replace"), report_path(host), seconds)


# -- data of single nodes ----------------------------------------------------------------------------------------------
def environment_data(layout: Layout) -> Path:
    """The folder of the production environment's Hiera data."""
    return layout.puppet_code_dir / "environments" / "production" / "data"


def node_data(layout: Layout, node: str) -> Path:
    """The file of one node's own data, below Tidegate's rollout layer and above all else."""
    return environment_data(layout) / "nodes" / f"{layout.host(node).certname}.yaml"


def set_node_data(layout: Layout, node: str, values: Mapping[str, object]) -> None:
    """Give one node these values (`tradeapi::restart`, `tradeapi::break`) instead of earlier ones."""
    write_yaml(node_data(layout, node), values)


def clear_node_data(layout: Layout, node: str) -> None:
    """Take back what `set_node_data` gave."""
    node_data(layout, node).unlink(missing_ok=True)


def pin(layout: Layout, node: str, values: Mapping[str, object]) -> None:
    """Pin one node in the global layer, as `tidegate.delivery.puppet_pin` does, for tests of the lab itself."""
    write_yaml(layout.rollout_dir / "nodes" / f"{layout.host(node).certname}.yaml", values)


def unpin(layout: Layout, node: str) -> None:
    """Take a node's pin away."""
    (layout.rollout_dir / "nodes" / f"{layout.host(node).certname}.yaml").unlink(missing_ok=True)


def write_yaml(path: Path, values: Mapping[str, object]) -> None:
    """Write Hiera data, whole or not at all."""
    # Through JSON: enumerations and other subclasses of str become plain, and what YAML can't say is an error.
    write_file(path, "---\n" + yaml.safe_dump(json.loads(json.dumps(dict(values)))))
