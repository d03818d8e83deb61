from __future__ import annotations

import re

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import (
    Deployment,
    Entry,
    Kind,
    State,
    Verdict,
    new_deployment_id,
    require_change,
)


def deployment(state: State) -> Deployment:
    return Deployment(
        id="d1",
        kind=Kind.DEPLOY,
        service="tradeapi",
        environment="lab",
        state=state,
        closed_at="2026-01-31T10:00:00.000Z",
    )


@pytest.mark.parametrize("state", [State.OPEN, State.HELD])
@pytest.mark.parametrize("target", list(State))
def test_a_deployment_under_way_may_become_anything(state: State, target: State) -> None:
    require_change(deployment(state), target)


@pytest.mark.parametrize("state", [State.DONE, State.ROLLED_BACK, State.SUPERSEDED])
@pytest.mark.parametrize("target", list(State))
def test_a_closed_deployment_stays_as_it_is(state: State, target: State) -> None:
    with pytest.raises(Refused) as refusal:
        require_change(deployment(state), target)
    assert str(refusal.value) == (
        f"deployment d1 is {state} since 2026-01-31T10:00:00.000Z and can't become {target} (tradeapi in lab). "
        "Start a new deployment of the version that you want."
    )


@pytest.mark.parametrize(
    ("verdict", "intact", "told"),
    [
        (Verdict(5, "h", anchored=True), True, "intact up to 5"),
        (
            Verdict(5, "h"),
            True,
            "intact up to 5; without an anchor nobody can tell whether later entries were cut off",
        ),
        (Verdict(5, "h", "entry 6 is gone", anchored=True), False, "broken after entry 5: entry 6 is gone"),
    ],
)
def test_a_verdict_claims_no_more_than_was_seen(verdict: Verdict, intact: bool, told: str) -> None:
    assert (verdict.intact, str(verdict)) == (intact, told)


def test_an_entry_is_its_own_anchor() -> None:
    event = Event(service="s", environment="lab", deployment="", attempt=0, step=Step.PLAN, outcome=Outcome.OK)
    assert Entry(3, "ff", event).anchor == (3, "ff")


def test_a_deployment_id_names_service_and_time_and_is_fresh() -> None:
    made = {new_deployment_id("tradeapi") for _ in range(5)}
    assert len(made) == 5
    assert all(re.fullmatch(r"tradeapi-\d{8}-\d{6}-[0-9a-f]{4}", name) for name in made)
