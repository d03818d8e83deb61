from __future__ import annotations

from dataclasses import replace

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.hold import (
    downtime_note,
    next_commands,
    why_held,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind


def event(step: Step, outcome: Outcome, *nodes: str, attempt: int = 1, msg: str = "it broke", until: str = "") -> Event:
    return Event(
        service="s",
        environment="lab",
        deployment="d1",
        attempt=attempt,
        step=step,
        outcome=outcome,
        nodes=nodes,
        details={"msg": msg, "until": until},
    )


def deployment(kind: Kind) -> Deployment:
    return Deployment(id="d1", kind=kind, service="s", environment="lab", version="1.2.0")


def test_the_first_step_that_went_wrong_is_the_cause_on_all_its_nodes() -> None:
    events = [
        event(Step.PUPPET, Outcome.FAILED, "n0", attempt=1, msg="an old one"),
        event(Step.PUPPET, Outcome.CHANGED, "n1", attempt=2),
        event(Step.NUNIT, Outcome.FAILED, "n1", attempt=2, msg="2 of 9 tests failed"),
        event(Step.NUNIT, Outcome.FAILED, "n2", attempt=2, msg="n2: 1 of 9 tests failed"),
        event(Step.THAW, Outcome.FAILED, "n1", attempt=2, msg="no route"),
    ]
    cause = why_held(events, 2)
    assert cause.step == "nunit"
    assert cause.message == "n1: nunit failed: 2 of 9 tests failed nunit failed: n2: 1 of 9 tests failed"


def test_a_thaw_that_fails_is_the_cause_when_it_is_all_that_was_to_be_done() -> None:
    events = [event(Step.THAW, Outcome.UNREACHABLE, "n1", msg="no route")]
    assert why_held(events, 1).step == ""
    assert why_held(events, 1, thawing=True).message == "n1: thaw unreachable: no route"
    left = replace(deployment(Kind.HAND), plan='{"intent": "thaw"}', nodes=("n1", "n2"))
    assert "playbooks/thaw.yml -e service=s -e nodes=n1,n2" in next_commands(left, ["n1"])


def test_a_downtime_that_could_not_be_ended_is_no_cause() -> None:
    assert why_held([event(Step.DOWNTIME_END, Outcome.FAILED, "n1")], 1).step == ""


def test_until_when_nagios_is_silent() -> None:
    before = event(Step.DOWNTIME, Outcome.CHANGED, "n1", until="yesterday")
    now = event(Step.DOWNTIME, Outcome.UNCHANGED, "n1", attempt=2, until="2026-01-31 16:25 UTC")
    assert downtime_note([before], 2) == ""
    assert downtime_note([before, now], 2).startswith("Nagios is silent about it until 2026-01-31 16:25 UTC; ")
    unknown = event(Step.DOWNTIME, Outcome.INCONCLUSIVE, "n1", attempt=2, msg="nobody knows")
    assert downtime_note([now, unknown], 2) == "In Nagios, nobody knows\n"
    never_left = event(Step.DOWNTIME, Outcome.CHANGED, "n1", attempt=2)
    assert downtime_note([now, never_left], 2) == ""
    joined = event(Step.DOWNTIME_END, Outcome.CHANGED, "n1", attempt=2)
    assert downtime_note([now, joined], 2) == "", "what is held is settling"


def test_a_failure_that_the_ledger_does_not_know_says_where_to_look() -> None:
    assert "its message is above" in why_held([event(Step.PUPPET, Outcome.CHANGED, "n1")], 1).message


def test_a_hundred_failures_are_told_in_five() -> None:
    cause = why_held([event(Step.PUPPET, Outcome.FAILED, f"n{number}") for number in range(100)], 1)
    assert cause.message.endswith("(and 95 more)")


def test_the_next_commands_fit_the_kind() -> None:
    told = next_commands(deployment(Kind.DEPLOY), ["n1"])
    assert "Go back: ansible-playbook playbooks/rollback.yml -e service=s" in told
    assert "Or try again: ansible-playbook playbooks/resume.yml -e service=s" in told
    assert "rollback.yml" not in next_commands(deployment(Kind.ROLLBACK), ["n1"])
    assert "pool.yml -e service=s -e node=n1 -e state=online" in next_commands(deployment(Kind.HAND), ["n1"])


def test_a_step_that_was_refused_before_it_began_is_named() -> None:
    refused = Event(
        service="s",
        environment="lab",
        deployment="d1",
        attempt=1,
        step=Step.REFUSE,
        outcome=Outcome.REFUSED,
        nodes=("n1",),
        details={"msg": "n1 may not", "of": "join"},
    )
    assert why_held([refused], 1).step == "join"
    assert why_held([refused], 1).message == "join refused: n1 may not"


def test_a_wave_that_somebody_stopped_is_told_as_stopped_with_the_way_on_first() -> None:
    stopped = event(Step.LEAVE, Outcome.STOPPED, "n1", msg="stopped by alice (SIGTERM) while it drained")
    cause = why_held([stopped, event(Step.THAW, Outcome.FAILED, "n1")], 1)
    assert cause.stopped
    assert cause.message == "Stopped by alice (SIGTERM) while it drained"
    ways = next_commands(deployment(Kind.DEPLOY), ["n1"], stopped=cause.stopped).splitlines()[1:]
    assert [way.partition(":")[0] for way in ways] == ["Go on", "Or go back"]
    assert "Go on: ansible-playbook" in next_commands(deployment(Kind.ROLLBACK), ["n1"], stopped=True)


def test_what_failed_before_somebody_stopped_it_is_the_cause() -> None:
    events = [event(Step.NUNIT, Outcome.FAILED, "n1"), event(Step.NUNIT, Outcome.STOPPED, "n2")]
    assert not why_held(events, 1).stopped
