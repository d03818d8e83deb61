# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work on a node that no dropped connection ends: started once, found again by its id, ended at its deadline."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs_script import (
    BEGIN,
    FIND,
    KILL_AFTER,
    OUTPUT_LIMIT,
    POLL,
    START,
    STOP,
    SUPERVISE,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, Node

FINISHED_KEPT = 20
OUTPUT_TAIL = 64 * 1024
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_ODD = re.compile(r"[^A-Za-z0-9._-]")


class Phase(StrEnum):
    """Where a job stands. LOST: it is not running and nobody wrote down how it ended."""

    ABSENT = "absent"
    RUNNING = "running"
    ENDED = "ended"
    TIMED_OUT = "timed_out"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class JobState:
    """What a poll found: `rc` and `seconds` of an ended job, `pid` of a running one, the end of its output, whether
    the node was rebooted since the job began, and what `AtEnd` told of a job that is not running."""

    phase: Phase
    pid: int | None = None
    rc: int | None = None
    seconds: float | None = None
    output: str = ""
    rebooted: bool = False
    told: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing more will happen under this id."""
        return self.phase not in (Phase.ABSENT, Phase.RUNNING)


@dataclass(frozen=True, slots=True)
class Limits:
    """`seconds`: the time limit, kept on the node itself; `grace`: between TERM and KILL. `keep`: a file that is
    copied into the job's folder when the command has ended, before anything else can replace it."""

    seconds: float
    grace: float = KILL_AFTER
    keep: str = ""


@dataclass(frozen=True, slots=True)
class AtEnd:
    """What else to tell of a job that is not running, in the very call that finds that out: a shell script whose $1 is
    the job's folder and whose $2 is `about`. No line of what it says may be the word `output` alone."""

    script: str = ""
    about: str = ""


NOTHING_ELSE = AtEnd()


def job_id(*parts: str | int) -> str:
    """An id of these parts, joined by dots. Characters that no file name should have become `_`."""
    return ".".join(_ODD.sub("_", str(part)) for part in parts if part != "")


def start(
    node: Node, folder: str, id: str, argv: Sequence[str], limits: Limits, env: Mapping[str, str] | None = None
) -> bool:
    """Start `argv` detached under `id` in <folder>/<id>; False when that job is there already: adopt it.

    `env` is added to the environment and shows in the process list: no secrets. Of finished jobs the last 20
    stay. Raises BadInput for a bad id or a folder that can't be written, Unreachable when the start can't be
    known to have happened (poll tells).
    """
    done = node.sh(START, *_to_start(folder, id, argv, limits, env))
    return _started(node, folder, id, done, done.text.strip())


def begin(
    node: Node,
    folder: str,
    id: str,
    argv: Sequence[str],
    limits: Limits,
    env: Mapping[str, str] | None = None,
    *,
    wait: float = 0.0,
    at_end: AtEnd = NOTHING_ELSE,
) -> tuple[bool, JobState]:
    """`start` and `poll` in one remote call. When its answer is lost it can be called again: that adopts."""
    waiting = [str(math.ceil(wait)), str(OUTPUT_TAIL), at_end.script, at_end.about]
    done = node.sh(BEGIN, *waiting, *_to_start(folder, id, argv, limits, env), timeout=wait + 30)
    word, _, rest = done.stdout.partition(b"\n")
    started = _started(node, folder, id, done, word.decode(errors="replace"))
    return started, _polled(node, done, rest)


def _to_start(
    folder: str, id: str, argv: Sequence[str], limits: Limits, env: Mapping[str, str] | None
) -> Sequence[str]:
    command = ["env", *(f"{key}={value}" for key, value in env.items()), *argv] if env else list(argv)
    limit, grace = str(math.ceil(limits.seconds)), str(math.ceil(limits.grace))
    supervised = [folder, _checked(id), limit, limits.keep, grace, str(OUTPUT_LIMIT), *command]
    return [SUPERVISE, str(FINISHED_KEPT), *supervised]


def _started(node: Node, folder: str, id: str, done: Completed, word: str) -> bool:
    match word:
        case "started":
            return True
        case "adopted":
            return False
    reason = done.complaint or "the supervisor could not write its folder"
    raise BadInput(
        f"can't start job {id}: {reason}", where=f"{node.name}: {folder}", remedy="Check the folder and its free space"
    )


def poll(
    node: Node,
    folder: str,
    id: str,
    *,
    wait: float = 0.0,
    tail: int = OUTPUT_TAIL,
    at_end: AtEnd = NOTHING_ELSE,
) -> JobState:
    """The job's state, in one remote call that returns at its end, or after `wait` seconds at the latest.

    `tail`: at most so many bytes of the output's end.
    """
    given = [folder, _checked(id), str(math.ceil(wait)), str(tail), at_end.script, at_end.about]
    done = node.sh(POLL, *given, timeout=wait + 30)
    return _polled(node, done, done.stdout)


def _polled(node: Node, done: Completed, answer: bytes) -> JobState:
    head, _, output = answer.partition(b"\noutput\n")
    line, _, told = head.decode(errors="replace").partition("\n")
    return _state(node, done, line.split(), output.decode(errors="backslashreplace"), told)


def find(node: Node, folder: str, prefix: str) -> dict[str, JobState]:
    """All jobs whose ids begin with `prefix`, without their output."""
    done = node.sh(FIND, folder, _checked(prefix))
    return found(node, done, done.text.splitlines())


def found(node: Node, done: Completed, lines: Sequence[str]) -> dict[str, JobState]:
    """The jobs in these lines of an answer, as FIND tells them."""
    words = [line.split() for line in lines]
    return {line[-1]: _state(node, done, line[:-1]) for line in words}


def stop(node: Node, folder: str, id: str, *, grace: float = KILL_AFTER) -> None:
    """End the job and all below it: TERM, then KILL after `grace` seconds. It counts as timed out."""
    node.sh(STOP, folder, _checked(id), str(math.ceil(grace)), timeout=grace + 30)


def _state(node: Node, done: Completed, words: list[str], output: str = "", told: str = "") -> JobState:
    try:
        phase, pid, rc, seconds, began = words
        took = None if seconds == "-" else float(seconds)
        return JobState(Phase(phase), _number(pid), _number(rc), took, output, began == "rebooted", told)
    except ValueError:
        said = done.complaint or " ".join(words)[:300]
        raise Unreachable(
            f"the state of a job could not be read: {said}",
            where=node.name,
            remedy="The node needs a POSIX shell, coreutils and Linux's /proc",
        ) from None


def _number(word: str) -> int | None:
    return None if word == "-" else int(word)


def _checked(id: str) -> str:
    if not _ID.fullmatch(id):
        raise BadInput(f"{id!r} is no job id", where="job", remedy="Use letters, digits, dots, dashes and underscores")
    return id
