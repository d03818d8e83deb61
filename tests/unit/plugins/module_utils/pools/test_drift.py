"""Where load balancers and ledger disagree, as a table: what the ledger says and what HAProxy shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.history import Absence
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.drift import (
    Drift,
    Known,
    What,
    drift_count,
    drift_table,
    find_drift,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.places import PoolSeen
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share
from tests.unit.plugins.module_utils import haproxy_rows as shown
from tests.unit.plugins.module_utils.haproxy_rows import MAINTENANCE, ONLINE, state

Entries = tuple[tuple[str, int, int], tuple[str, int, int]]

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
LONG_UP, JUST_STARTED = 86_400, 60
POOL = PoolSeen(
    service="shop",
    site="east",
    online=ONLINE,
    maintenance=MAINTENANCE,
    min_online=Share.parse("60%"),
    nodes=("n1",),
    taken_by={},
)
HELD = Absence("shop-1", "shop", Kind.DEPLOY, "ann", "2026-01-31T11:30:00.000Z")
BY_HAND = replace(HELD, kind=Kind.HAND)
OVER = replace(HELD, over=True)
LEAVING, JOINING = replace(HELD, begun=Step.LEAVE), replace(HELD, begun=Step.JOIN)
BOTH_MAINT_OPEN = (shown.DRAIN, shown.READY_THOUGH_DISABLED)
ODD = (shown.READY, ("DRAIN", 2, 8))
REPAIR, ADOPT = advice.repair("shop"), advice.adopt("shop", "n1")
RESUME, JOIN, LOOK = advice.resume("shop"), advice.join("shop", "n1"), advice.pools("shop")
DEPLOY = advice.deploy("shop", "1.1.0")


def answers(*entries: Entries, uptime: int = LONG_UP) -> Mapping[str, LoadBalancerState]:
    hosts = (f"lb{number}" for number in range(1, len(entries) + 1))
    found = {host: state(host, {"n1": each}) for host, each in zip(hosts, entries, strict=False)}
    return {host: replace(each, uptime=uptime) for host, each in found.items()}


def known(absence: Absence | None = None, **other: object) -> Known:
    absent = {"n1": absence} if absence else {}
    plain = Known(now=NOW, absent=absent, named=frozenset({"n1"}), last="1.1.0")
    return replace(plain, **other)  # type: ignore[arg-type]


def brief(drifts: list[Drift]) -> list[tuple[What, tuple[str, ...], str, bool]]:
    return [(each.what, each.load_balancers, each.next, each.repairable) for each in drifts]


BOTH_LBS = ("lb1", "lb2")


@pytest.mark.parametrize(
    ("absence", "entries", "found"),
    [
        # Nobody of ours took it.
        (None, (shown.ON, shown.ON), []),
        (None, (shown.ON, shown.RISING), []),
        (None, (shown.OUT, shown.OUT), [(What.FOREIGN, BOTH_LBS, ADOPT, False)]),
        (None, (shown.TEST, shown.OUT), [(What.FOREIGN, BOTH_LBS, ADOPT, False)]),
        (None, (shown.ON, shown.OUT), [(What.DIFFERS, ("lb2",), ADOPT, False)]),
        (None, (shown.DRAINED, shown.ON), [(What.DRAINED, ("lb1",), ADOPT, False)]),
        (None, (shown.BOTH, shown.ON), [(What.BOTH, ("lb1",), ADOPT, False)]),
        (None, (ODD, shown.ON), [(What.ODD, ("lb1",), LOOK, False)]),
        (
            None,
            (shown.DRAINED, shown.OUT),
            [(What.DRAINED, ("lb1",), ADOPT, False), (What.FOREIGN, ("lb2",), ADOPT, False)],
        ),
        # A held wave.
        (HELD, (shown.TEST, shown.TEST), []),
        (HELD, (shown.ON, shown.ON), [(What.RETURNED, BOTH_LBS, REPAIR, True)]),
        (HELD, (shown.TEST, shown.RISING), [(What.RETURNED, ("lb2",), REPAIR, True)]),
        (HELD, (shown.TEST, shown.OUT), [(What.DISPLACED, ("lb2",), REPAIR, True)]),
        (HELD, (shown.DRAINED, shown.TEST), [(What.DRAINED, ("lb1",), REPAIR, True)]),
        (HELD, (BOTH_MAINT_OPEN, shown.TEST), [(What.BOTH, ("lb1",), REPAIR, True)]),
        (HELD, (ODD, shown.TEST), [(What.ODD, ("lb1",), LOOK, False)]),
        # By hand.
        (BY_HAND, (shown.TEST, shown.TEST), []),
        (BY_HAND, (shown.ON, shown.TEST), [(What.RETURNED, ("lb1",), REPAIR, True)]),
        # A leave whose run is dead: a deployment that is open goes on, else it is taken out for good.
        (LEAVING, (shown.TEST, shown.TEST), []),
        (LEAVING, (shown.DRAINED, shown.ON), [(What.HALF_LEFT, BOTH_LBS, RESUME, True)]),
        (replace(LEAVING, kind=Kind.HAND), (shown.OUT, shown.TEST), [(What.HALF_LEFT, ("lb1",), REPAIR, True)]),
        (replace(LEAVING, over=True), (shown.OUT, shown.TEST), [(What.HALF_LEFT, ("lb1",), REPAIR, True)]),
        # A join whose run is dead: its evidence was good, and only a join ends it.
        (JOINING, (shown.TEST, shown.TEST), []),
        (JOINING, (shown.ON, shown.OUT), [(What.HALF_JOINED, BOTH_LBS, RESUME, False)]),
        (JOINING, (shown.ON, shown.ON), [(What.HALF_JOINED, BOTH_LBS, RESUME, False)]),
        (replace(JOINING, kind=Kind.HAND), (shown.RISING, shown.ON), [(What.HALF_JOINED, BOTH_LBS, JOIN, False)]),
        (replace(JOINING, over=True), (shown.RISING, shown.ON), [(What.HALF_JOINED, BOTH_LBS, DEPLOY, False)]),
        # Its deployment ended without it.
        (OVER, (shown.TEST, shown.TEST), [(What.FORGOTTEN, BOTH_LBS, DEPLOY, False)]),
        (OVER, (shown.TEST, shown.ON), [(What.RETURNED, ("lb2",), REPAIR, True)]),
    ],
)
def test_what_the_ledger_says_against_what_haproxy_shows(
    absence: Absence | None, entries: tuple[Entries, ...], found: list[tuple[What, tuple[str, ...], str, bool]]
) -> None:
    assert brief(find_drift(POOL, answers(*entries), known(absence))) == found


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        (ODD, f"{MAINTENANCE}/n1 is drained, which no move does"),
        ((("MAINT", 0, 32), shown.DISABLED), f"HAProxy can't resolve the address of {ONLINE}/n1"),
        ((shown.READY, ("MAINT", 0, 33)), f"HAProxy can't resolve the address of {MAINTENANCE}/n1"),
        ((("MAINT", 0, 2), shown.DISABLED), f"{ONLINE}/n1 tracks another server"),
    ],
)
@pytest.mark.parametrize("absence", [None, HELD])
def test_an_odd_state_is_told_as_what_it_is(absence: Absence | None, entries: Entries, why: str) -> None:
    [drift] = find_drift(POOL, answers(entries, shown.TEST if absence else shown.ON), known(absence))
    assert drift.what is What.ODD
    assert why in drift.why
    assert bool(absence) == drift.why.startswith("taken out by ann")


def test_a_node_that_no_move_ever_named_may_be_new() -> None:
    [drift] = find_drift(POOL, answers(shown.OUT, shown.OUT), known(named=frozenset()))
    assert (drift.what, drift.next) == (What.NEW, ADOPT)
    assert "it is new here, or somebody else took it out" in drift.why


def test_who_is_moved_right_now_is_not_judged() -> None:
    seen = answers(shown.DRAINED, shown.ON)
    assert find_drift(POOL, seen, known(LEAVING, moving=frozenset({"n1"}))) == []


def test_a_deployment_that_is_open_forgets_nobody() -> None:
    assert find_drift(POOL, answers(shown.TEST, shown.TEST), known(OVER, open=True)) == []


def test_online_at_the_target_release_without_evidence_is_drift_and_never_done() -> None:
    [drift] = find_drift(POOL, answers(shown.ON, shown.ON), known(unproven={"n1": "2.0.0"}))
    assert brief([drift]) == [(What.UNPROVEN, BOTH_LBS, RESUME, False)]
    assert "it serves 2.0.0" in drift.why


@pytest.mark.parametrize(
    ("uptime", "why"),
    [
        (
            JUST_STARTED,
            "HAProxy there started at 2026-01-31T11:59:00Z, after that: "
            "without its saved state, or somebody made it ready since",
        ),
        (LONG_UP, "somebody made it ready there since, or a move that failed could not put it back"),
    ],
)
def test_a_haproxy_younger_than_the_leave_has_lost_its_state(uptime: int, why: str) -> None:
    [drift] = find_drift(POOL, answers(shown.ON, uptime=uptime), known(HELD))
    assert drift.why == f"taken out by ann for deployment shop-1 of shop at 2026-01-31T11:30:00.000Z; {why}"


def test_why_differs_by_load_balancer_and_so_they_are_told_apart() -> None:
    seen = {**answers(shown.ON, shown.ON)}
    seen["lb2"] = replace(seen["lb2"], uptime=JUST_STARTED)
    assert [each.load_balancers for each in find_drift(POOL, seen, known(HELD))] == [("lb1",), ("lb2",)]


def test_the_sessions_of_a_drain_that_was_left_are_told() -> None:
    busy = {"lb1": state("lb1", {"n1": shown.DRAINED})}
    row = busy["lb1"].servers[ONLINE, "n1"]
    busy["lb1"] = replace(busy["lb1"], servers={**busy["lb1"].servers, row.key: replace(row, sessions=3)})
    [drift] = find_drift(POOL, busy, known())
    assert "clients with a cookie still reach it, 3 sessions" in drift.why


def test_a_silent_load_balancer_hides_no_other() -> None:
    silent: dict[str, LoadBalancerState | DomainError] = {"lb1": Unreachable("no route", where="lb1")}
    assert find_drift(POOL, silent, known(HELD)) == []
    seen = silent | {"lb2": answers(shown.ON, shown.ON)["lb2"]}
    assert brief(find_drift(POOL, seen, known(HELD))) == [(What.RETURNED, ("lb2",), REPAIR, True)]


def test_a_load_balancer_that_lacks_the_node_has_no_place_for_it() -> None:
    seen = {**answers(shown.OUT), "lb2": state("lb2", {"n2": shown.ON})}
    assert brief(find_drift(POOL, seen, known())) == [(What.FOREIGN, ("lb1",), ADOPT, False)]


def test_drift_is_told_in_three_parts() -> None:
    found = find_drift(POOL, answers(shown.ON, shown.ON, uptime=timedelta(hours=2).seconds), known(BY_HAND))
    assert drift_table(found, silent=False) == [
        "drift: n1 in shop_online on lb1, lb2 came back online",
        "  taken out by ann by hand at 2026-01-31T11:30:00.000Z; "
        "somebody made it ready there since, or a move that failed could not put it back",
        f"  next: {REPAIR}",
    ]
    assert drift_count(found) == "drift of 1 node: n1"


def test_no_drift_is_claimed_for_no_more_than_was_seen() -> None:
    assert drift_table([], silent=False) == ["no drift"]
    assert drift_table([], silent=True, moving={"n2", "n1"}) == [
        "no drift on the load balancers that answered",
        "not judged, since somebody moves it right now: n1, n2",
    ]
    assert drift_count([]) == ""


def test_values_are_plain() -> None:
    [drift] = find_drift(POOL, answers(shown.ON), known(HELD))
    told = drift.values()
    assert {key: told[key] for key in ("what", "node", "pool", "load_balancers", "repairable", "next")} == {
        "what": "returned",
        "node": "n1",
        "pool": ONLINE,
        "load_balancers": ["lb1"],
        "repairable": True,
        "next": REPAIR,
    }
    assert told["taken_by"] == str(HELD)
