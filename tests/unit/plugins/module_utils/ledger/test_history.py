from __future__ import annotations

from dataclasses import replace

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.history import History, read_history
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import Served

HAND = Deployment(id="h1", kind=Kind.HAND, service="s", environment="lab")
DEPLOY = Deployment(id="d1", kind=Kind.DEPLOY, service="s", environment="lab")


def event(
    step: Step,
    outcome: Outcome,
    *nodes: str,
    deployment: str = "d1",
    service: str = "s",
    ended: str = "",
    **details: str,
) -> Event:
    return Event(
        service=service,
        environment="lab",
        deployment=deployment,
        attempt=1,
        step=step,
        outcome=outcome,
        nodes=nodes,
        by="alice",
        at="2026-01-01T00:00:00.000Z",
        details={**details, **({"outcome": ended} if ended else {})},
    )


def read(*events: Event) -> History:
    return read_history("s", {"h1": HAND, "d1": DEPLOY}, events)


def test_a_leave_that_only_started_counts() -> None:
    absence = read(event(Step.LEAVE, Outcome.STARTED, "n1")).absent["n1"]
    assert (absence.kind, absence.deployment, absence.by) == (Kind.DEPLOY, "d1", "alice")
    assert str(absence) == "alice for deployment d1 of s at 2026-01-01T00:00:00.000Z"


def test_a_join_ends_an_absence_and_a_failed_join_does_not() -> None:
    left = event(Step.LEAVE, Outcome.CHANGED, "n1", "n2")
    assert set(read(left, event(Step.JOIN, Outcome.CHANGED, "n1")).absent) == {"n2"}
    assert set(read(left, event(Step.JOIN, Outcome.FAILED, "n1")).absent) == {"n1", "n2"}


def test_a_refused_leave_took_nobody_out() -> None:
    assert not read(event(Step.LEAVE, Outcome.REFUSED, "n1")).absent


def test_a_refused_or_failed_leave_of_somebody_else_is_not_who_took_the_node() -> None:
    left = [event(Step.LEAVE, outcome, "n1", deployment="h1") for outcome in (Outcome.STARTED, Outcome.CHANGED)]
    refused = event(Step.LEAVE, Outcome.REFUSED, "n1")
    failed = event(Step.LEAVE, Outcome.FAILED, "n1", reason="bad_input")
    assert read(*left, refused, failed).absent["n1"].deployment == "h1"


def test_a_leave_that_was_undone_took_nobody_out() -> None:
    undone = event(Step.LEAVE, Outcome.FAILED, "n1", reason="undone")
    assert not read(event(Step.LEAVE, Outcome.STARTED, "n1"), undone).absent


def test_a_move_by_hand_shows_as_one() -> None:
    absence = read(event(Step.LEAVE, Outcome.CHANGED, "n1", deployment="h1")).absent["n1"]
    assert absence.kind is Kind.HAND
    assert "by hand" in str(absence)


def test_the_release_of_the_last_confirmed_wave_is_remembered() -> None:
    first = event(Step.WAVE, Outcome.OK, "n1", ended="joined", version="1.0.0", digest="aa")
    second = event(Step.WAVE, Outcome.OK, "n1", ended="joined", version="1.1.0", digest="bb")
    begun = event(Step.WAVE, Outcome.OK, "n1", ended="begun")
    other = event(Step.WAVE, Outcome.OK, "n1", service="t", ended="joined", version="9")
    assert read(first, second, begun, other).joined == {"n1": Served("1.1.0", "bb")}


def test_the_configuration_with_which_a_node_joined_is_remembered() -> None:
    one = event(Step.WAVE, Outcome.OK, "n1", "n2", ended="joined", version="1.1.0", revision="aaa")
    other = event(Step.WAVE, Outcome.OK, "n3", ended="joined", version="1.1.0", revision="bbb")
    before = event(Step.WAVE, Outcome.OK, "n4", ended="joined", version="1.1.0")
    revisions = {node: served.revision for node, served in read(one, other, before).joined.items()}
    assert revisions == {"n1": "aaa", "n2": "aaa", "n3": "bbb", "n4": ""}


def test_an_absence_tells_a_move_without_an_end_and_a_deployment_that_ended_without_the_node() -> None:
    left = [event(Step.LEAVE, outcome, "n1") for outcome in (Outcome.STARTED, Outcome.CHANGED)]
    joining = event(Step.JOIN, Outcome.STARTED, "n1")
    assert read(left[0]).absent["n1"].begun is Step.LEAVE
    assert read(*left).absent["n1"].begun is None
    assert read(*left, joining).absent["n1"].begun is Step.JOIN
    ended = replace(DEPLOY, state=State.SUPERSEDED)
    assert [read_history("s", {"d1": each}, left).absent["n1"].over for each in (DEPLOY, ended)] == [False, True]


def test_a_repair_changes_nobodys_ownership() -> None:
    left = event(Step.LEAVE, Outcome.CHANGED, "n1")
    repaired = [
        event(Step.REPAIR, outcome, "n1", "n2", deployment="h1") for outcome in (Outcome.STARTED, Outcome.CHANGED)
    ]
    history = read(left, *repaired)
    assert history.absent.keys() == history.named == {"n1"}
    assert history.absent["n1"].deployment == "d1"


def test_who_took_a_node_over_from_somebody_else_is_named_so() -> None:
    adopted = replace(HAND, plan='{"adopted": true, "intent": "join"}')
    absent = read_history("s", {"h1": adopted}, [event(Step.LEAVE, Outcome.CHANGED, "n1", deployment="h1")]).absent
    assert absent["n1"].adopted
    assert str(absent["n1"]) == "alice from somebody else at 2026-01-01T00:00:00.000Z"
