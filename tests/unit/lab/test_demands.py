"""What the demo demands: each figure that may not be is told, and a good run is told nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lab.accesslog import LogCounts
from lab.customers import Kind
from lab.demands import Expected, Measured, broken, summary
from lab.demo import PARTS
from lab.facts import Facts
from lab.sampler import BalancerSeen, PoolSeen, SamplerResult
from lab.tally import LoadResult, Seen, Tally

ALL = ("n1", "n2", "n3")
DONE = {part.name: part.expected for part in PARTS}


def load(**changed: Any) -> LoadResult:
    tally = Tally()
    for version in changed.pop("served", ("1.0.0", "1.1.0")):
        for _ in range(100):
            tally.add(Seen(0.0, Kind.KEEP_ALIVE, "lb1", 200, 2.0, version, "", written=True))
    found = tally.result("a", 0.0, 1.0, 1.0, 0.1, "stop")
    return replace(found, **changed)


def log(total: int, **changed: Any) -> LogCounts:
    return LogCounts("a", total=total, **changed)


def seen(least: int | None = 2, **changed: Any) -> SamplerResult:
    services = {} if least is None else {"tradeapi": PoolSeen(min_online=least, both_pools=changed.pop("both", 0))}
    return SamplerResult(1.0, {"lb1": BalancerSeen(services=services, **changed)})


def facts(outcome: str, held: tuple[str, ...] = (), **serving: str) -> Facts:
    rest = tuple(node for node in ALL if node not in held)
    versions = {node: "1.2.0" if node in held else "1.1.0" for node in ALL}
    failures = (("nunit", "n1: of 14 tests 12 passed"),) if held else ()
    return Facts(outcome, "1.2.0", {"lb1": rest}, {"lb1": held}, versions | serving, failures)


def measured(**changed: Any) -> Measured:
    customers = changed.pop("load", load())
    found = Measured(
        before=load(),
        load=customers,
        log=log(customers.requests_written),
        seen=seen(),
        facts=facts("done"),
        exit_code=0,
        seconds=61.23,
        rate=200.0,
        floors={"tradeapi": 2},
    )
    return replace(found, **changed)


def held(**changed: Any) -> Measured:
    return measured(load=load(served=("1.1.0", "1.1.0")), facts=facts("held", ("n1",)), exit_code=2, **changed)


def test_a_good_run_breaks_nothing() -> None:
    assert broken(measured(), DONE["a"]) == []
    assert broken(held(), DONE["b"]) == []
    back = measured(load=load(served=("1.1.0", "1.1.0")), facts=facts("rolled_back"))
    assert broken(back, DONE["c"]) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"load": load(requests_failed=3)}, "3 requests failed"),
        ({"before": load(requests_failed=3)}, "failed already before"),
        ({"log": log(200, failed=1)}, "HAProxy logged 1 failed"),
        ({"log": log(200, retried=1)}, "connected again for 1"),
        ({"log": log(200, redispatched=1)}, "redispatched 1"),
        ({"log": log(199)}, "the clients sent 200 requests, HAProxy's logs have 199"),
        ({"log": log(199, dropped=1)}, "HAProxy says that it dropped 1 lines"),
        ({"log": log(200, repeated=1)}, "in HAProxy's logs twice"),
        ({"log": log(200, unreadable=1)}, "can't be read"),
        ({"load": load(unsent=1)}, "1 requests were never begun"),
        ({"load": load(stray_bytes=9)}, "9 bytes came unasked"),
        ({"load": load(ended_by="time")}, "ended by itself"),
        ({"rate": 400.0}, "200 requests a second instead of 400"),
        ({"seen": seen(1)}, "only 1 nodes of tradeapi were online at some time; 2 are allowed"),
        ({"seen": seen(None)}, "never saw tradeapi"),
        ({"seen": seen(both=4)}, "in both pools at once in 4 samples"),
        ({"seen": seen(gaps=[(1.0, 0.6), (2.0, 2.5)])}, "did not see lb1 for 2.5 s"),
        ({"load": load(served=("1.0.0", "1.2.0"))}, "customers got 100 answers from 1.2.0"),
        ({"load": load(served=("1.0.0", "1.0.0"))}, "no customer ever got an answer from 1.1.0"),
        ({"facts": facts("open")}, "the ledger says open, not done"),
        ({"exit_code": 2}, "exit code 2"),
        ({"facts": facts("done", n2="1.0.0")}, "lb1 has nodes online that don't serve 1.1.0: n2 1.0.0"),
        ({"facts": facts("done", n2="")}, "n2 nothing"),
        ({"facts": facts("done", ("n1",))}, "lb1 does not have n1 online"),
    ],
)
def test_each_broken_demand_is_told(change: dict[str, Any], told: str) -> None:
    assert any(told in sentence for sentence in broken(measured(**change), DONE["a"]))


def test_a_short_gap_is_no_broken_demand() -> None:
    assert broken(measured(seen=seen(gaps=[(1.0, 0.9)])), DONE["a"]) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda part: replace(part, exit_code=0), "exit code 0"),
        (lambda part: replace(part, facts=facts("held")), "no node is held"),
        (
            lambda part: replace(part, facts=replace(part.facts, failures=(("release", "n1 serves 1.1.0"),))),
            "held by nunit alone, but the ledger has release: n1 serves 1.1.0",
        ),
        (lambda part: replace(part, facts=replace(part.facts, failures=())), "the ledger has no failed step at all"),
        (lambda part: replace(part, facts=facts("held", ("n1",), n1="1.1.0")), "n1 is held but serves 1.1.0"),
        (
            lambda part: replace(part, facts=replace(part.facts, online={"lb1": ALL})),
            "lb1 has another idea of the pools: online n1, n2, n3, maintenance n1",
        ),
        (
            lambda part: replace(
                part,
                facts=replace(part.facts, online={"lb1": ALL[1:], "lb2": ALL}, maintenance={"lb1": ("n1",), "lb2": ()}),
            ),
            "lb2 has another idea of the pools: online n1, n2, n3, maintenance nobody",
        ),
        (lambda part: replace(part, load=load(served=("1.1.0", "1.2.0"))), "answers from 1.2.0"),
    ],
)
def test_a_hold_must_hold(change: Callable[[Measured], Measured], told: str) -> None:
    assert any(told in sentence for sentence in broken(change(held()), DONE["b"]))


def test_after_the_rollback_nobody_is_in_maintenance() -> None:
    left = Facts("rolled_back", "1.1.0", {"lb1": ALL}, {"lb1": ("n3",)}, dict.fromkeys(ALL, "1.1.0"))
    found = broken(measured(load=load(served=("1.1.0", "1.1.0")), facts=left), DONE["c"])
    assert found == ["lb1 still has n3 in the maintenance pool"]


def test_nothing_is_forbidden_unless_it_is_named() -> None:
    nothing = Expected(outcome="done", exit_ok=True, online_version="1.1.0")
    assert broken(measured(load=load(served=("1.2.0", "1.2.0"))), nothing) == []


def test_the_summary_has_what_was_asked_for() -> None:
    part = summary(measured(), "tradeapi")
    details = part.pop("details")
    assert part == {
        "requests_total": 200,
        "requests_failed": 0,
        "retried": 0,
        "redispatched": 0,
        "p99_ms": 2.0,
        "p99_ms_before": 2.0,
        "seconds": 61.2,
        "versions_served_to_customers": ["1.0.0", "1.1.0"],
        "min_online_seen": 2,
        "min_online_allowed": 2,
        "outcome": "done",
    }
    assert details["clients_and_logs_agree"] is True
    assert details["requests_a_second"] == 200.0
