# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to a node until its latency is down, so that no customer pays for cold caches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.health.http_answer import Answer, Target, ask
from ansible_collections.tidegate.delivery.plugins.module_utils.values import format_duration

MEASURES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "max": 1.0}
_LEAST_TIME = 0.05
_PAUSE_AFTER_FAILURE = 0.25


@dataclass(frozen=True, slots=True)
class WarmupPlan:
    """What is asked until when: latency limits by measure (`p95`, …) and times in seconds, `batch` requests a round."""

    targets: tuple[Target, ...]
    until: Mapping[str, float]
    batch: int = 20
    concurrency: int = 4
    timeout: float = 60.0
    request_timeout: float = 10.0
    status: tuple[int, ...] = (200,)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.until) - set(MEASURES))
        if unknown or not self.until:
            raise BadInput(
                f"warm-up can't be judged by {', '.join(unknown) or 'nothing'}",
                where="warmup.until",
                remedy=f"Give a latency for one or more of {', '.join(MEASURES)}, such as p95: 200ms",
            )
        if not self.targets or not 1 <= self.batch <= 10_000 or not 1 <= self.concurrency <= 64:
            raise BadInput(
                f"{len(self.targets)} URLs, batch {self.batch}, concurrency {self.concurrency} make no round",
                where="warmup",
                remedy="Give at least one URL, a batch of 1 to 10000 and a concurrency of 1 to 64",
            )

    @property
    def each(self) -> int:
        """Requests a round and URL: judged per URL, so that one cold URL can't hide among warm ones."""
        return math.ceil(self.batch / len(self.targets))


@dataclass(frozen=True, slots=True)
class Round:
    """One round: the worst URL's latency by measure in seconds, and what failed."""

    worst: Mapping[str, float]
    failed: int
    complaints: tuple[str, ...] = ()
    requests: int = 0

    @property
    def warm(self) -> bool:
        return not self.complaints


@dataclass(frozen=True, slots=True)
class WarmupResult:
    """All rounds; warm when the last one was."""

    rounds: tuple[Round, ...] = field(default_factory=tuple)
    seconds: float = 0.0

    @property
    def warm(self) -> bool:
        return bool(self.rounds) and self.rounds[-1].warm

    @property
    def requests(self) -> int:
        return sum(a_round.requests for a_round in self.rounds)


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the smallest value that `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def judge_round(answers: Mapping[str, Sequence[Answer]], plan: WarmupPlan) -> Round:
    """Warm when every answer is good and each URL's latency is within every limit."""
    failed = [answer for each in answers.values() for answer in each if not _good(answer, plan)]
    latencies = {url: [answer.seconds for answer in each] for url, each in answers.items()}
    complaints = [_failure(failed)] if failed else []
    for measure, limit in plan.until.items():
        for url, seconds in latencies.items():
            measured = percentile(seconds, MEASURES[measure])
            if measured > limit:
                complaints.append(f"{measure} of {url} is {format_duration(measured)}, limit {format_duration(limit)}")
    worst = {m: max(percentile(each, MEASURES[m]) for each in latencies.values()) for m in plan.until}
    return Round(worst, len(failed), tuple(complaints), sum(len(each) for each in answers.values()))


def _good(answer: Answer, plan: WarmupPlan) -> bool:
    return not answer.problem and answer.status in plan.status


def _failure(failed: Sequence[Answer]) -> str:
    last = failed[-1]
    told = last.problem or f"status {last.status} {excerpt(last.body, 80)!r}"
    return f"{len(failed)} requests failed, the last one: {told}"


def warm_up(
    plan: WarmupPlan,
    *,
    ask: Callable[[Target, float], Answer] = ask,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    tell: Callable[[Round], None] = lambda _round: None,
) -> WarmupResult:
    """Rounds of requests until one is warm or the time is up; each request has its own connection."""
    began = clock()
    ends = began + plan.timeout
    rounds: list[Round] = []

    def one(target: Target) -> Answer:
        left = ends - clock()
        if left < _LEAST_TIME:
            return Answer(time.time(), 0.0, problem="not asked, the time was up", late=True)
        return ask(target, min(plan.request_timeout, left))

    with ThreadPoolExecutor(max_workers=plan.concurrency) as pool:
        while not rounds or not rounds[-1].warm:
            # Interleaved, so that every URL is asked from the first moment on.
            order = [target for _ in range(plan.each) for target in plan.targets]
            answers: dict[str, list[Answer]] = {target.url: [] for target in plan.targets}
            for target, answer in zip(order, pool.map(one, order), strict=True):
                answers[target.url].append(answer)
            # A round that the deadline cut short shows nothing but that.
            if rounds and ends - clock() < _LEAST_TIME:
                break
            rounds.append(judge_round(answers, plan))
            tell(rounds[-1])
            if rounds[-1].failed:
                # What refuses at once would be asked in a busy loop.
                sleep(max(0.0, min(_PAUSE_AFTER_FAILURE, ends - clock())))
            if ends - clock() < _LEAST_TIME:
                break
    return WarmupResult(tuple(rounds), clock() - began)


def explain_warmup(result: WarmupResult, plan: WarmupPlan) -> str:
    """What the rounds showed, for people."""
    asked = f"{result.requests} requests in {len(result.rounds)} rounds and {format_duration(result.seconds)}"
    if result.warm:
        reached = ", ".join(f"{m} {format_duration(s)}" for m, s in result.rounds[-1].worst.items())
        return f"warm: {reached} after {asked}"
    first = "; ".join(f"{m} {format_duration(s)}" for m, s in result.rounds[0].worst.items())
    last = "; ".join(result.rounds[-1].complaints[:5])
    return f"still cold after {asked} (limit {format_duration(plan.timeout)}). First round: {first}. Last: {last}"
