from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Stopped
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Step
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import LOOK_EVERY, NEVER, Stopping, before


def test_a_pause_is_as_long_as_it_was_asked_to_be() -> None:
    slept: list[float] = []
    NEVER.pause(1.2, "here", slept.append)
    assert sum(slept) == pytest.approx(1.2)
    assert max(slept) <= LOOK_EVERY


def test_a_stop_ends_a_pause_in_its_middle() -> None:
    slept: list[float] = []

    def look(where: str) -> None:
        if len(slept) == 2:
            raise Stopped(f"stopped {where}")

    with pytest.raises(Stopped, match="stopped here"):
        Stopping(look).pause(60, "here", slept.append)
    assert len(slept) == 2


def test_a_pause_does_not_begin_after_a_stop() -> None:
    def look(where: str) -> None:
        raise Stopped(where)

    with pytest.raises(Stopped):
        Stopping(look).pause(60, "here", lambda _seconds: pytest.fail("it slept"))


@pytest.mark.parametrize("step", Step)
def test_every_step_can_be_said_not_to_have_begun(step: Step) -> None:
    assert before(step).startswith("before ")
