# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy's Runtime API over a Node: read everything, or send one guarded batch and read back, in one command."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    BadInput,
    DomainError,
    Locked,
    Refused,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy import state as state
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.script import SCRIPT
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState, ServerRow
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node

ANSWER_LIMIT = 8 * 1024 * 1024
# HAProxy 2.6 can hang on a command beyond its buffer (16 KiB).
LINE_LIMIT = 8 * 1024
ANSWER_TIMEOUT = 5.0
LOCK_TIMEOUT = 30.0
# Above this many backends one answer with all of them is shorter than the question.
_MOST_NAMED = 20
# HAProxy's longest is its help, shown for a command that it doesn't know.
_LONGEST_TEXT = 16 * 1024
# What a worker says that a reload has told to end, to every `set server` (seen with 2.6 and 2.8).
_ENDING = "Proxy is disabled."


@dataclass(frozen=True, slots=True)
class Batch:
    """Commands for one load balancer, sent only if its worker is `pid` and the `expects` rows are unchanged.

    `save` are the backends whose state is saved afterwards. Without commands it only saves. `cut` are servers whose
    sessions in old workers are ended: those know no `shutdown sessions server` any more.
    """

    commands: tuple[str, ...]
    pid: int
    expects: tuple[ServerRow, ...] = ()
    save: tuple[str, ...] = ()
    cut: tuple[state.ServerKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of a batch: the state read back under the same lock, and what HAProxy said.

    `changed` is what was not as expected (then nothing was sent); `complete` tells whether an answer to each
    command came; `rejected` are commands with HAProxy's error text; `unsaved` are backends that could not be saved.
    """

    state: LoadBalancerState
    changed: str = ""
    complete: bool = True
    rejected: tuple[tuple[str, str], ...] = ()
    unsaved: tuple[str, ...] = ()


class Admin(Protocol):
    """One load balancer's Runtime API, as a move needs it."""

    access: AdminAccess

    def read(self, backends: Sequence[str] = ()) -> LoadBalancerState:
        """The state of these backends, or of all; takes no lock."""

    def apply(self, batch: Batch, backends: Sequence[str]) -> Applied:
        """Send the batch under the host's lock and read `backends` back."""


class _Namesake(Exception):
    """A front end has the backend's name: "show stat NAME" is then about whichever comes first in the configuration."""


class Runtime:
    """The Runtime API of the HAProxy on `node`. Timeouts in seconds.

    Raises Unreachable when no complete answer came: what was sent may have happened; Locked when the host's lock
    stayed taken; BadInput for what can't be HAProxy's answer; Refused when the host lacks something.
    """

    def __init__(
        self, node: Node, access: AdminAccess, *, answer: float = ANSWER_TIMEOUT, lock: float = LOCK_TIMEOUT
    ) -> None:
        self.access = access
        self._node = node
        self._answer = max(1, math.ceil(answer))
        self._lock = max(1, math.ceil(lock))
        # Until one turns out to have a front end for a namesake.
        self._by_name = True

    def read(self, backends: Sequence[str] = ()) -> LoadBalancerState:
        question = self._question(backends)
        frames = self._exchange([f"read {';'.join(question)}"])
        try:
            return self._state(frames, question, backends)
        except _Namesake:
            self._by_name = False
            return self.read(backends)

    def apply(self, batch: Batch, backends: Sequence[str]) -> Applied:
        question = self._question(backends)
        lines = joined(batch.commands)
        frames = self._exchange([*_guarded(self._host, batch, lines), f"read {';'.join(question)}"], steps=len(lines))
        try:
            read_back = self._state(frames, question, backends)
        except _Namesake:
            self._by_name = False
            read_back = self.read(backends)
        changed = next((words.removeprefix("changed ") for words, _ in frames if words.startswith("changed")), None)
        if changed is not None:
            return Applied(read_back, changed=changed or "no answer")
        texts = _command_answers([body for words, body in frames if words == "answer sent"], len(batch.commands))
        rejected = tuple((command, text) for command, text in zip(batch.commands, texts or (), strict=False) if text)
        if any(_ENDING in text for _, text in rejected):
            # Amid a reload the guard may still have met the old worker, which takes no more changes: ask again.
            raise self._broken(f"the worker that was asked ends, or its backend is disabled: HAProxy says {_ENDING!r}")
        return Applied(
            read_back,
            complete=texts is not None,
            rejected=rejected,
            unsaved=tuple(words.removeprefix("unsaved ") for words, _ in frames if words.startswith("unsaved ")),
        )

    def _question(self, backends: Sequence[str]) -> list[str]:
        _require_names(self._host, backends)
        # "6" is backends and servers, "-1" every server of them.
        asked = [
            question
            for name in self._asked(backends)
            for question in (f"show stat {name or '-1'} 6 -1", f"show servers state {name}".rstrip())
        ]
        return ["show info", "show cli level", *asked]

    def _asked(self, backends: Sequence[str]) -> Sequence[str]:
        """The backends that are asked for by name; one empty name asks for all."""
        return backends if self._by_name and 0 < len(backends) <= _MOST_NAMED else [""]

    def _exchange(self, request: Sequence[str], steps: int = 0) -> list[tuple[str, str]]:
        mark = f"tidegate-{secrets.token_hex(8)}"
        paths = (self.access.socket, self.access.master_socket, self.access.lock)
        numbers = (str(self._lock), self.access.state_dir, str(ANSWER_LIMIT + 1), str(self._answer))
        done = self._node.sh(
            SCRIPT,
            *(*paths, *numbers, mark),
            stdin="\n".join([*request, "end", ""]).encode(),
            timeout=self._lock + (self._answer + 1) * (6 + min(steps, 10)),
        )
        frames = frames_of(done.text, mark)
        self._finished(frames, done.stderr.decode(errors="backslashreplace"))
        return frames

    def _finished(self, frames: list[tuple[str, str]], noise: str) -> None:
        last = frames[-1][0] if frames else ""
        if last.startswith("stopped "):
            raise self._stopped(last.split(" ")[1:])
        if last != "finished":
            raise self._broken(noise.strip()[-200:] or "the connection ended")
        for words, body in frames:
            if len(body) > ANSWER_LIMIT:
                # Not a refusal: what was sent before this answer has happened.
                raise state.garbled(self._host, f"{words} is larger than {ANSWER_LIMIT >> 20} MiB")
            if words == "answer read" and not body:
                raise self._silence(noise.strip()[-200:])

    def _state(self, frames: list[tuple[str, str]], question: list[str], backends: Sequence[str]) -> LoadBalancerState:
        bodies = dict(frames)
        answers, rest = state.split_answers(bodies["answer read"])
        if rest or len(answers) != len(question):
            raise self._broken(f"HAProxy answered {len(answers)} of {len(question)} questions")
        info = state.parse_info(self._host, answers[0])
        processes = self._processes(bodies.get("answer proc", ""), int(info["Pid"]))
        stats, states, missing = self._tables(answers[2:], backends)
        return LoadBalancerState(
            host=self._host,
            version=info["Version"],
            pid=int(info["Pid"]),
            uptime=int(info["Uptime_sec"]),
            servers=state.server_rows(self._host, stats, states),
            queues=state.queue_counts(self._host, stats),
            old_workers=tuple(
                self._old_worker(pid, bodies) for pid in processes.old_workers if f"gone {pid}" not in bodies
            ),
            failed_reloads=processes.failed_reloads,
            missing_backends=frozenset(missing),
            level=state.parse_level(self._host, answers[1]),
            traffic=state.traffic_counts(stats),
            began=info.get("Start_time_sec", ""),
        )

    def _tables(
        self, answers: Sequence[str], backends: Sequence[str]
    ) -> tuple[list[state.Record], list[state.Record], list[str]]:
        stats: list[state.Record] = []
        states: list[state.Record] = []
        missing: list[str] = []
        names = self._asked(backends)
        for name, stat, servers in zip(names, answers[::2], answers[1::2], strict=True):
            if name and state.is_missing(stat):
                missing.append(name)
                continue
            rows = state.parse_stat(self._host, stat)
            if name and not rows:
                raise _Namesake
            stats += rows
            states += state.parse_servers_state(self._host, servers)
        if backends and names == [""]:
            missing = sorted(set(backends) - {row["pxname"] for row in stats})
        return stats, states, missing

    def _processes(self, answer: str, pid: int) -> state.Processes:
        answers, rest = state.split_answers(answer)
        if rest or len(answers) != 1:
            raise self._lost(RefusalKind.MASTER_SILENT, socket=self.access.master_socket)
        processes = state.parse_proc(self._host, answers[0])
        if pid not in processes.workers:
            master = self.access.master_socket
            raise self._broken(f"worker {pid} was replaced while it was asked, or {master} is another HAProxy's")
        return processes

    def _old_worker(self, pid: int, bodies: Mapping[str, str]) -> state.OldWorker:
        answers, rest = state.split_answers(bodies.get(f"answer old {pid}", ""))
        if rest or len(answers) != 1:
            return state.OldWorker(pid, None)
        try:
            stat = state.parse_stat(self._host, answers[0])
            counts = state.session_counts(self._host, stat)
            return state.OldWorker(pid, counts, state.undecided_customers(self._host, stat))
        except BadInput:
            return state.OldWorker(pid, None)

    @property
    def _host(self) -> str:
        return self.access.host

    def _broken(self, what: str) -> Unreachable:
        return self._lost(RefusalKind.BROKEN_OFF, what=what, command=self.access.by_hand(["show info"]))

    def _silence(self, noise: str) -> Unreachable:
        if "Connection refused" in noise:
            return self._lost(RefusalKind.NOBODY, socket=self.access.socket)
        command = self.access.by_hand(["show info"])
        return self._lost(RefusalKind.SILENT, seconds=self._answer, said=noise or "nothing", command=command)

    def _lost(self, kind: RefusalKind, **names: object) -> Unreachable:
        message, remedy = kind.told(**names)
        return Unreachable(message, where=f"load balancer {self._host}, {self.access.socket}", remedy=remedy)

    def _refused(self, kind: RefusalKind, **names: object) -> Refused:
        message, remedy = kind.told(**names)
        return Refused(message, where=f"load balancer {self._host}", remedy=remedy)

    def _stopped(self, why: Sequence[str]) -> DomainError:
        match why:
            case ["lock"]:
                message, remedy = RefusalKind.LOCKED.told(seconds=self._lock, lock=self.access.lock)
                return Locked(message, where=f"load balancer {self._host}, {self.access.lock}", remedy=remedy)
            case ["lockfile"]:
                return self._refused(RefusalKind.NO_LOCK, lock=self.access.lock)
            case ["folder"]:
                return self._refused(RefusalKind.NO_FOLDER, folder=self.access.state_dir)
            case ["tool", tool]:
                return self._refused(RefusalKind.NO_TOOL, tool=tool)
            case ["socket", path]:
                return self._lost(RefusalKind.NO_SOCKET, socket=path)
            case ["denied", path, user]:
                return self._refused(RefusalKind.NOT_ALLOWED, socket=path, user=user)
        return self._broken("the request broke off on its way, and nothing was sent")


def joined(commands: Iterable[str]) -> list[str]:
    """Commands as lines of at most 8 KiB, in their order."""
    lines: list[str] = []
    for command in commands:
        if lines and len(lines[-1]) + 1 + len(command) <= LINE_LIMIT:
            lines[-1] += ";" + command
        else:
            lines.append(command)
    return lines


def _require_names(host: str, names: Iterable[str]) -> None:
    """The last guard before the script: what HAProxy would read as a command of its own is no name."""
    for name in names:
        if not state.NAME.fullmatch(name):
            raise BadInput(
                f"{name[:120]!r} is no name of a backend or server",
                where=f"load balancer {host}",
                remedy="Use letters, digits and . _ : - only, at most 100, as HAProxy does",
            )


def _require_single(host: str, commands: Iterable[str]) -> None:
    for command in commands:
        if not command.isprintable() or ";" in command:
            raise BadInput(
                f"{command[:120]!r} is more than one command", where=f"load balancer {host}", remedy="Report this"
            )


def _guarded(host: str, batch: Batch, lines: Sequence[str]) -> list[str]:
    _require_names(host, [*(name for row in batch.expects for name in row.key), *batch.save, *chain(*batch.cut)])
    _require_single(host, batch.commands)
    backends = list(dict.fromkeys(row.backend for row in batch.expects))
    asked = [f"show servers state {name}" for name in backends[:_MOST_NAMED]]
    guard = ["show info", *(asked if len(backends) <= _MOST_NAMED else ["show servers state"])]
    expects = [f"server {row.backend}/{row.name} {row.op} {row.admin.value}" for row in batch.expects]
    return [
        "lock",
        f"guard {';'.join(guard)}",
        *(f"expect {line}" for line in (f"pid {batch.pid}", *expects)),
        *(f"send {line}" for line in lines),
        *(f"cut {backend} {name}" for backend, name in batch.cut),
        *(f"dump {backend}" for backend in batch.save),
    ]


def _command_answers(bodies: Sequence[str], commands: int) -> list[str] | None:
    """HAProxy's text for each command (empty: done); None when what came can't be the answers to all of them."""
    texts: list[str] = []
    for body in bodies:
        complete, rest = state.split_answers(body)
        texts += complete if not rest else ["\0"]
    fitting = len(texts) == commands and all(len(text) <= _LONGEST_TEXT and _printable(text) for text in texts)
    return texts if fitting else None


def _printable(text: str) -> bool:
    return text.isascii() and all(line.isprintable() for line in text.splitlines())


def frames_of(text: str, mark: str) -> list[tuple[str, str]]:
    """What each marker says, with what followed it."""
    parts = text.split(f"\n{mark} ")[1:]
    return [(words, body) for words, _, body in (part.partition("\n") for part in parts)]
