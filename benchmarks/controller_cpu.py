"""The controller's processor time of health_check and puppet_run beside the same work with shipped modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import State
from benchmarks.measured import measure
from benchmarks.simulated import PLAYBOOK, PROJECT
from lab.layout import NET_VARIABLE, STATE_VARIABLE, TRADEAPI, Layout
from tidegate.ledger import SqlLedger
from tidegate.store import Store

Task = dict[str, Any]
SIDES = ("tidegate", "shipped")
PARTS = ("health_check", "puppet_run")
IN_A_ROW, INTERVAL_S = 3, 0.5
# Beside those of the demo, the tests and Molecule.
_NET, _STATE = "127.24", PROJECT / "build" / "bench" / "lab"
# begin_deployment opens a deployment and takes its locks, as plan does for a playbook; open_connections is ours.
_ACTIONS = (
    PROJECT / "tests" / "integration" / "haproxy" / "action_plugins",
    PROJECT / "benchmarks" / "action_plugins",
)
# uri, command and slurp can't work on the lab's Windows-like node: they would need its PowerShell.
NODES = tuple(name for name in TRADEAPI.nodes if not Layout(net=_NET, state=_STATE).host(name).windows_like)
METHOD = """On the lab's Linux nodes, reached through a real sshd each, beside its real puppetserver. health_check:
three good answers in a row, half a second apart, of every node's service; shipped: uri on the controller, three times
in a loop. puppet_run: a run of the real agent on a node where nothing is to be changed, judged by its report; shipped:
command with the agent's command line, slurp of its report, and a look into it. Both with this project's ansible.cfg
(pipelining, all nodes at once) and over connections that are open. What is counted is the processor time of
ansible-playbook and of everything that it starts on the controller, without what runs on the nodes. From each play's
time that of a play is taken which opens the connections and does nothing else (on our side a deployment and its locks,
too): what is left is the steps' own. A round is all six plays, one after the other; medians of the rounds."""


@dataclass(frozen=True, slots=True)
class Plays:
    """The six plays over a lab's nodes."""

    layout: Layout
    nodes: tuple[str, ...]
    folder: Path

    def settle(self) -> None:
        """Run the agents until they have nothing to change. Raises Failed when they still do after four runs."""
        until_unchanged = {"register": "run", "until": "run.rc == 0", "failed_when": "run.rc != 0"}
        self._play("settle", [{**self._agent_run(), **until_unchanged, "retries": 3, "delay": 1}])

    def cpu_s(self, side: str, part: str, number: int) -> float:
        """Processor seconds of one play of one round; \"\" is the part of a play without steps. Raises Failed."""
        # Unlike those of all measurements before in this lab.
        name = f"{self.folder.name}-{side}-{part or 'nothing'}-{number}"
        try:
            return self._play(name, self.tasks(side, part, name, self._ledger))
        finally:
            self._close(name)

    @property
    def _ledger(self) -> str:
        """The lab's own: Puppet tells its nodes that they belong to that one."""
        return f"sqlite:///{self.layout.state}/ledger.sqlite"

    def _close(self, deployment: str) -> None:
        """Close it if it was opened: while one is open there can't be the next."""
        ledger = SqlLedger(Store(self._ledger))
        opened = ledger.deployment(deployment)
        if opened is not None:
            closed = Event(
                service=opened.service,
                environment=opened.environment,
                deployment=deployment,
                attempt=opened.attempt,
                step=Step.CLOSE,
                outcome=Outcome.OK,
            )
            ledger.update_state(deployment, State.DONE, closed)

    def _play(self, name: str, tasks: list[Task]) -> float:
        play = {"hosts": ",".join(self.nodes), "gather_facts": False, "tasks": tasks}
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps([play]))
        extra = json.dumps({"tidegate_ledger": self._ledger, "tidegate_deployments": str(self.folder / "deployments")})
        argv = [sys.executable, "-m", "benchmarks.with_orphans", str(PLAYBOOK), "-i", "inventories/lab", str(path)]
        argv += ["--forks", "50", "-e", extra]
        return measure(argv, PROJECT, self._environment(), self.folder / f"{name}.log").cpu_s

    def tasks(self, side: str, part: str, name: str, ledger: str) -> list[Task]:
        """The tasks of one play; `name` is that of its deployment."""
        return self._ours(part, name, ledger) if side == "tidegate" else self._shipped(part)

    def _ours(self, part: str, name: str, ledger: str) -> list[Task]:
        checks = {node: {"shop": {"health": self._health(node)}} for node in self.nodes}
        arguments = {
            "ledger": ledger,
            "deployment": name,
            "nodes": ",".join(self.nodes),
            "pools": [],
            "checks": checks,
            "left": True,
        }
        steps: dict[str, list[Task]] = {
            "": [],
            "health_check": [
                {
                    "tidegate.delivery.health_check": {"deployment": name, "step": "health", "nodes": list(self.nodes)},
                    "run_once": True,
                }
            ],
            "puppet_run": [
                {
                    "tidegate.delivery.puppet_run": {"deployment": name},
                    "register": "run",
                    "failed_when": "run.outcome != 'unchanged'",
                }
            ],
        }
        return [{"begin_deployment": arguments, "run_once": True}, {"open_connections": {}}, *steps[part]]

    def _health(self, node: str) -> dict[str, Any]:
        return {
            "url": self._url(self.layout.host(node).address),
            "in_a_row": IN_A_ROW,
            "interval": f"{round(1000 * INTERVAL_S)}ms",
            "expect": [{"path": "$.status", "value": "ok"}],
        }

    def _shipped(self, part: str) -> list[Task]:
        report = "{{ lab_root }}/" + str(self._report())
        steps: dict[str, list[Task]] = {
            "": [],
            "health_check": [
                {
                    "ansible.builtin.uri": {"url": self._url("{{ tidegate_address }}"), "return_content": True},
                    "delegate_to": "localhost",
                    "loop": list(range(IN_A_ROW)),
                    "loop_control": {"pause": INTERVAL_S},
                    "register": "answer",
                    "failed_when": "answer.status != 200 or answer.json.status != 'ok'",
                }
            ],
            "puppet_run": [
                self._agent_run(),
                {
                    "ansible.builtin.slurp": {"src": report},
                    "register": "report",
                    "failed_when": "'status: unchanged' not in (report.content | b64decode)",
                },
            ],
        }
        return [{"ansible.builtin.raw": "true"}, *steps[part]]

    @staticmethod
    def _agent_run() -> Task:
        agent = "puppet agent --onetime --no-daemonize --detailed-exitcodes --no-usecacheonfailure --color=false"
        return {"ansible.builtin.command": {"argv": [*agent.split(), "--confdir", "{{ tidegate_puppet_confdir }}"]}}

    def _report(self) -> Path:
        host = self.layout.host(self.nodes[0])
        return (host.puppet_vardir / "state" / "last_run_report.yaml").relative_to(host.root)

    def _url(self, address: str) -> str:
        return f"http://{address}:{TRADEAPI.port}/health"

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "TIDEGATE_"))}
        return kept | {
            "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
            "ANSIBLE_ACTION_PLUGINS": os.pathsep.join(map(str, _ACTIONS)),
            "ANSIBLE_PIPELINING": "True",
            "ANSIBLE_NOCOLOR": "1",
            NET_VARIABLE: self.layout.net,
            STATE_VARIABLE: str(self.layout.state),
        }


def bench(plays: Plays, rounds: int, tell: Callable[[str], None] = lambda _text: None) -> dict[str, Any]:
    """Measure all of it. Raises Failed when a play fails."""
    plays.settle()
    seconds: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for told in seconds.values():
            told.append({})
        for part in ("", *PARTS):
            for side in SIDES:
                seconds[side][-1][part] = plays.cpu_s(side, part, number)
                tell(f"round {number + 1} of {rounds}: {side}, {part or 'no step'}: {seconds[side][-1][part]:.2f} s")
    return figures(seconds, len(plays.nodes))


def figures(seconds: Mapping[str, Sequence[Mapping[str, float]]], nodes: int) -> dict[str, Any]:
    """The steps' own milliseconds a node, and ours divided by theirs, of each round's seconds by side and part."""
    own = {side: {part: _own_s(told, part) for part in PARTS} for side, told in seconds.items()}
    ratio = {part: round(own["tidegate"][part] / own["shipped"][part], 3) for part in PARTS}
    both = {side: sum(told.values()) for side, told in own.items()}
    return {
        "cpu_ratio_to_shipped_modules": round(both["tidegate"] / both["shipped"], 3),
        "controller_cpu": {
            "ratio": ratio,
            "nodes": nodes,
            "rounds": len(seconds["tidegate"]),
            "ms_per_node": {
                side: {part: round(1000 * own_s / nodes, 1) for part, own_s in told.items()}
                for side, told in own.items()
            },
            "start_s": {side: round(median(each[""] for each in told), 2) for side, told in seconds.items()},
            "method": " ".join(METHOD.split()),
        },
    }


def _own_s(rounds: Sequence[Mapping[str, float]], part: str) -> float:
    return median(each[part] for each in rounds) - median(each[""] for each in rounds)


@contextmanager
def lab_of_its_own(log: Path) -> Iterator[Layout]:
    """A lab that is started for the measurement and ended after it. Raises Failed."""
    layout = Layout(net=_NET, state=_STATE)
    where = ["--net", _NET, "--state", str(_STATE)]
    try:
        measure([sys.executable, "-m", "lab", "up", *where], PROJECT, os.environ, log)
        yield layout
    finally:
        subprocess.run(
            [sys.executable, "-m", "lab", "down", "--purge", *where], cwd=PROJECT, check=False, stdout=sys.stderr
        )
