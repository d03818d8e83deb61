from __future__ import annotations

from collections.abc import Sequence

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.ownership import (
    but_this_step,
    moved_by_us,
    taken_by,
)

STARTED, OK, CHANGED, FAILED, REFUSED, SKIPPED, UNREACHABLE = (
    Outcome.STARTED,
    Outcome.OK,
    Outcome.CHANGED,
    Outcome.FAILED,
    Outcome.REFUSED,
    Outcome.SKIPPED,
    Outcome.UNREACHABLE,
)


def event(
    step: Step, outcome: Outcome, *nodes: str, deployment: str = "d1", attempt: int = 1, reason: str = ""
) -> Event:
    details = {"reason": reason} if reason else {}
    return Event(
        service="shop",
        environment="lab",
        deployment=deployment,
        attempt=attempt,
        step=step,
        outcome=outcome,
        nodes=nodes or ("n1",),
        details=details,
    )


LEFT = [event(Step.LEAVE, STARTED), event(Step.LEAVE, CHANGED)]
JOINED = [event(Step.JOIN, STARTED), event(Step.JOIN, CHANGED)]


@pytest.mark.parametrize(
    ("events", "ours"),
    [
        ([], set()),
        ([event(Step.HEALTH, OK)], set()),
        (LEFT, {"n1"}),
        (LEFT[:1], {"n1"}),
        ([*LEFT, *JOINED], set()),
        ([*LEFT, JOINED[0]], {"n1"}),
        ([*LEFT, JOINED[0], event(Step.JOIN, FAILED, reason="undone")], {"n1"}),
        ([LEFT[0], event(Step.LEAVE, REFUSED)], set()),
        ([*LEFT, LEFT[0], event(Step.LEAVE, REFUSED)], {"n1"}),
        ([LEFT[0], event(Step.LEAVE, FAILED, reason="undone")], set()),
        ([LEFT[0], event(Step.LEAVE, FAILED, reason="stuck")], {"n1"}),
        ([LEFT[0], event(Step.LEAVE, Outcome.STOPPED, reason="stopped")], set()),
        ([*LEFT, LEFT[0], event(Step.LEAVE, Outcome.STOPPED, reason="stopped")], {"n1"}),
        ([*LEFT, *JOINED, JOINED[0], event(Step.JOIN, REFUSED)], set()),
        ([*LEFT, event(Step.JOIN, OK)], set()),
        ([LEFT[0], event(Step.LEAVE, CHANGED, "n2")], {"n1", "n2"}),
    ],
)
def test_a_node_is_ours_from_the_start_of_its_leave_to_the_end_of_its_join(
    events: Sequence[Event], ours: set[str]
) -> None:
    assert moved_by_us(events) == ours


@pytest.mark.parametrize(
    ("events", "ours"),
    [
        ([*LEFT, event(Step.JOIN, REFUSED)], {"n1"}),
        ([*LEFT, event(Step.LEAVE, REFUSED)], {"n1"}),
        ([*LEFT, event(Step.LEAVE, SKIPPED)], {"n1"}),
        ([*LEFT, event(Step.LEAVE, FAILED, reason="undone")], {"n1"}),
        ([*LEFT, *JOINED, event(Step.LEAVE, REFUSED)], set()),
        ([*LEFT, *JOINED, event(Step.JOIN, REFUSED)], set()),
        ([*LEFT, *JOINED, event(Step.JOIN, FAILED, reason="bad_input")], set()),
        ([event(Step.LEAVE, REFUSED)], set()),
        ([event(Step.LEAVE, FAILED, reason="bad_input")], set()),
        ([event(Step.LEAVE, UNREACHABLE)], set()),
        ([LEFT[0], event(Step.LEAVE, UNREACHABLE)], {"n1"}),
        ([LEFT[0], event(Step.LEAVE, UNREACHABLE), event(Step.LEAVE, REFUSED)], {"n1"}),
        ([*LEFT, JOINED[0], event(Step.JOIN, UNREACHABLE)], {"n1"}),
    ],
)
def test_what_never_started_changes_nothing(events: Sequence[Event], ours: set[str]) -> None:
    assert moved_by_us(events) == ours


@pytest.mark.parametrize(
    "other",
    [
        event(Step.LEAVE, REFUSED, deployment="d2"),
        event(Step.LEAVE, REFUSED, attempt=2),
        event(Step.JOIN, REFUSED),
        event(Step.LEAVE, REFUSED, "n1", "n2"),
    ],
)
def test_a_refusal_of_another_call_does_not_end_a_start(other: Event) -> None:
    assert moved_by_us([LEFT[0], other]) == {"n1"}
    assert moved_by_us([LEFT[0], other, event(Step.LEAVE, FAILED, reason="undone")]) == set()


def test_a_second_refused_attempt_leaves_what_a_killed_first_one_may_have_done() -> None:
    again = [event(Step.LEAVE, STARTED, attempt=2), event(Step.LEAVE, REFUSED, attempt=2)]
    assert moved_by_us([LEFT[0], *again]) == {"n1"}
    assert taken_by([LEFT[0], *again])["n1"] is LEFT[0]


def test_the_leave_that_counted_last_is_who_took_a_node() -> None:
    theirs = [event(Step.LEAVE, STARTED, deployment="d2"), event(Step.LEAVE, Outcome.UNCHANGED, deployment="d2")]
    assert taken_by([*LEFT, *theirs])["n1"].deployment == "d2"
    assert taken_by([*LEFT, event(Step.LEAVE, REFUSED, deployment="d2")])["n1"].deployment == "d1"
    assert taken_by([*LEFT, event(Step.JOIN, STARTED, deployment="d2")])["n1"].step is Step.LEAVE


def test_a_start_of_another_step_is_not_the_one_that_asks() -> None:
    asking, refused, frozen = LEFT[0], event(Step.LEAVE, REFUSED), event(Step.FREEZE, STARTED)
    assert but_this_step([asking, refused], "d1") == [refused]
    assert but_this_step([*LEFT, frozen], "d1") == [*LEFT, frozen]


def test_the_step_that_asks_does_not_explain_itself() -> None:
    asking = event(Step.LEAVE, STARTED)
    other = event(Step.LEAVE, STARTED, "n7", deployment="d2")
    assert but_this_step([*LEFT, asking, other], "d1") == [*LEFT, other]
    assert but_this_step(LEFT, "d1") == LEFT
    assert but_this_step([other], "d1") == [other]
    assert but_this_step([], "d1") == []
