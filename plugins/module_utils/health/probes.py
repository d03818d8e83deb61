# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One round of a health check: everything that must hold at once, asked one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import (
    Difference,
    Differs,
    Expectation,
    Finding,
    Release,
    judge,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.http_answer import Answer, Target, ask
from ansible_collections.tidegate.delivery.plugins.module_utils.health.node_checks import NodeCheck
from ansible_collections.tidegate.delivery.plugins.module_utils.health.tcp_answer import TcpQuestion, ask_tcp
from ansible_collections.tidegate.delivery.plugins.module_utils.health.windows_checks import differences
from ansible_collections.tidegate.delivery.plugins.module_utils.node.commands import run_each
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, Stopping
from ansible_collections.tidegate.delivery.plugins.module_utils.values import counted
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode

Probe = Callable[[float], Finding]
"""Asks once, within so many seconds, and judges."""
_WHILE = "while health was checked"


def http_probe(where: Target, expectation: Expectation, ask: Callable[[Target, float], Answer] = ask) -> Probe:
    """One GET on a connection of its own."""
    return lambda timeout: judge(ask(where, timeout), expectation)


def tcp_probe(question: TcpQuestion, stopping: Stopping = NEVER) -> Probe:
    """One TCP connection of its own."""

    def probe(timeout: float) -> Finding:
        answer = ask_tcp(question, timeout, lambda: stopping.look(_WHILE))
        kind = Differs.TOO_SLOW if answer.late else Differs.CHECK
        wrong = (Difference(kind, f"port {question.port}: {answer.problem}"),) if answer.problem else ()
        return Finding(answer.at, answer.seconds, None, "", Release(), wrong, "connected" if not wrong else "no answer")

    return probe


@dataclass(frozen=True, slots=True)
class CommandsProbe:
    """Checks that are commands on one machine: one way there and back for all of them, on Windows one for each."""

    node: Node
    checks: Mapping[str, NodeCheck]
    stopping: Stopping = NEVER

    def __call__(self, timeout: float) -> Finding:
        at, began = time.time(), time.monotonic()
        try:
            with self.stopping.cut_short():
                found = self._differences(timeout)
        except Unreachable as error:
            # A lost answer is neither health nor its opposite: it is asked again until the time is up.
            self.stopping.look(_WHILE)
            wrong = [Difference(Differs.NO_ANSWER, error.message)]
        else:
            wrong = [_named(name, difference) for name, differs in found.items() for difference in differs]
        told = f"{counted(len(self.checks), 'command')} on {self.node.name}"
        return Finding(at, time.monotonic() - began, None, "", Release(), tuple(wrong), told)

    def _differences(self, timeout: float) -> dict[str, list[Difference]]:
        node = self.node
        if isinstance(node, WindowsNode):
            return {name: differences(node, check, timeout) for name, check in self.checks.items()}
        ended = run_each(node, [check.argv for check in self.checks.values()], timeout)
        judged = zip(self.checks.items(), ended, strict=True)
        return {name: check.judge(end) for (name, check), end in judged}


def between(aimed: Probe, inner: Probe) -> Probe:
    """`inner`, and before and after it `aimed`, which tells whether the way there leads to the right node.

    When it doesn't before, `inner` is not asked: what it said would be about another node.
    """

    def probe(timeout: float) -> Finding:
        ends = time.monotonic() + timeout
        before = aimed(timeout)
        if not before.good:
            return before
        asked = inner(max(0.001, ends - time.monotonic()))
        after = aimed(max(0.001, ends - time.monotonic()))
        return replace(asked, differences=(*after.differences, *asked.differences))

    return probe


def all_of(first: Probe | None, others: Mapping[str, Probe]) -> Probe:
    """One round: good when all are. What the first answers is shown; what differs of the others, under their names.

    Each has the same time; a round takes as long as all of them together.
    """
    if first is not None and not others:
        return first

    def probe(timeout: float) -> Finding:
        found = {name: each(timeout) for name, each in others.items()}
        return merged(first(timeout) if first is not None else None, found)

    return probe


def merged(first: Finding | None, others: Mapping[str, Finding]) -> Finding:
    """One finding of a whole round."""
    findings = [*([first] if first else []), *others.values()]
    wrong = [*(first.differences if first else ())]
    wrong += [_named(name, difference) for name, finding in others.items() for difference in finding.differences]
    seconds = sum(finding.seconds for finding in findings)
    base = first or replace(findings[0], told=f"{len(findings)} checks" if len(findings) > 1 else findings[0].told)
    return replace(base, at=min(finding.at for finding in findings), seconds=seconds, differences=tuple(wrong))


def _named(name: str, difference: Difference) -> Difference:
    return replace(difference, text=f"{name}: {difference.text}") if name else difference
