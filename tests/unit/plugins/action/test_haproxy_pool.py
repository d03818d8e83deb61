from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.action import haproxy_pool
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, Pool, Spot
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_report import MoveReport
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share

NODES = tuple(f"node-{number}.trade.example.com" for number in range(30))
POOL = Pool("tradeapi_online", "tradeapi_maintenance", Share.parse("60%"), NODES)


def result(nodes: tuple[str, ...], *, down: bool = False, back: bool = False) -> dict[str, Any]:
    spots = [Spot(load_balancer, POOL, node) for node in nodes for load_balancer in ("lb1", "lb2")]
    report = MoveReport(before=dict.fromkeys(spots, Cell.ON), after=dict.fromkeys(spots, Cell.TEST))
    if down:
        report.proved_down({"lb1": "", "lb2": "no HAProxy process"})
    if back:
        report.proved_down({"lb1": "", "lb2": ""})
    args = {"state": "maintenance", "load_balancers": ["lb1", "lb2"], "without": ["lb2"] if down else []}
    call: Any = SimpleNamespace(check=False, diff=False, covered=list(nodes), args=args)
    return haproxy_pool._result(call, report, Intent.LEAVE, changes=True)


def test_places_say_in_one_line_each_where_a_node_was_and_is() -> None:
    assert result(("n1",))["places"] == [
        "n1 in tradeapi_online on lb1: ON -> TEST",
        "n1 in tradeapi_online on lb2: ON -> TEST",
    ]


def test_what_the_ledger_keeps_of_a_large_wave_is_whole() -> None:
    recorded = {key: value for key, value in result(NODES).items() if key in haproxy_pool.ActionModule.RECORDED}
    assert not {"cells"} & recorded.keys()
    details = {"places": recorded["places"]}
    event = Event(
        service="tradeapi",
        environment="lab",
        deployment="d1",
        attempt=1,
        step=Step.LEAVE,
        outcome=Outcome.CHANGED,
        by="ann",
        details=details,
    )
    assert event.details["places"] == recorded["places"]
    assert len(recorded["places"]) == 60


LEFT, DEPLOYED, AGAIN = (
    [(Step.LEAVE, Outcome.STARTED), (Step.LEAVE, Outcome.CHANGED)],
    [(Step.PUPPET, Outcome.STARTED), (Step.PUPPET, Outcome.CHANGED)],
    [(Step.LEAVE, Outcome.STARTED)],
)


@pytest.mark.parametrize(
    ("state", "intent", "ours", "steps", "kept_out"),
    [
        # Nothing was deployed since it left: a leave that is given up brings everything back.
        ("maintenance", "", set(), AGAIN, set()),
        ("maintenance", "", {"n1"}, [*LEFT, *AGAIN], set()),
        ("maintenance", "", {"n1"}, [*LEFT[:1], *AGAIN], set()),
        # It was, or by another deployment for all that is known: nothing comes in that was out.
        ("maintenance", "", {"n1"}, [*LEFT, *DEPLOYED, *AGAIN], {"n1"}),
        ("maintenance", "", {"n1"}, AGAIN, {"n1"}),
        ("maintenance", "adopt", set(), AGAIN, {"n1"}),
        ("repaired", "repair", {"n1"}, [], {"n1"}),
    ],
)
def test_what_may_not_come_in_by_a_leave_that_is_given_up(
    state: str, intent: str, ours: set[str], steps: list[tuple[Step, Outcome]], kept_out: set[str]
) -> None:
    events = [
        Event(service="s", environment="lab", deployment="d1", attempt=1, step=step, outcome=outcome, nodes=("n1",))
        for step, outcome in steps
    ]
    ledger = SimpleNamespace(plan={"intent": intent}, events=events)
    call: Any = SimpleNamespace(check=False, args={"state": state}, covered=["n1"], ledger=ledger, deployment_id="d1")
    assert haproxy_pool._kept_out(call, ours) == kept_out


def test_one_that_is_down_is_told_with_its_proof_and_one_that_came_back_as_such() -> None:
    told = result(("n1",), down=True)
    assert (told["left_out"], told["back"]) == (["lb2: no HAProxy process"], [])
    assert (
        "n1 is in the maintenance pool on lb1" in told["msg"] and "lb2 is down and will start with that" in told["msg"]
    )
    told = result(("n1",), down=True, back=True)
    assert (told["left_out"], told["back"]) == ([], ["lb2"])
    assert "n1 is in the maintenance pool on lb1, lb2" in told["msg"] and "down" not in told["msg"]


@pytest.mark.parametrize("changes", [True, False])
def test_a_join_needs_evidence_though_the_node_may_be_online_already(
    monkeypatch: pytest.MonkeyPatch, *, changes: bool
) -> None:
    done: list[str] = []

    def no_evidence(_nodes: Sequence[str]) -> None:
        raise Refused("n1 may not join")

    move = SimpleNamespace(
        preview=lambda *_: changes, run=lambda *_: done.append("run"), keep=lambda: done.append("keep")
    )
    monkeypatch.setattr(haproxy_pool, "_move", lambda _call: move)
    monkeypatch.setattr(haproxy_pool, "_ours", lambda _call: {"n1"})
    monkeypatch.setattr(haproxy_pool, "_adopted", lambda _call: set())
    call: Any = SimpleNamespace(args={"state": "online"}, check=False, covered=["n1"], require_evidence=no_evidence)
    action = haproxy_pool.ActionModule.__new__(haproxy_pool.ActionModule)
    with pytest.raises(Refused, match="n1 may not join"):
        action.act(call)
    assert done == []
