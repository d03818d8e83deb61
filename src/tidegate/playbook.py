"""Running one of the collection's playbooks through ansible-runner, and hearing what it says."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_runner import Runner, RunnerConfig

from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import printable, printable_value
from tidegate.processes import Brood
from tidegate.scratch import scratch_folder

COLLECTION = "tidegate.delivery"
# Ansible's own default of 5 would turn a wave of twelve nodes into three rounds.
FORKS = 50
# How often the command looks up while a playbook says nothing, in seconds.
TICK_S = 0.2
# A plan of a few hundred nodes has some hundred kilobytes.
_LONGEST_LINE = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Playbook:
    """Which playbook, on which inventories, with which variables; `arguments` go to ansible-playbook as they are."""

    name: str
    inventories: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    check: bool = False
    forks: int = FORKS
    arguments: tuple[str, ...] = ()

    @property
    def argv(self) -> list[str]:
        """What ansible-playbook is called with. Our own variables come last, and so they win."""
        inventories = [word for source in self.inventories for word in ("-i", source)]
        variables = ["-e", json.dumps(dict(self.variables))] if self.variables else []
        check = ["--check"] if self.check else []
        forks = ["--forks", str(self.forks)]
        return [*inventories, *forks, *check, *self.arguments, *variables, f"{COLLECTION}.{self.name}"]


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that happened: a step began (`start`) or ended (`end`), another task `failed`, or a `line` of text."""

    kind: str
    action: str = ""
    host: str = ""
    once: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    ok: bool = True
    result: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    def printable(self) -> Said:
        """The same without what a terminal would obey: nodes, servers and other modules have their say in it."""
        return replace(self, result=printable_value(self.result), text=printable(self.text))


def read_line(line: str) -> Said:
    """What one line of a playbook's output says; anything that isn't ours is text."""
    if line.startswith('{"say": ') and len(line) < _LONGEST_LINE:
        try:
            told = json.loads(line)
            kind, text = str(told.pop("say")), str(told.pop("msg", ""))
            task = str(told.pop("task", ""))
            return Said(kind, **told, text=f"{task}: {text}" if task else text)
        except (ValueError, TypeError):
            pass
    return Said("line", text=line)


def run_playbook(
    playbook: Playbook, hear: Callable[[Said], None], tick: Callable[[], None], brood: Brood | None = None
) -> int:
    """Run it to its end and return ansible-playbook's exit code (254 when a signal ended it).

    `hear` gets everything that is said, `tick` is called several times a second; both in the caller's thread,
    which must live as long as the playbook: the playbook is killed when that thread ends (prctl(2), PDEATHSIG).
    No process that the playbook started is left when this returns.
    """
    brood = brood or Brood()
    with scratch_folder() as folder:
        try:
            runner = Runner(
                _config(playbook, folder),
                event_handler=_handler(hear),
                cancel_callback=_never(tick),
                status_handler=_forget_command,
            )
            runner.run()
        finally:
            brood.end()
    return 254 if runner.rc is None else int(runner.rc)


def _handler(hear: Callable[[Said], None]) -> Callable[[Mapping[str, Any]], bool]:
    def handle(event: Mapping[str, Any]) -> bool:
        for line in str(event.get("stdout", "")).splitlines():
            hear(read_line(line))
        return False  # runner keeps no file of it

    return handle


def _forget_command(status: Mapping[str, Any], runner_config: RunnerConfig) -> None:
    """Runner has written down the arguments, in which a person may have put a secret."""
    if status["status"] == "running":
        (Path(runner_config.artifact_dir) / "command").unlink(missing_ok=True)


def _never(tick: Callable[[], None]) -> Callable[[], bool]:
    """Runner's own way to cancel leaves workers behind (see facts of ansible-runner): it is only our clock."""

    def canceled() -> bool:
        tick()
        return False

    return canceled


def _config(playbook: Playbook, folder: Path) -> RunnerConfig:
    settings = {"pexpect_timeout": TICK_S, "suppress_output_file": True, "suppress_ansible_output": True}
    (folder / "env").mkdir(mode=0o700)
    (folder / "env" / "settings").write_text(json.dumps(settings))
    config = RunnerConfig(str(folder), playbook=playbook.name, ident="run")
    config.prepare()
    # Runner's own: it would turn off the check of host keys and keep every result in a file.
    config.command = [sys.executable, "-m", "tidegate.launch", str(os.getpid()), *playbook.argv]
    config.env = _environment(folder)
    config.cwd = str(Path.cwd())
    return config


def _environment(folder: Path) -> dict[str, str]:
    """What differs from the command's own environment; runner writes this down, so no secret may be in it."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "ANSIBLE_STDOUT_CALLBACK": f"{COLLECTION}.command",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        # A plan alone has no waves: nothing to warn of.
        "ANSIBLE_HOST_PATTERN_MISMATCH": "ignore",
        # Of this run alone, so that its ssh masters can be ended without breaking another run's connections.
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        "TIDEGATE_COMMAND": "1",
    }


def last(said: Sequence[Said], action: str) -> Said | None:
    """The last end of an action; None when it never ended."""
    ends = [each for each in said if each.kind == "end" and each.action == action]
    return ends[-1] if ends else None
