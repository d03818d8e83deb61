from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.opening import Opening
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.answer import (
    Decided,
    plan_answer,
    require_confirmed,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import (
    NodeView,
    Served,
    SiteView,
    Standing,
    make_plan,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.waves import PoolView
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share

OLD, NEW = Served("1.0.0", "aa"), Served("1.1.0", "bb")
NODES = ("n1", "n2", "n3")
NOTHING_ELSE = frozenset[str]()


def decided(
    *,
    usable: frozenset[str] = frozenset(NODES),
    floor: str = "60%",
    excluded: frozenset[str] = NOTHING_ELSE,
    taken_by: str = "",
    old: Served = OLD,
    target: Served = NEW,
) -> Decided:
    out = NodeView("n3", Standing.OUT, old, taken_by=taken_by) if taken_by else NodeView("n3", Standing.ONLINE, old)
    nodes = (NodeView("n1", Standing.ONLINE, old), NodeView("n2", Standing.ONLINE, old), out)
    pool = PoolView("s", "s_online", "lb1", Share.parse(floor), frozenset(NODES), usable)
    sites = (SiteView("main", ("lb1",), nodes, (pool,)),)
    deployment = Deployment(
        id="s-1",
        kind=Kind.DEPLOY,
        service="s",
        environment="lab",
        version=target.version,
        digest=target.digest,
        previous_version=old.version,
        revision=target.revision,
    )
    plan = make_plan(target, sites, [Share.parse(1)], dict.fromkeys(excluded, "excluded by the operator"))
    return Decided(Opening(Kind.DEPLOY, target.version), deployment, plan, sites, {"n1": ["p"], "n2": []})


def test_the_answer_tells_the_whole_plan() -> None:
    answer = plan_answer(decided(excluded=frozenset({"n3"})))
    assert answer.pop("decisions_sha256")
    assert answer == {
        "service": "s",
        "environment": "lab",
        "version": "1.1.0",
        "digest": "bb",
        "revision": "",
        "no_revision": "",
        "kind": "deploy",
        "previous_version": "1.0.0",
        "previous_revision": "",
        "resumes": "",
        "supersedes": "",
        "nodes": [
            _node("n1", "move", "", 1, ["p"]),
            _node("n2", "move", "", 2, []),
            _node("n3", "skip", "excluded by the operator", None, []),
        ],
        "waves": [_wave(1, "n1"), _wave(2, "n2")],
        "capacity": [
            {
                "load_balancer": "lb1",
                "pool": "s_online",
                "service": "s",
                "usable": 3,
                "configured": 3,
                "floor": 2,
                "min_online": "60%",
            }
        ],
        "co_hosted": {"p": ["n1"]},
        "nothing_to_do": False,
        "without": [],
        "skipped": {"n3": "excluded by the operator"},
    }


def _node(name: str, fate: str, why: str, wave: int | None, beside: list[str]) -> dict[str, Any]:
    told = {"name": name, "site": "main", "standing": "online", "from": "1.0.0", "to": "1.1.0"}
    return {**told, "fate": fate, "why": why, "wave": wave, "beside": beside}


def _wave(number: int, node: str) -> dict[str, Any]:
    told = {"number": number, "site": "main", "nodes": [node], "asked": 1, "size": 1}
    return {**told, "limited_by": "", "load_balancers": ["lb1"]}


@pytest.mark.parametrize(
    "other",
    [
        lambda: decided(excluded=frozenset({"n1"})),
        lambda: decided(floor="0%"),
        lambda: decided(target=Served("1.1.0", "cc")),
        lambda: decided(target=Served("1.2.0", "bb")),
        lambda: decided(target=Served("1.1.0", "bb", "c" * 40)),
        lambda: decided(old=Served("0.9.0", "aa")),
        lambda: replace(decided(), opening=Opening(Kind.DEPLOY, "1.1.0", supersedes="s-0")),
        lambda: replace(decided(), opening=Opening(Kind.ROLLBACK, "1.1.0")),
        lambda: replace(decided(), beside={}),
    ],
)
def test_another_decision_than_the_confirmed_one_is_refused(other: Callable[[], Decided]) -> None:
    confirmed = plan_answer(decided())["decisions_sha256"]
    with pytest.raises(Refused, match="the plan changed since it was confirmed") as refused:
        require_confirmed(confirmed, plan_answer(other()))
    assert "Nothing was touched" in refused.value.remedy


@pytest.mark.parametrize(
    ("shown", "now"),
    [
        (decided(), decided()),
        (decided(usable=frozenset({"n1", "n2", "n3"})), decided(usable=frozenset({"n1", "n2", "n3", "n4"}))),
        (decided(taken_by="ann at 10:00"), decided(taken_by="ann at 10:05")),
    ],
)
def test_what_is_only_observed_may_change(shown: Decided, now: Decided) -> None:
    require_confirmed(plan_answer(shown)["decisions_sha256"], plan_answer(now))


def test_without_a_confirmation_nothing_is_compared() -> None:
    require_confirmed("", plan_answer(decided()))
