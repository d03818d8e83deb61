# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A load balancer that the operator leaves out: as long as no HAProxy runs there, its saved states are what moves."""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    BadInput,
    DomainError,
    Locked,
    Refused,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import (
    LOCK_TIMEOUT,
    Admin,
    Applied,
    Batch,
    frames_of,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.left_out_script import LEFT_OUT
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.saved import carried_out, saved_state

# Looking through the processes of a busy host, and writing some files there.
_WORK_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Found:
    """What a host told. `alive`: what shows that an HAProxy is there; then nothing else was done or told.

    `started`: the same, seen only after the states were written.
    """

    alive: str = ""
    started: str = ""
    saved: tuple[tuple[str, str], ...] = ()
    unsaved: tuple[str, ...] = ()
    changed: str = ""


class LeftOut:
    """An `Admin` of the saved states of `backends` while no HAProxy runs on `node`, else the one of `running`.

    Whether one runs is looked at on its host each time, for changes under its lock, before and after they are written.
    Raises Unreachable where one runs that doesn't answer, or where the host doesn't tell; Refused where a state isn't
    saved; Locked when the host's lock stayed taken.
    """

    def __init__(self, node: Node, running: Admin, backends: Sequence[str], *, lock: float = LOCK_TIMEOUT) -> None:
        self.access = running.access
        self._node, self._running, self._backends = node, running, tuple(backends)
        self._lock = max(1, math.ceil(lock))

    def read(self, backends: Sequence[str] = ()) -> LoadBalancerState:
        self._require_folder()
        found = self._ask([f"read {name}" for name in backends or self._backends])
        if found.alive:
            return self._read_running(found.alive, backends)
        return self._state(found)

    def apply(self, batch: Batch, backends: Sequence[str]) -> Applied:
        if batch.pid:
            return self._running.apply(batch, backends)
        self._require_folder()
        before = self._ask([f"read {name}" for name in backends])
        if before.alive:
            return self._nothing_sent(before.alive, backends)
        state = self._state(before)
        unmet = [row for row in batch.expects if not _same(state, row.key, row.op, int(row.admin))]
        if unmet:
            return Applied(state, changed=f"server {'/'.join(unmet[0].key)}")
        found = self._put(dict(before.saved), batch)
        if found.alive:
            return self._nothing_sent(found.alive, backends)
        if found.started:
            return Applied(self._read_running(found.started, backends))
        return Applied(self.read(backends), changed=f"the saved state of {found.changed}" if found.changed else "")

    def _put(self, saved: Mapping[str, str], batch: Batch) -> Found:
        """Write what the batch changes. Without any change there is still a look, under the lock."""
        request = [f"lock {self.access.lock}", f"wait {self._lock}"]
        for backend, text in carried_out(self.access.host, saved, batch.commands).items():
            request.append(f"put {backend} {hashlib.sha256(saved[backend].encode()).hexdigest()}")
            request += [f"line {line}" for line in text.removesuffix("\n").split("\n")]
        return self._ask(request)

    def _ask(self, request: Sequence[str]) -> Found:
        mark = f"tidegate-{secrets.token_hex(8)}"
        access = self.access
        where = {"process": access.process, "socket": access.socket, "master": access.master_socket}
        lines = [*(f"{name} {value}" for name, value in where.items()), f"folder {access.state_dir}", *request]
        done = self._run("\n".join([*lines, "end", ""]), mark)
        frames = frames_of(done, mark)
        last = frames[-1][0] if frames else ""
        if last.startswith("stopped "):
            raise self._stopped(last.split(" ")[1:])
        if last != "finished":
            raise Unreachable("the answer broke off", where=self._place, remedy="Run it again: it is read back")
        return _found(frames)

    def _run(self, request: str, mark: str) -> str:
        try:
            done = self._node.sh(LEFT_OUT, mark, stdin=request.encode(), timeout=self._lock + _WORK_TIMEOUT)
        except Unreachable as error:
            raise self._lost(RefusalKind.UNSEEN, host=self.access.host, why=error.message) from error
        return done.text

    def _state(self, found: Found) -> LoadBalancerState:
        if found.unsaved:
            raise self._refused(RefusalKind.NOT_SAVED, backend=found.unsaved[0], folder=self.access.state_dir)
        return saved_state(self.access.host, dict(found.saved), self._proof)

    def _read_running(self, alive: str, backends: Sequence[str]) -> LoadBalancerState:
        try:
            return self._running.read(backends)
        except DomainError as error:
            raise self._lost(RefusalKind.MAY_CARRY, process=_shown(alive), why=error.message) from error

    def _nothing_sent(self, alive: str, backends: Sequence[str]) -> Applied:
        try:
            return Applied(self._read_running(alive, backends), changed="HAProxy runs there again")
        except Unreachable as error:
            raise Refused(error.message, where=error.where, remedy=error.remedy) from error

    def _require_folder(self) -> None:
        if not self.access.state_dir:
            raise self._refused(RefusalKind.NOWHERE_SAVED)

    def _lost(self, kind: RefusalKind, **names: object) -> Unreachable:
        message, remedy = kind.told(**names)
        return Unreachable(message, where=self._place, remedy=remedy)

    def _refused(self, kind: RefusalKind, **names: object) -> Refused:
        message, remedy = kind.told(**names)
        return Refused(message, where=self._place, remedy=remedy)

    @property
    def _proof(self) -> str:
        which = f" with {self.access.process!r} in its command line" if self.access.process else ""
        return f"no HAProxy process{which}, and nobody has {self.access.socket} or {self.access.master_socket} open"

    @property
    def _place(self) -> str:
        return f"load balancer {self.access.host}"

    def _stopped(self, why: Sequence[str]) -> DomainError:
        match why:
            case ["lock"]:
                message, remedy = RefusalKind.LOCKED.told(seconds=self._lock, lock=self.access.lock)
                return Locked(message, where=self._place, remedy=remedy)
            case ["lockfile"]:
                return self._refused(RefusalKind.NO_LOCK, lock=self.access.lock)
            case ["folder"]:
                return self._refused(RefusalKind.UNWRITTEN, folder=self.access.state_dir)
            case ["tool", tool]:
                return self._refused(RefusalKind.NO_TOOL, tool=tool)
            case ["blind"]:
                return self._refused(RefusalKind.HIDDEN)
        return BadInput("the request broke off on its way; nothing was done", where=self._place, remedy="Run it again")


def _found(frames: Sequence[tuple[str, str]]) -> Found:
    by_word: dict[str, list[tuple[str, str]]] = {}
    for words, body in frames:
        word, _, rest = words.partition(" ")
        by_word.setdefault(word, []).append((rest, body))
    first = {word: told[0][0] for word, told in by_word.items()}
    return Found(
        first.get("alive", ""),
        first.get("started", ""),
        tuple(by_word.get("saved", [])),
        tuple(rest for rest, _ in by_word.get("unsaved", [])),
        first.get("changed", ""),
    )


def _same(state: LoadBalancerState, key: tuple[str, str], op: int, admin: int) -> bool:
    row = state.servers.get(key)
    return row is not None and (row.op, int(row.admin)) == (op, admin)


def _shown(alive: str) -> str:
    return " ".join(alive.split())[:300]
