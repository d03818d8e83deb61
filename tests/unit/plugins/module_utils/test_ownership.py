from __future__ import annotations

from collections.abc import Sequence

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ownership import but_this_step, moved_by_us

STARTED, OK, CHANGED, FAILED, REFUSED = (
    Outcome.STARTED,
    Outcome.OK,
    Outcome.CHANGED,
    Outcome.FAILED,
    Outcome.REFUSED,
)


def event(step: Step, outcome: Outcome, *nodes: str, deployment: str = "d1", reason: str = "") -> Event:
    details = {"reason": reason} if reason else {}
    return Event(
        service="shop",
        environment="lab",
        deployment=deployment,
        attempt=1,
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
        ([*LEFT, *JOINED, JOINED[0], event(Step.JOIN, REFUSED)], set()),
        ([*LEFT, event(Step.JOIN, OK)], set()),
        ([LEFT[0], event(Step.LEAVE, CHANGED, "n2")], {"n1", "n2"}),
    ],
)
def test_a_node_is_ours_from_the_start_of_its_leave_to_the_end_of_its_join(
    events: Sequence[Event], ours: set[str]
) -> None:
    assert moved_by_us(events) == ours


def test_the_step_that_asks_does_not_explain_itself() -> None:
    asking = event(Step.LEAVE, STARTED)
    other = event(Step.LEAVE, STARTED, "n7", deployment="d2")
    assert but_this_step([*LEFT, asking, other], "d1") == [*LEFT, other]
    assert but_this_step(LEFT, "d1") == LEFT
    assert but_this_step([other], "d1") == [other]
    assert but_this_step([], "d1") == []
