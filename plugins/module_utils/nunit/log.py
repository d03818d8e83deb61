# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy's own account of a test run: which node served each of its requests.

The probes before and after the tests carry the run's id in their URLs. What the same client asked between the two is
the tests': no clocks are compared, and a log that lacks one of them is known to be incomplete.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.log import Logged, is_cut, read_line
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.values import counted

LOG_LIMIT = 16 * 1024 * 1024
# How long a line may be on its way to the file.
LINES_S = 15.0
_PAUSE_S = 0.3
_READ_S = 60.0
_MOST_TOLD = 3


class Served(StrEnum):
    """What the logs say of a run's requests."""

    BY_THE_NODE = "by_the_node"
    ELSEWHERE = "elsewhere"
    """Another node served one, or the aimed one served none."""
    UNKNOWN = "unknown"
    """They can't be read, or are incomplete."""


@dataclass(frozen=True, slots=True)
class LogProof:
    """What the logs say, in words, and how many of the tests' requests the aimed node served."""

    served: Served
    sentence: str
    requests: int = 0


@dataclass(frozen=True, slots=True)
class LogQuestion:
    """Whose requests are looked for: the run, the node that it was aimed at, the backends of the tested service.

    With `alone` all that the box asks meanwhile is this run's; else only what carries the run's id.
    """

    id: str
    node: str
    backends: frozenset[str]
    alone: bool = True


@dataclass(frozen=True, slots=True)
class _Bracketed:
    """One load balancer's lines between both probes."""

    name: str
    client: str
    lines: Sequence[tuple[bytes, Logged]]


def judge_logs(logs: Mapping[str, Sequence[bytes]], question: LogQuestion) -> LogProof:
    """What these lines say, by load balancer in the order of its file since before the run."""
    read = {name: [(line, said) for line in lines if (said := read_line(line))] for name, lines in logs.items()}
    found = next((each for name in read if (each := _between(name, read[name], question.id))), None)
    names = ", ".join(logs)
    if found is None:
        return LogProof(Served.UNKNOWN, f"both probes of run {question.id} are not in the log of {names}")
    cut = next((name for name in logs if any(map(is_cut, logs[name]))), "")
    here = [pair for pair in found.lines if _is_tests(*pair, found.client, question)]
    beside = [pair for name in read if name != found.name for pair in read[name]]
    here += [pair for pair in beside if _is_tests(*pair, found.client, question)]
    asked = [said for _, said in here if said.answered and said.backend in question.backends]
    astray = Counter(f"{said.backend}/{said.server}" for said in asked if said.server != question.node)
    served = len(asked) - astray.total()
    if astray:
        told = ", ".join(f"{number} by {where}" for where, number in astray.most_common(_MOST_TOLD))
        return LogProof(
            Served.ELSEWHERE, f"of {counted(len(asked), 'request')} of the tests {told}, not by {question.node}", served
        )
    if cut:
        return LogProof(Served.UNKNOWN, f"lines of the log of {cut} are cut, so that a request may be missing", served)
    if not served:
        how = "" if question.alone else f" with the run's id in the header {RUN_HEADER}"
        return LogProof(Served.ELSEWHERE, f"{question.node} served no request of the tests{how}", 0)
    sentence = f"{counted(served, 'request')} of the tests, served by {question.node}, in the log of {found.name}"
    return LogProof(Served.BY_THE_NODE, sentence, served)


# What tests may send with the value of TIDEGATE_RUN, so that a log that captures it tells runs apart.
RUN_HEADER = "X-Tidegate-Run"


def _between(name: str, lines: Sequence[tuple[bytes, Logged]], run: str) -> _Bracketed | None:
    first, last = (_probe(lines, f"tidegate-run={run}-{when}") for when in ("before", "after"))
    if first is None or last is None or last < first:
        return None
    return _Bracketed(name, lines[first][1].client, lines[first + 1 : last])


def _probe(lines: Sequence[tuple[bytes, Logged]], mark: str) -> int | None:
    return next((number for number, (_, said) in enumerate(lines) if said.uri.endswith(mark)), None)


def _is_tests(line: bytes, said: Logged, client: str, question: LogQuestion) -> bool:
    if question.id.encode() in line:
        return f"tidegate-run={question.id}-" not in said.uri
    return question.alone and said.client == client


# $1 the file. Its inode and size.
_MARK = 'stat -L -c "%i %s" -- "$1"'

# $1 the file, $2 its inode and $3 its size then, $4 the run's id, $5 the box's address, $6 the most bytes. How the
# reading ended is the exit code: a pipe's own is that of its last program, and ssh may say something of its own on
# standard error. -a: after bytes that are no text, as a crash leaves them, grep would tell no more lines.
_SINCE = r"""
since() {
  now=$(stat -L -c "%i %s" -- "$1") || return 3
  if [ "${now% *}" = "$2" ]; then
    [ "${now#* }" -ge "$3" ] || { echo "it was cut meanwhile" >&2; return 4; }
    tail -c "+$(($3 + 1))" -- "$1"
  else
    for old in "$1".1 "$1"-* "$1".0; do
      [ "$(stat -L -c %i -- "$old" 2>/dev/null)" = "$2" ] && tail -c "+$(($3 + 1))" -- "$old" && break
    done || { echo "it was rotated meanwhile, and the old one is not beside it" >&2; return 4; }
    for other in "$1".1 "$1"-* "$1".0; do
      [ "$other" -nt "$old" ] || continue
      echo "it was rotated more than once meanwhile" >&2; return 4
    done
    cat -- "$1"
  fi
}
exec 3>&1
ended=$({ { since "$@"; echo $? >&4; } | grep -a -F -e "$4" -e "$5" | head -c "$6" >&3; } 4>&1)
exit "${ended:-1}"
"""


class Account:
    """The logs of a site's load balancers, read from where they end when it begins.

    `by_id`: only requests that carry the run's id are the tests', else all that the box asks meanwhile.
    """

    def __init__(
        self,
        files: Mapping[str, str],
        nodes: Mapping[str, Node],
        backends: Iterable[str],
        *,
        required: bool,
        by_id: bool,
    ) -> None:
        self.required = required
        # Whether the way to a load balancer broke: that may be a stop, and says nothing of its log.
        self.cut_off = False
        self._files, self._nodes = files, nodes
        self._backends, self._by_id = frozenset(backends), by_id
        self._marks: dict[str, tuple[str, str]] = {}

    def begin(self) -> str:
        """Note where each log ends; why that can't be done, or nothing."""
        if not self._files:
            return "no log of HAProxy is configured"
        try:
            self._marks = {name: self._mark(name) for name in self._files}
        except DomainError as error:
            self.cut_off = isinstance(error, Unreachable)
            return str(error)
        return ""

    def proof(self, run: str, node: str, source: str) -> LogProof:
        """What they say of a run that has ended, which was aimed at `node` and came from the address `source`."""
        question = LogQuestion(run, node, self._backends, alone=not self._by_id)
        deadline = time.monotonic() + LINES_S
        try:
            while True:
                logs = {name: self._since(name, run, "" if self._by_id else source) for name in self._files}
                proof = judge_logs(logs, question)
                if proof.served is not Served.UNKNOWN or time.monotonic() > deadline:
                    return proof
                time.sleep(_PAUSE_S)
        except DomainError as error:
            self.cut_off = isinstance(error, Unreachable)
            return LogProof(Served.UNKNOWN, str(error))

    def _mark(self, name: str) -> tuple[str, str]:
        done = self._nodes[name].sh(_MARK, self._files[name])
        inode, _, size = done.text.strip().partition(" ")
        if done.rc or not inode.isdigit() or not size.isdigit():
            raise _unread(name, self._files[name], done.stderr)
        return inode, size

    def _since(self, name: str, run: str, source: str) -> list[bytes]:
        wanted = (*self._marks[name], run, source or run, str(LOG_LIMIT))
        done = self._nodes[name].sh(_SINCE, self._files[name], *wanted, timeout=_READ_S)
        if len(done.stdout) >= LOG_LIMIT:
            raise _unread(name, self._files[name], b"too many lines of this run")
        if done.rc:
            raise _unread(name, self._files[name], done.stderr)
        return done.stdout.splitlines()


def _unread(name: str, path: str, why: bytes) -> DomainError:
    told = excerpt(why.decode(errors="replace"), 200) or "it is not there"
    return DomainError(f"HAProxy's log can't be read: {told}", where=f"{name}:{path}", remedy=_REMEDY)


_REMEDY = "See that the load balancer's connection may read it, or correct tidegate_haproxy_log"
