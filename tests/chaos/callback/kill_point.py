"""Kills the run that it is loaded into at one exact point of one step. For tests; nothing of the product knows of it.

It is loaded into ansible-playbook's main process and wraps what the workers, which are forked from it, will call. The
order is a JSON file, named by the environment variable TIDEGATE_KILL:
    {"step": "<file>: <task>", "place": "before"|"inside"|"after", "nth": 3, "flavour": "group"|"everything",
     "under_way_s": 0.05, "log": "<file>"}
`before`: the step's action is entered and has done nothing. `inside`: its `nth` touch of the outside has just happened
(a command was sent, `under_way_s` ago, or answered, a request was answered, a transaction is about to be committed or
is); when it has fewer, when its work is done and its end is not recorded. `after`: its end is recorded and Ansible
doesn't know it yet.
Every touch goes to the log, so that a test can tell where the kill fell.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.connections import AnsibleExecute
from lab import processes
from lab.layout import PROJECT
from tidegate.store import Store

ORDER_VARIABLE = "TIDEGATE_KILL"
# The command that was started, whatever it starts itself: the leader of the group that is killed.
LEADER_VARIABLE = "TIDEGATE_KILL_LEADER"


@dataclass
class Executioner:
    """Counts the touches of the step that runs in this worker and strikes when the ordered point is reached."""

    order: dict[str, Any]
    leader: int
    _step: str = ""
    _touches: int = 0
    _struck: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, step: str) -> None:
        if step != self._step:
            self._step, self._touches = step, 0
        self._reached("before", "the action is entered")

    def touch(self, what: str, *, after_s: float = 0.0) -> None:
        """The step has just touched the outside. The lock is kept: no other thread goes on beside the kill."""
        if not self._step:
            return
        with self._lock:
            self._touches += 1
            self._reached("inside", what, self._touches, after_s)

    def done(self) -> None:
        self._reached("inside", "done", max(self._touches + 1, self.order["nth"]))

    def leave(self) -> None:
        self._reached("after", "the end is recorded")
        self._step = ""

    def _reached(self, place: str, what: str, number: int = 0, after_s: float = 0.0) -> None:
        order = self.order
        if self._struck:
            return
        strike = (self._step, place) == (order["step"], order["place"]) and (
            place != "inside" or number == order["nth"]
        )
        entry = {"step": self._step, "place": place, "touch": number, "what": what, "killed": strike}
        with Path(order["log"]).open("a") as log:
            log.write(json.dumps(entry) + "\n")
        self._struck = strike
        if strike and after_s:
            threading.Timer(after_s, self._strike, [order["flavour"]]).start()
        elif strike:
            self._strike(order["flavour"])

    def _strike(self, flavour: str) -> None:
        if flavour == "group":
            # This worker, a session of its own, is not in that group: it must find its end by itself.
            os.killpg(self.leader, signal.SIGKILL)
            return
        os.kill(self.leader, signal.SIGSTOP)
        # Our controller's end is ours (PDEATHSIG): the leader's must have come before, and all others' before that.
        ours = (self.leader, os.getppid(), os.getpid())
        others = processes.with_descendants(processes.snapshot(), [self.leader]) - set(ours)
        for pid in (*others, *ours):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def install(executioner: Executioner) -> None:
    """Wrap the actions' entry point and all ways by which they touch the outside."""
    order = executioner.order
    _wrap_run(executioner)
    _wrap(
        AnsibleExecute,
        "__call__",
        first=lambda self, *_: executioner.touch(f"command to {self._host} sent", after_s=order["under_way_s"]),
        then=lambda self, *_: executioner.touch(f"command on {self._host} answered"),
    )
    _wrap(
        http.client.HTTPConnection, "getresponse", then=lambda self: executioner.touch(f"{self.host} answered by HTTP")
    )
    _wrap_write(executioner)


def _wrap(
    owner: type, name: str, *, first: Callable[..., None] = lambda *_: None, then: Callable[..., None] = lambda *_: None
) -> None:
    original = getattr(owner, name)

    @wraps(original)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        first(self, *args, **kwargs)
        answer = original(self, *args, **kwargs)
        then(self, *args, **kwargs)
        return answer

    setattr(owner, name, wrapped)


def _wrap_write(executioner: Executioner) -> None:
    original = Store.write

    @contextmanager
    def wrapped(self: Store) -> Iterator[Any]:
        with original(self) as connection:
            yield connection
            executioner.touch("transaction about to be committed")
        executioner.touch("transaction committed")

    setattr(Store, "write", wrapped)  # noqa: B010 (a method of another class)


def _wrap_run(executioner: Executioner) -> None:
    original = DomainAction.run

    @wraps(original)
    def wrapped(self: DomainAction, *args: Any, **kwargs: Any) -> Any:
        executioner.enter(_step_of(self._task))
        work = self.act
        self.act = lambda call: _then(work(call), executioner.done)  # type: ignore[method-assign]
        result = original(self, *args, **kwargs)
        executioner.leave()
        return result

    setattr(DomainAction, "run", wrapped)  # noqa: B010


def _then(answer: dict[str, Any], do: Callable[[], None]) -> dict[str, Any]:
    do()
    return answer


def _step_of(task: Any) -> str:
    """The same as FlowStep.id (flow_steps.py)."""
    file = Path(task.get_path().rpartition(":")[0]).resolve()
    return f"{file.relative_to(PROJECT)}: {task.name}"


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core ships no type information
    """Hears nothing; that it is loaded, in time and in the right process, is all."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kill_point"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        order = json.loads(Path(os.environ[ORDER_VARIABLE]).read_text())
        install(Executioner(order, int(os.environ[LEADER_VARIABLE])))
