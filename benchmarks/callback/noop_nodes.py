# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For the benchmark only: whatever would speak to a node or a load balancer does nothing and ended well.

It replaces the domain's functions in ansible-playbook's main process, before the actions that import them are loaded
and before workers are forked. Everything else is the real one: playbook, roles, actions, permit, locks, ledger.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible.plugins.callback import CallbackBase

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.artifact import Artifact
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import Runtime
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import (
    Admin,
    LoadBalancerState,
    ServerRow,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.check import HealthOutcome, HealthResult
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import Expectation, Finding, Release
from ansible_collections.tidegate.delivery.plugins.module_utils.health.warmup import Round, WarmupPlan, WarmupResult
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box_report import BoxReport, Stage
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.gate import Counts, NUnitOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.gate import Verdict as NUnitVerdict
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_raw import RawResults
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.run import NUnitResult
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent import Agent
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.freeze import Change, Freeze
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.judge import Verdict
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.pin_files import FileChange
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.result import Request, Result
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import Configuration

DOCUMENTATION = """
name: noop_nodes
type: aggregate
short_description: Make every node operation a no-op, for the benchmark
description:
  - Needs the environment variables E(TIDEGATE_BENCH_NODES), the nodes' names with commas between them, and
    E(TIDEGATE_BENCH_POOLS), the names of the backends.
"""

PACKAGE = "ansible_collections.tidegate.delivery.plugins"
DIGEST = "0" * 64
OLD, NEW = "1.0.0", "2.0.0"


def _listed(variable: str) -> list[str]:
    return os.environ[variable].split(",")


# Node operations


def freeze(_node: object, _confdir: str, reason: str, **_more: object) -> Change:
    return Change(None, Freeze(reason))


def thaw(*_args: object, **_more: object) -> Change:
    return Change(Freeze("tidegate: deployment d (s), by u"), None)


def wait_for_run(*_args: object, **_more: object) -> float:
    return 0.0


def run_puppet(_node: object, request: Request, *_args: object, **_more: object) -> Result:
    verdict = Verdict(PuppetOutcome.CHANGED)
    return Result(verdict=verdict, job_id=request.run_id, adopted=False, report_path="", exit_code=2, seconds=0)


def http_probe(_where: object, expectation: Expectation, *_args: object) -> Callable[[float], Finding]:
    version, digest = expectation.version, expectation.digest
    told = Release(str(version.value) if version else None, str(digest.value) if digest else None)
    return lambda _timeout: Finding(0.0, 0.0, 200, "", told)


def check(probe: Callable[[float], Finding], *_args: object, **_more: object) -> HealthResult:
    return HealthResult(HealthOutcome.HEALTHY, (probe(0.0),))


def warm_up(plan: WarmupPlan, *_args: object, **_more: object) -> WarmupResult:
    return WarmupResult((Round(dict.fromkeys(plan.until, 0.0), 0, requests=1),))


def run_nunit(*_args: object, **_more: object) -> NUnitResult:
    verdict = NUnitVerdict(NUnitOutcome.PASSED, "of 5 tests 5 passed", Counts(5, 5))
    raw = RawResults()
    for _ in raw.passing([b"<test-run/>"]):
        pass
    return NUnitResult(verdict, BoxReport(Stage.DONE, runner_rc=0), raw)


def change_pins(
    servers: Iterable[str], _folders: object, edits: Mapping[str, Iterable[str]], *_args: object, **_more: object
) -> list[FileChange]:
    return [FileChange(server, path, None, b"---\n") for server in servers for path in edits[server]]


# Load balancers


def preview(*_args: object, **_more: object) -> bool:
    return True


def move(*_args: object, **_more: object) -> None:
    return None


def read_load_balancer(runtime: Runtime, _backends: Sequence[str] = ()) -> LoadBalancerState:
    """Every node online in every pool's first backend, and ready for a move into the second."""
    nodes, backends = _listed("TIDEGATE_BENCH_NODES"), _listed("TIDEGATE_BENCH_POOLS")
    rows = [_row(backend, node) for backend in backends for node in nodes]
    servers = {row.key: row for row in rows}
    return LoadBalancerState(runtime.access.host, "2.8.0", 1, 1, servers, dict.fromkeys(backends, 0))


def _row(backend: str, node: str) -> ServerRow:
    online = backend.endswith("_online")
    admin, status = (Admin(0), "UP") if online else (Admin.FORCED_MAINT, "MAINT")
    return ServerRow(
        backend, node, status, 2, admin, 1, backup=False, sessions=0, queued=0, begun=0, checked=True, agent=False,
        tracks="", address="",
    )  # fmt: skip


# What planning and confirming ask nodes and the artifact repository


def look(*_args: object, **_more: object) -> Agent:
    return Agent(program="/bin/true", confdir="", disabled_lock="", report="")


def served_before(*_args: object, **_more: object) -> Release:
    return Release(OLD, DIGEST)


def served_after(*_args: object, **_more: object) -> Release:
    return Release(NEW, DIGEST)


def find_artifact(_service: str, _version: str, url: str, **_more: object) -> Artifact:
    return Artifact(url, DIGEST)


def ask_revision(*_args: object, **_more: object) -> Configuration:
    return Configuration(why="nobody is asked")


def require_ready(_scene: object) -> None:
    return None


def no_command(*_args: object, **_more: object) -> None:
    """The net below all of it: a node operation that is not replaced must fail and not be measured."""
    raise BadInput("the benchmark's run would have sent a command to a host", where="benchmarks/callback/noop_nodes.py")


# In this order: what imports a function by its name comes after it.
REPLACED: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("plugin_utils.action.connections", "AnsibleExecute.__call__", no_command),
    ("module_utils.puppet.agent", "look", look),
    ("module_utils.puppet.revision", "ask_revision", ask_revision),
    ("module_utils.puppet.freeze", "freeze", freeze),
    ("module_utils.puppet.freeze", "thaw", thaw),
    ("module_utils.puppet.freeze", "wait_for_run", wait_for_run),
    ("module_utils.puppet.run", "run", run_puppet),
    ("module_utils.puppet.pins", "change", change_pins),
    ("module_utils.health.probes", "http_probe", http_probe),
    ("module_utils.health.check", "check", check),
    ("module_utils.health.warmup", "warm_up", warm_up),
    ("module_utils.nunit.run", "run_nunit", run_nunit),
    ("module_utils.pools.moves", "Move.preview", preview),
    ("module_utils.pools.moves", "Move.run", move),
    ("module_utils.haproxy.runtime", "Runtime.read", read_load_balancer),
    ("module_utils.catalog.artifact", "find_artifact", find_artifact),
    ("module_utils.health.check", "read_release", served_before),
    ("plugin_utils.looking.survey", "read_release", served_before),
    ("plugin_utils.looking.proof", "read_release", served_after),
    ("plugin_utils.planning.scene", "Scene.require_ready", require_ready),
)


def replace_all() -> None:
    """Put the no-ops in. Raises AttributeError for a name that is not there (any more)."""
    for module, path, noop in REPLACED:
        owner: Any = importlib.import_module(f"{PACKAGE}.{module}")
        *holders, name = path.split(".")
        for holder in holders:
            owner = getattr(owner, holder)
        getattr(owner, name)
        setattr(owner, name, noop)


replace_all()


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core ships no type information
    """Loaded before anything else of ours: that is all it is for."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "noop_nodes"
    CALLBACK_NEEDS_ENABLED = True
