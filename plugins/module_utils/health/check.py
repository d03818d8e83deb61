# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a node serves what it shall serve: judged from a list of answers on fresh connections."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import (
    Differs,
    Finding,
    Release,
    document_of,
    text_at,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.http_answer import Target, ask, target
from ansible_collections.tidegate.delivery.plugins.module_utils.health.json_path import parse_json_path
from ansible_collections.tidegate.delivery.plugins.module_utils.health.probes import Probe
from ansible_collections.tidegate.delivery.plugins.module_utils.values import counted, format_duration

# Further conditions of one round.
MOST_CHECKS = 20


class HealthOutcome(StrEnum):
    """How a check ended."""

    HEALTHY = "healthy"
    WRONG_NODE = "wrong_node"
    """Another node answered than the one that was aimed at."""
    WRONG_RELEASE = "wrong_release"
    """It answers, but with another version or digest."""
    NOT_STARTED_SINCE = "not_started_since"
    """The right release, but the process is older than it may be."""
    UNHEALTHY = "unhealthy"
    DEADLINE = "deadline"
    """It never gave a complete answer, or the time was too short for the row."""
    COLD = "cold"
    """Healthy, but its latency did not come down in time (see warmup.py)."""


_HEADLINES = {
    HealthOutcome.WRONG_NODE: "another node answered",
    HealthOutcome.WRONG_RELEASE: "it serves another release",
    HealthOutcome.NOT_STARTED_SINCE: "the process was not restarted",
    HealthOutcome.UNHEALTHY: "it is not healthy",
    HealthOutcome.DEADLINE: "it never answered in time",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how long is asked; all in seconds."""

    in_a_row: int = 3
    interval: float = 0.5
    timeout: float = 120.0
    request_timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class HealthResult:
    """The outcome with the findings that led to it."""

    outcome: HealthOutcome
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0

    @property
    def release(self) -> Release:
        return self.findings[-1].release if self.findings else Release()


@dataclass(frozen=True, slots=True)
class NotRead:
    """No release could be read, and why; an expected answer of planning, hence a value."""

    why: str

    def __str__(self) -> str:
        return self.why


def row(findings: Sequence[Finding]) -> int:
    """How many of the last answers are good and come from one and the same process."""
    count = 0
    for finding in reversed(findings):
        if not finding.good or finding.release.process != findings[-1].release.process:
            break
        count += 1
    return count


def verdict(findings: Sequence[Finding], in_a_row: int, *, out_of_time: bool) -> HealthOutcome | None:
    """The outcome so far; None means: ask again."""
    if row(findings) >= in_a_row:
        return HealthOutcome.HEALTHY
    if not out_of_time:
        return None
    last_bad = next((finding for finding in reversed(findings) if not finding.good), None)
    if last_bad is None:
        return HealthOutcome.DEADLINE
    kinds = {difference.kind for difference in last_bad.differences}
    if Differs.NODE in kinds:
        return HealthOutcome.WRONG_NODE
    if Differs.RELEASE in kinds:
        return HealthOutcome.WRONG_RELEASE
    if Differs.STARTED in kinds:
        return HealthOutcome.NOT_STARTED_SINCE
    never = all(d.kind is Differs.TOO_SLOW for finding in findings for d in finding.differences)
    return HealthOutcome.DEADLINE if never else HealthOutcome.UNHEALTHY


def explain(result: HealthResult, pace: Pace) -> str:
    """What happened, for people: the outcome, how long was asked, and the last answers with what differed."""
    findings = result.findings
    good = sum(finding.good for finding in findings)
    wanted = counted(pace.in_a_row, "good answer")
    asked = f"{counted(len(findings), 'answer')} in {format_duration(result.seconds)}, {good} of them good"
    if result.outcome is HealthOutcome.HEALTHY:
        return f"{wanted} in a row ({asked})"
    if findings and good == len(findings):
        processes = len({finding.release.process for finding in findings})
        restarts = f" from {processes} different processes (it restarts)" if processes > 1 else ""
        return f"the time was too short for {wanted} in a row from one process: {asked}{restarts}"
    last = " | ".join(finding.sentence for finding in findings[-3:])
    return f"{_HEADLINES[result.outcome]}: not {wanted} in a row ({asked}). Last: {last}"


def check(
    probe: Probe,
    pace: Pace,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    tell: Callable[[Finding], None] = lambda _finding: None,
) -> HealthResult:
    """Ask until `pace.in_a_row` answers in a row are good or the time is up."""
    began = clock()
    findings: list[Finding] = []
    while True:
        asked = clock()
        left = began + pace.timeout - asked
        finding = probe(max(0.001, min(pace.request_timeout, left)))
        # An answer that only the end of the whole check cut short says nothing about the node.
        if finding.good or not findings or left >= pace.request_timeout or not finding.only_late:
            findings.append(finding)
            tell(finding)
        next_try = max(clock(), asked + pace.interval)
        outcome = verdict(findings, pace.in_a_row, out_of_time=next_try >= began + pace.timeout)
        if outcome is not None:
            return HealthResult(outcome, tuple(findings), clock() - began)
        sleep(max(0.0, next_try - clock()))


def read_release(
    url: str, version_path: str, digest_path: str | None = None, timeout: float = 5.0, *, where: Target | None = None
) -> Release | NotRead:
    """What the node serves right now, from one answer; NotRead with the reason when it can't be told.

    Any status counts: a node that is unwell still knows its version. BadInput for a malformed URL or path.
    """
    answer = ask(where or target(url), timeout)
    parse_json_path(version_path)
    if answer.problem:
        return NotRead(f"{url}: {answer.problem}")
    document, unreadable = document_of(answer.body)
    if unreadable:
        return NotRead(f"{url}: {unreadable} (status {answer.status}, {excerpt(answer.body, 80)!r})")
    version = text_at(document, version_path)
    if version is None:
        return NotRead(f"{url}: it does not tell its version at {version_path} (status {answer.status})")
    return Release(version, text_at(document, digest_path), text_at(document, "$.started"), text_at(document, "$.pid"))
