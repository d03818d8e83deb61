"""Every step of the flow, read from the playbook itself, so that a new task is a new kill point by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.layout import PROJECT

PLAYBOOK = PROJECT / "playbooks" / "deploy.yml"
OURS = "tidegate.delivery."
_SECTIONS = ("pre_tasks", "roles", "tasks", "post_tasks", "handlers")
# What no service of the lab does, by its condition: test_raise_by_command.py, test_quiet_day.py and test_downtime.py
# (integration/flow) run it.
_NOT_IN_THE_LAB = (
    'settle_plan.puppet.common == "command"',
    "deploy_plan.puppet.open | length > 0",
    "tidegate_plan.puppet.open | default({}) | length > 0",
    "hold_plan.puppet.open | default({}) | length > 0",
    *(f"{role}_plan.downtime | default(false)" for role in ("leave", "join", "hold")),
)
_ROLES = ("import_role", "include_role")
_FILES = ("import_tasks", "include_tasks", "import_playbook", "include")
# Tasks that a rollout comes to when a node asks for a reboot, which only the whole share of kills has a node do.
REBOOT = "reboot.yml"


@dataclass(frozen=True, slots=True)
class FlowStep:
    """One task of ours: `rescue` tells that only a failure leads to it, `play` in which play."""

    file: str
    task: str
    module: str
    play: str
    rescue: bool

    @property
    def reboots(self) -> bool:
        """Whether only a node that asks for a reboot leads to it."""
        return self.file.endswith(f"/{REBOOT}")

    @property
    def id(self) -> str:
        """The same as the kill point's (callback/kill_point.py): unique, and readable in a report."""
        return f"{self.file}: {self.task}"


def steps_of_flow(playbook: Path = PLAYBOOK) -> tuple[FlowStep, ...]:
    """All of them, in the order of the files. Fails on what can't be followed: it could hide a step."""
    found = tuple(step for play in _load(playbook) for step in _of_play(playbook, play))
    doubles = {step.id for step in found if [each.id for each in found].count(step.id) > 1}
    assert not doubles, f"steps of the same name and file can't be told apart: {sorted(doubles)}"
    return found


def _of_play(playbook: Path, play: dict[str, Any]) -> Iterator[FlowStep]:
    assert not {_short(key) for key in play} & set(_FILES), f"{playbook}: follow {list(play)} here as well"
    for section in _SECTIONS:
        yield from _of_tasks(playbook, play["name"], play.get(section, []), rescue=False)


def _of_tasks(file: Path, play: str, tasks: list[dict[str, Any]], *, rescue: bool) -> Iterator[FlowStep]:
    for task in tasks:
        if task.get("when") in _NOT_IN_THE_LAB:
            continue
        for part in ("block", "rescue", "always"):
            yield from _of_tasks(file, play, task.get(part, []), rescue=rescue or part == "rescue")
        for key, value in task.items():
            assert _short(key) not in _FILES or value == REBOOT, f"{file}: follow {key} here as well"
            if value == REBOOT:
                more = file.with_name(REBOOT)
                yield from _of_tasks(more, play, _load(more), rescue=rescue)
            if _short(key) in _ROLES:
                main = PROJECT / "roles" / value["name"].removeprefix(OURS) / "tasks" / "main.yml"
                yield from _of_tasks(main, play, _load(main), rescue=rescue)
            if key.startswith(OURS):
                yield FlowStep(_short_path(file), task["name"], key.removeprefix(OURS), play, rescue)


def _short_path(file: Path) -> str:
    return str(file.relative_to(PROJECT)) if file.is_relative_to(PROJECT) else file.name


def _short(key: str) -> str:
    return key.removeprefix("ansible.builtin.")


def _load(path: Path) -> list[dict[str, Any]]:
    loaded = yaml.safe_load(path.read_text())
    assert isinstance(loaded, list), f"{path} is no list of plays or tasks"
    return loaded
