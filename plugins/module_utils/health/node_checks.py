# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that are commands: a program, a Nagios plugin, a service's state, how long a process has been running."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import Difference, Differs
from ansible_collections.tidegate.delivery.plugins.module_utils.health.nagios_plugin import (
    PluginAnswer,
    Range,
    State,
    read_answer,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.service_state import ServiceCheck
from ansible_collections.tidegate.delivery.plugins.module_utils.node.commands import Ended
from ansible_collections.tidegate.delivery.plugins.module_utils.node.process_start import (
    Process,
    ProcessQuestion,
    read_process,
    too_old,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.values import format_duration

_SHOWN = 200
_WORDS = 100


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """A program that must end with one of these exit codes, and print what the pattern finds."""

    argv: tuple[str, ...]
    exit_codes: tuple[int, ...] = (0,)
    output: re.Pattern[str] | None = None

    def __post_init__(self) -> None:
        _require_argv(self.argv, "command.argv")
        if not self.exit_codes:
            raise BadInput("no exit code is accepted", where="command.exit_codes", remedy="Name one, such as 0")

    def judge(self, ended: Ended) -> list[Difference]:
        """What differs."""
        if ended.late:
            return [_late(ended)]
        said = _said(ended.stdout, ended.stderr)
        if ended.rc not in self.exit_codes:
            wanted = " or ".join(map(str, self.exit_codes))
            return [Difference(Differs.CHECK, f"exit code {ended.rc}, expected {wanted}{said}")]
        if self.output and not self.output.search(ended.stdout.decode(errors="backslashreplace")):
            return [Difference(Differs.CHECK, f"its output has nothing like {self.output.pattern[:80]!r}{said}")]
        return []


@dataclass(frozen=True, slots=True)
class PluginCheck:
    """A Nagios plugin that must end in one of these states, its measures within their ranges."""

    argv: tuple[str, ...]
    accept: tuple[State, ...] = (State.OK,)
    limits: Mapping[str, Range] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require_argv(self.argv, "nagios.argv")
        if not self.accept:
            raise BadInput("no state is accepted", where="nagios.accept", remedy="Name one, such as ok")

    def judge(self, ended: Ended) -> list[Difference]:
        """What differs."""
        if ended.late:
            return [_late(ended)]
        answer = read_answer(ended.rc, ended.stdout, ended.stderr)
        wrong = [*self._state(answer), *self._limits(answer)]
        said = ": ".join(excerpt(part, _SHOWN) for part in (answer.text, answer.long_text) if part)
        told = f", it said {said!r}" if said else ""
        return [Difference(Differs.CHECK, f"{'; '.join(wrong)}{told}")] if wrong else []

    def _state(self, answer: PluginAnswer) -> list[str]:
        if answer.state in self.accept:
            return []
        wanted = " or ".join(state.upper() for state in self.accept)
        if answer.state is None:
            return [f"exit code {answer.rc} ({answer.why}), expected {wanted}"]
        return [f"{answer.state.upper()}, expected {wanted}"]

    def _limits(self, answer: PluginAnswer) -> list[str]:
        found: list[str] = []
        for label, limit in self.limits.items():
            measure = answer.measure(label)
            if measure is None or measure.value is None:
                found.append(f"it does not tell {label} in its performance data")
            elif limit.alerts(measure.value):
                found.append(f"{label} is {measure.value:g}{measure.unit}, allowed is {limit.text}")
        return found


@dataclass(frozen=True, slots=True)
class ProcessCheck:
    """A process that must have been started after `since`, a Unix time of this machine; None: after anything."""

    question: ProcessQuestion
    since: float | None = None

    @property
    def argv(self) -> tuple[str, ...]:
        """What is run on the node."""
        return tuple(self.question.argv)

    def judge(self, ended: Ended) -> list[Difference]:
        """What differs."""
        if ended.late:
            return [_late(ended)]
        return self.judge_process(read_process(self.question, ended), ended.asked_at)

    def judge_process(self, process: Process | str, asked_at: float) -> list[Difference]:
        """What differs of a process that was looked at after `asked_at`, a Unix time of this machine; or why not."""
        if not isinstance(process, Process):
            return [Difference(Differs.CHECK, process)]
        # The node looked after it was asked: no old process passes for a new one.
        old = too_old(process, asked_at - self.since) if self.since is not None else ""
        return [Difference(Differs.STARTED, old)] if old else []


NodeCheck = CommandCheck | PluginCheck | ProcessCheck | ServiceCheck


def _require_argv(argv: Sequence[str], where: str) -> None:
    if not argv or not argv[0] or len(argv) > _WORDS or any("\0" in word for word in argv):
        raise BadInput(
            f"{where} is no program with its arguments", where=where, remedy=f"Give 1 to {_WORDS} words without NUL"
        )


def _late(ended: Ended) -> Difference:
    return Difference(Differs.TOO_SLOW, f"it did not end within {format_duration(ended.seconds)} and was ended")


def _said(stdout: bytes, stderr: bytes) -> str:
    said = excerpt(stdout, _SHOWN) or excerpt(stderr, _SHOWN)
    return f", it said {said!r}" if said else ""
