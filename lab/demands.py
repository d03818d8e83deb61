"""What the demo must show, as pure functions: one part's measurements in, the demands that broke out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from lab.accesslog import LogCounts
from lab.facts import Facts
from lab.sampler import SamplerResult
from lab.tally import LoadResult

# A leave with all that follows takes longer, so no dip can hide in a shorter gap of the sampler.
LONGEST_GAP_S = 2.0
_LEAST_OF_RATE = 0.9


@dataclass(frozen=True, slots=True)
class Expected:
    """What one part must end with: its outcome, what is online then, and what no customer may be served.

    `held_by` is the step whose failure must be why the wave is held; nothing else may have failed.
    """

    outcome: str
    exit_ok: bool
    online_version: str
    held_by: str = ""
    forbidden: str = ""
    new: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """One part of the demo as it was measured; `floors` are the allowed minima of each service."""

    before: LoadResult
    load: LoadResult
    log: LogCounts
    seen: SamplerResult
    facts: Facts
    exit_code: int
    seconds: float
    rate: float
    floors: dict[str, int]


def summary(part: Measured, service: str) -> dict[str, Any]:
    """One part of build/demo/summary.json. Times in `seconds` are the playbook's, `details` holds both accounts."""
    return {
        "requests_total": part.load.requests_total,
        "requests_failed": part.load.requests_failed,
        "retried": part.log.retried,
        "redispatched": part.log.redispatched,
        "p99_ms": part.load.p99_ms,
        "p99_ms_before": part.before.p99_ms,
        "seconds": round(part.seconds, 1),
        "versions_served_to_customers": sorted(part.load.versions),
        "min_online_seen": part.seen.min_online(service),
        "min_online_allowed": part.floors[service],
        "outcome": part.facts.outcome,
        "details": _details(part),
    }


def _details(part: Measured) -> dict[str, Any]:
    return {
        "requests_a_second": round(part.load.requests_total / part.load.asked_seconds, 1),
        "clients_and_logs_agree": part.load.requests_written == part.log.total,
        "clients": part.load.to_json(),
        "clients_before": part.before.to_json(),
        "haproxy_logs": part.log.to_json(),
        "sampler": part.seen.to_json(),
        "afterwards": asdict(part.facts),
        "playbook_exit_code": part.exit_code,
    }


def broken(part: Measured, expected: Expected) -> list[str]:
    """Every demand that this part did not meet, as a sentence with what was found; empty if it met all."""
    checks = (_requests(part), _account(part), _pools(part), _versions(part, expected), _end(part, expected))
    return [sentence for check in checks for sentence in check]


def _requests(part: Measured) -> Iterator[str]:
    errors = "; ".join(f"{each['time']} {each['kind']}: {each['error']}" for each in part.load.first_errors[:3])
    if part.load.requests_failed:
        yield f"{part.load.requests_failed} requests failed, the first: {errors}"
    if part.log.failed:
        yield f"HAProxy logged {part.log.failed} failed requests, the first: {part.log.first_failures[:1]}"
    if part.log.retried:
        yield f"HAProxy connected again for {part.log.retried} requests"
    if part.log.redispatched:
        yield f"HAProxy redispatched {part.log.redispatched} requests"
    if part.before.requests_failed:
        yield f"{part.before.requests_failed} requests failed already before anything was deployed"


def _account(part: Measured) -> Iterator[str]:
    load, log = part.load, part.log
    if load.requests_written != log.total:
        dropped = f" (HAProxy says that it dropped {log.dropped} lines)" if log.dropped else ""
        yield f"the clients sent {load.requests_written} requests, HAProxy's logs have {log.total}{dropped}"
    if log.repeated:
        yield f"{log.repeated} requests are in HAProxy's logs twice"
    if log.unreadable:
        yield f"{log.unreadable} lines of HAProxy's logs can't be read"
    if load.unsent or load.stray_bytes:
        yield f"{load.unsent} requests were never begun and {load.stray_bytes} bytes came unasked"
    if load.ended_by != "stop":
        yield f"the load ended by itself ({load.ended_by}) before the part did"
    achieved = load.requests_total / load.asked_seconds
    if achieved < part.rate * _LEAST_OF_RATE:
        yield f"the load was {achieved:.0f} requests a second instead of {part.rate:.0f}"


def _pools(part: Measured) -> Iterator[str]:
    for service, floor in part.floors.items():
        seen = part.seen.min_online(service)
        if seen is None:
            yield f"the sampler never saw {service} on every load balancer"
        elif seen < floor:
            yield f"only {seen} nodes of {service} were online at some time; {floor} are allowed"
    if part.seen.both_pools:
        yield f"a node was in both pools at once in {part.seen.both_pools} samples"
    for name, balancer in part.seen.balancers.items():
        longest = max((seconds for _, seconds in balancer.gaps), default=0.0)
        if longest > LONGEST_GAP_S:
            yield f"the sampler did not see {name} for {longest:.1f} s; its minimum proves nothing"


def _versions(part: Measured, expected: Expected) -> Iterator[str]:
    served = part.load.versions
    if expected.forbidden in served:
        yield f"customers got {served[expected.forbidden]} answers from {expected.forbidden}"
    if expected.new and expected.new not in served:
        yield f"no customer ever got an answer from {expected.new}"


def _end(part: Measured, expected: Expected) -> Iterator[str]:
    facts = part.facts
    if facts.outcome != expected.outcome:
        yield f"the ledger says {facts.outcome}, not {expected.outcome}"
    if (part.exit_code == 0) != expected.exit_ok:
        yield f"the playbook ended with exit code {part.exit_code}"
    yield from _held(facts, expected.held_by) if expected.held_by else _all_online(facts)
    for balancer, nodes in facts.online.items():
        wrong = sorted(node for node in nodes if facts.serving[node] != expected.online_version)
        if wrong:
            told = ", ".join(f"{node} {facts.serving[node] or 'nothing'}" for node in wrong)
            yield f"{balancer} has nodes online that don't serve {expected.online_version}: {told}"


def _held(facts: Facts, held_by: str) -> Iterator[str]:
    """The wave is in maintenance, for the reason that was meant, and serves the new; everyone else is online."""
    if {step for step, _ in facts.failures} != {held_by}:
        told = "; ".join(f"{step}: {message}" for step, message in facts.failures) or "no failed step at all"
        yield f"the wave should be held by {held_by} alone, but the ledger has {told}"
    held = {node for nodes in facts.maintenance.values() for node in nodes}
    if not held:
        yield "no node is held in the maintenance pool"
    for balancer in facts.online:
        rest = set(facts.serving) - held
        if set(facts.maintenance[balancer]) != held or set(facts.online[balancer]) != rest:
            there = f"online {_names(facts.online[balancer])}, maintenance {_names(facts.maintenance[balancer])}"
            yield f"{balancer} has another idea of the pools: {there}"
    for node in sorted(held):
        if facts.serving[node] != facts.version:
            yield f"{node} is held but serves {facts.serving[node] or 'nothing'} and not {facts.version}"


def _all_online(facts: Facts) -> Iterator[str]:
    for balancer, nodes in facts.online.items():
        missing = sorted(set(facts.serving) - set(nodes))
        if missing:
            yield f"{balancer} does not have {_names(missing)} online"
        if facts.maintenance[balancer]:
            yield f"{balancer} still has {_names(facts.maintenance[balancer])} in the maintenance pool"


def _names(nodes: object) -> str:
    assert isinstance(nodes, list | tuple)
    return ", ".join(nodes) or "nobody"
