"""One service's deployments, each killed at one point and run again: the same command must come to the right end."""

from __future__ import annotations

import configparser
import json
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from lab import agents, boot, processes
from lab.layout import PROJECT, Layout, Service
from lab.witness import wait_until
from tests.chaos.flow_steps import steps_of_flow
from tests.chaos.kills import By, Ending, Kill
from tests.chaos.seen import Looker, Unmet, require
from tests.integration.flow.lab_site import PLAYBOOK

BAD = "1.2.0"
_STEPS = list(steps_of_flow())
REBOOTS = {step.id for step in _STEPS if step.reboots}
PUPPET_RUNS = {step.id for step in _STEPS if step.module == "puppet_run"}
_TIDEGATE = PLAYBOOK.with_name("tidegate")
_CALLBACK = Path(__file__).parent / "callback"
# Set for every process of one run, so that whoever outlives it is found.
_RUN_VARIABLE = "TIDEGATE_KILL_RUN"
_RUN_LIMIT_S = 1200.0
_GONE_S = 60.0
# What a dead run could still write would come at once.
_QUIET_S = 0.3
# A command that was sent so long ago is under way: on its host, or in its answer.
_UNDER_WAY_S = 0.05
# So long after a Puppet run was sent it runs, and goes on for longer than that.
_RUNS_S = 1.0
# How long a Puppet run is held up at most, and how long once it could have been adopted.
_SLOW_S = 60.0
_LOOKED_S = 1.0


@dataclass(frozen=True, slots=True)
class Ran:
    """One run that ended."""

    code: int
    output: str


@dataclass(frozen=True, slots=True)
class Fell:
    """Where a kill fell, and how what followed went: `problems` is empty when all was as it must be."""

    kill: Kill
    what: str
    problems: tuple[str, ...]
    seconds: float
    adopted: bool = False


@dataclass
class Chain:
    """The deployments of one service to its first node; the rest, if there is one, is left out."""

    layout: Layout
    service: Service
    nodes: tuple[str, ...]
    inventory: Path
    folder: Path
    count: int = 0
    exhausted: set[str] = field(default_factory=set)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.looker = Looker(self.layout, self.service, self.nodes[0])
        self.folder.mkdir(parents=True, exist_ok=True)

    # Running

    def command(self, by: By, verb: str, version: str = "") -> list[str]:
        """The command line that is run."""
        inventories = ["-i", "inventories/lab", "-i", str(self.inventory)]
        excluded = list(self.nodes[1:])
        if by is By.COMMAND:
            words = [verb, self.service.name, *([version] if version else []), "--yes"]
            return [str(_TIDEGATE), *words, *inventories, *(f"--exclude={node}" for node in excluded)]
        given = {"service": self.service.name, "exclude": excluded} | ({"version": version} if version else {})
        return [str(PLAYBOOK), *inventories, f"playbooks/{verb}.yml", "-e", json.dumps(given)]

    def run(self, argv: list[str], order: dict[str, object] | None = None) -> Ran:
        """Run it to its end, whichever; with an `order`, to its kill."""
        mark, log = secrets.token_hex(8), self.folder / f"{self.count:03}-{'killed' if order else 'again'}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                # The command shall know whom it is to be killed with: the process that we start.
                ["/bin/sh", "-c", 'export TIDEGATE_KILL_LEADER=$$; exec "$@"', "sh", *argv],
                cwd=PROJECT,
                env=os.environ
                | self.layout.environment
                | {_RUN_VARIABLE: mark, "ANSIBLE_NOCOLOR": "1"}
                | self._killing(order),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            ended = wait_until(lambda: process.poll() is not None or self.stopped.is_set(), _RUN_LIMIT_S)
            if not ended or self.stopped.is_set():
                _end_all(mark)
            code = process.wait()
        require(ended, f"the run did not end within {_RUN_LIMIT_S:.0f} s: {log.read_text(errors='replace')[-2000:]}")
        left = processes.await_end(lambda: _of_run(mark), _GONE_S)
        _end_all(mark)
        require(not left, f"{_GONE_S:.0f} s after the end of the run there still live: {[each.title for each in left]}")
        return Ran(code, log.read_text(errors="replace"))

    def _killing(self, order: dict[str, object] | None) -> dict[str, str]:
        if order is None:
            return {}
        path = self.folder / f"{self.count:03}-order.json"
        path.write_text(json.dumps(order))
        return {
            "TIDEGATE_KILL": str(path),
            "ANSIBLE_CALLBACK_PLUGINS": str(_CALLBACK),
            "ANSIBLE_CALLBACKS_ENABLED": ",".join([*_enabled(), "kill_point"]),
        }

    # Killing

    def suffer(self, kill: Kill) -> Fell:
        """One deployment, killed, looked at, run again, looked at."""
        self.count += 1
        began, problems, what, adopted = time.monotonic(), [], "", False
        try:
            obstacle = _Obstacle(self, kill.ending)
            before = self.looker.serving()
            if kill.step in REBOOTS:
                boot.reboot_required(self.layout.host(self.nodes[0])).write_text("")
            argv = self.command(kill.by, "deploy", obstacle.version)
            with obstacle:
                what = self._killed(argv, kill)
                # At once: a Puppet run takes no longer than looking around.
                with _slowed(self.looker) as run_under_way:
                    self._look_after_kill(before)
                    self._again(argv, expected_good=kill.ending is Ending.DONE)
                if run_under_way:
                    self.looker.require_adopted(run_under_way)
                    adopted = True
            if kill.ending is Ending.DONE:
                self.looker.require_finished(obstacle.version)
            else:
                self._after_held(kill, obstacle, before, argv)
        except Unmet as unmet:
            problems = [str(unmet)]
            self._recover()
        return Fell(kill, what, tuple(problems), time.monotonic() - began, adopted)

    def _killed(self, argv: list[str], kill: Kill) -> str:
        log = self.folder / f"{self.count:03}-touches.jsonl"
        order = {
            "step": kill.step,
            "place": kill.place,
            "nth": kill.nth,
            "flavour": kill.flavour,
            "under_way_s": _RUNS_S if kill.step in PUPPET_RUNS else _UNDER_WAY_S,
            "log": str(log),
        }
        ran = self.run(argv, order)
        touches = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        fell = [each for each in touches if each["killed"]]
        require(len(fell) == 1, f"the kill did not fall, and the run ended with {ran.code}: {ran.output[-1500:]}")
        require(ran.code == -9, f"the run was killed and ended with {ran.code}")
        if fell[0]["what"] == "done":
            self.exhausted.add(kill.step)
        return str(fell[0]["what"])

    def _look_after_kill(self, before: str) -> None:
        events = self.looker.events()
        self.looker.require_invariants(before)
        time.sleep(_QUIET_S)
        news = self.looker.events()[len(events) :]
        require(not news, f"after the death of all its processes the run wrote {[str(each.step) for each in news]}")

    def _again(self, argv: list[str], *, expected_good: bool) -> Ran:
        ran = self.run(argv)
        require((ran.code == 0) == expected_good, f"run again it ended with {ran.code}: {ran.output[-3000:]}")
        return ran

    def _after_held(self, kill: Kill, obstacle: _Obstacle, before: str, argv: list[str]) -> None:
        """The obstacle is out of the way, or the release is bad for good and the way is back."""
        self.looker.require_held(in_maintenance=kill.ending is Ending.HELD)
        if obstacle.version == BAD:
            self._again(self.command(kill.by, "rollback"), expected_good=True)
            self.looker.require_finished(before)
        else:
            self._again(argv, expected_good=True)
            self.looker.require_finished(obstacle.version)

    def _recover(self) -> None:
        """So that the next kill finds a site that is in order, whatever this one left."""
        agents.clear_node_data(self.layout, self.nodes[0])
        with suppress(Unmet):
            self.run(self.command(By.HAND, "deploy", self.next_version()))

    def next_version(self) -> str:
        """A good release that the node doesn't serve, so that a deployment has all of its work to do."""
        published = sorted(folder.name for folder in (self.layout.artifacts_dir / self.service.name).iterdir())
        good = [version for version in published if version != BAD]
        serving = self.looker.serving()
        return good[(good.index(serving) + 1) % len(good)] if serving in good else good[0]


class _Obstacle:
    """What keeps a deployment from succeeding while a kill on the way to `held` is tried; nothing for a good end."""

    def __init__(self, chain: Chain, ending: Ending) -> None:
        self._chain = chain
        self._ending = ending
        self._bad_release = ending is Ending.HELD and chain.service.name == "tradeapi"
        self.version = BAD if self._bad_release else chain.next_version()
        # A pin file that is no YAML map: the node that is left out can't be pinned.
        self._pins = chain.layout.rollout_dir / "nodes" / f"{chain.layout.host(chain.nodes[-1]).certname}.yaml"

    def __enter__(self) -> None:
        if self._ending is Ending.UNSETTLED:
            self._kept = self._pins.read_bytes() if self._pins.exists() else None
            self._pins.write_text("- a list\n")
        elif self._ending is Ending.HELD and not self._bad_release:
            agents.set_node_data(self._chain.layout, self._chain.nodes[0], {f"{self._chain.service.name}::break": True})

    def __exit__(self, *_: object) -> None:
        if self._ending is Ending.UNSETTLED:
            self._pins.unlink()
            if self._kept is not None:
                self._pins.write_bytes(self._kept)
        elif self._ending is Ending.HELD:
            agents.clear_node_data(self._chain.layout, self._chain.nodes[0])


@contextmanager
def _slowed(looker: Looker) -> Iterator[str]:
    """A Puppet run that goes on at the node lasts until the next run came to its own Puppet step; its id, if any."""
    job = looker.run_under_way()
    table = processes.snapshot()
    family = [table[pid] for pid in processes.with_descendants(table, [job.pid]) if pid in table] if job else []
    _send(family, signal.SIGSTOP)
    if job is None or looker.running_job() != job:
        # It ended before it could be held up.
        _send(family, signal.SIGCONT)
        yield ""
        return
    over = threading.Event()
    helper = threading.Thread(target=_let_go_on, args=(looker, family, over))
    helper.start()
    try:
        yield job.id
    finally:
        over.set()
        helper.join()


def _let_go_on(looker: Looker, family: list[processes.Process], over: threading.Event) -> None:
    began, deadline = looker.puppet_steps(), time.monotonic() + _SLOW_S
    while looker.puppet_steps() == began and time.monotonic() < deadline and not over.wait(0.2):
        pass
    over.wait(_LOOKED_S)
    _send(family, signal.SIGCONT)


def _send(family: list[processes.Process], number: signal.Signals) -> None:
    for each in family:
        processes.send(each, number)


def _of_run(mark: str) -> list[processes.Process]:
    """The run's processes that could still do something; ssh's shared connections stay for a minute and do nothing."""
    return [each for each in processes.snapshot().values() if each.name != "ssh" and _has(each.pid, mark)]


def _has(pid: int, mark: str) -> bool:
    try:
        return f"{_RUN_VARIABLE}={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _end_all(mark: str) -> None:
    for each in _of_run(mark):
        processes.end(each)


def _enabled() -> list[str]:
    """The callbacks that are enabled anyway: the variable would turn them off."""
    settings = configparser.ConfigParser()
    settings.read(PROJECT / "ansible.cfg")
    listed = settings.get("defaults", "callbacks_enabled", fallback="")
    return [name.strip() for name in listed.split(",") if name.strip()]
