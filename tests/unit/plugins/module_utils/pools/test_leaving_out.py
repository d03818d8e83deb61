from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    BadInput,
    DomainError,
    Refused,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Detail, Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.leaving_out import (
    left_out_lines,
    require_down,
    require_leavable,
    unconfirmed,
    unconfirmed_note,
    with_way_on,
)
from tests.unit.plugins.module_utils.haproxy_rows import state

SITES = {"north": ("lb1", "lb2"), "south": ("lb3",)}
UP = state("lb1", {})
DOWN = replace(UP, proof="no HAProxy process")


@pytest.mark.parametrize(
    ("without", "error", "text"),
    [
        (["n1"], BadInput, "n1 is no load balancer of tradeapi"),
        (["lb1", "lb9"], BadInput, "lb9 is no load balancer of tradeapi"),
        (["lb1", "lb2"], Refused, "no load balancer of site north would be left: lb1, lb2"),
        (["lb3"], Refused, "no load balancer of site south would be left: lb3"),
    ],
)
def test_who_can_not_be_left_out(without: list[str], error: type[DomainError], text: str) -> None:
    with pytest.raises(error, match=text) as raised:
        require_leavable("tradeapi", without, SITES)
    assert raised.value.remedy


def test_one_of_two_can_be_left_out() -> None:
    require_leavable("tradeapi", ["lb2"], SITES)
    require_leavable("tradeapi", [], SITES)


def test_one_that_answers_is_not_left_out() -> None:
    require_down({"lb1": UP, "lb2": DOWN}, ["lb2"])
    with pytest.raises(Refused, match="lb1 answers: it can't be left out"):
        require_down({"lb1": UP, "lb2": DOWN}, ["lb1", "lb2"])


def test_the_way_on_is_named_where_there_is_one() -> None:
    dead = Unreachable("there is no socket /run/a.sock", where="load balancer lb2", remedy="Start HAProxy.")
    told = with_way_on("lb2", dead, ["lb1", "lb2"])
    assert isinstance(told, Unreachable)
    assert str(told).startswith("there is no socket /run/a.sock (load balancer lb2). Start HAProxy. If no HAProxy runs")
    assert "lb2" in told.remedy
    assert with_way_on("lb2", dead, ["lb2"]) is dead


def move(step: Step, outcome: Outcome = Outcome.CHANGED, **details: Detail) -> Event:
    return Event(
        service="tradeapi", environment="lab", deployment="d1", attempt=1, step=step, outcome=outcome, details=details
    )


@pytest.mark.parametrize(
    ("events", "names"),
    [
        ([], ["lb2"]),
        ([move(Step.LEAVE, left_out=["lb2: no HAProxy process"], back=[])], ["lb2"]),
        ([move(Step.LEAVE, left_out=[], back=["lb2"])], []),
        ([move(Step.LEAVE, left_out=[], back=["lb2"]), move(Step.JOIN, left_out=["lb2: gone again"])], ["lb2"]),
        ([move(Step.LEAVE, Outcome.FAILED, back=["lb2"])], ["lb2"]),
        ([move(Step.PUPPET, back=["lb2"])], ["lb2"]),
    ],
)
def test_one_is_confirmed_by_the_last_move_in_which_it_answered(events: list[Event], names: list[str]) -> None:
    assert unconfirmed({"without": ["lb2"]}, events) == names


def test_nobody_was_left_out() -> None:
    assert unconfirmed({}, [move(Step.LEAVE)]) == []
    assert unconfirmed_note("tradeapi", []) == ""


def test_people_are_told() -> None:
    note = unconfirmed_note("tradeapi", ["lb2"])
    assert note.startswith("; lb2 was left out and is not confirmed: when it is back, look at it with ")
    assert left_out_lines({"lb2": "no HAProxy process"}) == [
        "lb2 is left out: no HAProxy process; what it will start with is moved"
    ]
