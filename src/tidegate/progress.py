"""What is known of a running deployment: which node is in which pool, at which step, since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tidegate.playbook import Said


class Mark(StrEnum):
    """How a node stands in its wave."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    LEFT_ALONE = "left alone"


# What proves a node before it joins, in order.
GATES = ("release", "health", "nunit", "warmup")
_READY = GATES[:2]
_NOTHING: Mapping[str, Any] = {}
_STEPS = {
    ("plan", ""): "plan",
    ("puppet_freeze", "frozen"): "freeze",
    ("puppet_freeze", "thawed"): "thaw",
    ("nagios_downtime", "open"): "downtime",
    ("nagios_downtime", "closed"): "downtime end",
    ("haproxy_pool", "maintenance"): "leave",
    ("haproxy_pool", "online"): "join",
    ("haproxy_pool", "repaired"): "repair",
    ("puppet_pin", "pinned"): "pin",
    ("puppet_pin", "raised"): "raise",
    ("puppet_raise", ""): "raise",
    ("puppet_pin", "sealed"): "seal",
    ("puppet_pin", "absent"): "settle",
    ("puppet_run", ""): "puppet",
    ("reboot", ""): "reboot",
    ("nunit", ""): "nunit",
    ("deployment", "wave"): "wave",
    ("deployment", "joined"): "confirm",
    ("deployment", "held"): "hold",
    ("deployment", "closed"): "close",
    ("deployment", "left"): "left",
    ("deployment", "repaired"): "left",
}
_LEADS_TO = {"leave": "maintenance", "repair": "maintenance", "join": "online"}


@dataclass(slots=True)
class Node:
    """One line: where the node is and what happens there. `since` is when the step began, on the caller's clock."""

    name: str
    wave: int | None
    site: str
    way: str
    pool: str
    mark: Mark = Mark.WAITING
    step: str = ""
    since: float | None = None
    note: str = ""
    gates: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """A step that came to its end, for whoever shows lines."""

    step: str
    nodes: tuple[str, ...]
    ok: bool
    message: str
    seconds: float | None


@dataclass(slots=True)
class Progress:
    """A deployment as it is told, step by step."""

    headline: str = ""
    deployment: str = ""
    folder: str = ""
    wave: int = 0
    waves: list[tuple[str, ...]] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)
    running: dict[tuple[str, str], float] = field(default_factory=dict)
    note: str = ""

    def hear(self, said: Said, now: float) -> Ended | None:
        """Take in what was said at `now`; the step that it ended, if it did."""
        if said.kind == "start":
            self._began(said, now)
        elif said.kind == "end":
            return self._ended(said, now)
        elif said.kind == "line" and said.text.startswith("  "):
            self._noted(said.text.strip())
        return None

    def _began(self, said: Said, now: float) -> None:
        step = step_of(said)
        self.running[step, said.host] = now
        for node in self._concerned(said):
            if node.mark is not Mark.FAILED:  # what follows in a held wave must not hide why it is held
                node.mark, node.step, node.since, node.note = Mark.RUNNING, step, now, ""

    def _ended(self, said: Said, now: float) -> Ended:
        step = step_of(said)
        began = self.running.pop((step, said.host), None)
        nodes = self._concerned(said)
        for node in nodes:
            _end_step(node, step, said)
        if said.action == "plan":
            self._planned(said.result)
        elif step == "wave" and said.ok:
            self.wave += 1
        told = str(said.result.get("msg", ""))
        return Ended(step, tuple(node.name for node in nodes), said.ok, told, None if began is None else now - began)

    def _concerned(self, said: Said) -> list[Node]:
        """The nodes that a task is about: one that runs once is about the whole wave."""
        own = self.nodes.get(said.host)
        if own is None:
            return []
        return [node for node in self.nodes.values() if node.wave == own.wave] if said.once else [own]

    def _planned(self, result: Mapping[str, Any]) -> None:
        plan = result.get("plan") or {}
        facts = result.get("ansible_facts", {}).get("tidegate_plan", {})
        self.headline, self.deployment = str(result.get("msg", "")), str(facts.get("deployment", ""))
        self.folder = str(result.get("folder") or "")
        self.waves = [tuple(wave["nodes"]) for wave in plan.get("waves", [])]
        self.nodes = {row["name"]: _planned_node(row) for row in plan.get("nodes", [])}

    def _noted(self, text: str) -> None:
        host, colon, rest = text.partition(": ")
        if colon and host in self.nodes:
            self.nodes[host].note = rest
        else:
            self.note = text

    def longest(self, now: float) -> tuple[str, str, float] | None:
        """The step that has been running for the longest time: step, host, seconds."""
        if not self.running:
            return None
        (step, host), began = min(self.running.items(), key=lambda item: item[1])
        return step, host, now - began


def step_of(said: Said) -> str:
    """The step's name in the words of the ledger."""
    if said.action == "health_check":
        return said.options.get("step", "health")
    state = said.options.get("state", "")
    return _STEPS.get((said.action, state)) or _STEPS.get((said.action, "")) or said.action


def _planned_node(row: Mapping[str, Any]) -> Node:
    moves = row["fate"] == "move"
    mark = Mark.WAITING if moves else Mark.DONE if row["fate"] == "done" else Mark.LEFT_ALONE
    pool = {"online": "online", "out": "maintenance"}.get(row["standing"], str(row["standing"]))
    way = f"{row['from']} → {row['to']}" if moves else str(row["from"])
    return Node(row["name"], row["wave"], row["site"], way, pool, mark, note=str(row["why"]))


def _end_step(node: Node, step: str, said: Said) -> None:
    if node.mark is Mark.FAILED:
        return
    # A step of the whole wave may tell of each node: those that are well are not marked for one that isn't.
    result, ok = _own_end(node.name, said)
    node.since = None
    node.note = "" if ok else str(result.get("msg", ""))
    if result is not _NOTHING:
        node.gates |= dict.fromkeys(_gates_of(step, ok, result), ok)
    if not ok:
        node.mark, node.step = Mark.FAILED, step
    elif step in _LEADS_TO:
        node.pool = _LEADS_TO[step]
    elif step in ("confirm", "left"):
        node.mark, node.step = Mark.DONE, ""


def _own_end(node: str, said: Said) -> tuple[Mapping[str, Any], bool]:
    """A node's part of a result that tells of each node, and whether it is good; _NOTHING when it has none."""
    nodes = said.result.get("nodes")
    if not isinstance(nodes, Mapping):
        return said.result, said.ok
    own = nodes.get(node, _NOTHING)
    return own, not own.get("failed")


def _gates_of(step: str, ok: bool, result: Mapping[str, Any]) -> tuple[str, ...]:
    if step == "ready":
        return _READY if ok else (str(result.get("step", _READY[0])),)
    return (step,) if step in GATES else ()


def gates_shown(node: Node) -> Sequence[tuple[str, bool | None]]:
    """Each gate with its verdict; None while it is still to come."""
    return [(gate, node.gates.get(gate)) for gate in GATES]
