from __future__ import annotations

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.reboots import BegunReboot, begun_reboots


def event(node: str, outcome: Outcome, boot: str = "", at: str = "t1", step: Step = Step.REBOOT) -> Event:
    details = {"boot_before": boot} if boot else {}
    return Event(
        service="shop",
        environment="prod",
        deployment="d1",
        attempt=1,
        step=step,
        outcome=outcome,
        nodes=(node,),
        details=details,
        at=at,
    )


def test_what_began_and_has_no_good_end_may_be_under_way() -> None:
    found = begun_reboots(
        [
            event("ended", Outcome.STARTED, "a"),
            event("ended", Outcome.CHANGED, "a"),
            event("killed", Outcome.STARTED, "b"),
            event("stopped", Outcome.STARTED, "c"),
            event("stopped", Outcome.STOPPED),
            event("late", Outcome.STARTED, "d"),
            event("late", Outcome.FAILED),
            event("not pending", Outcome.STARTED),
            event("puppet", Outcome.STARTED, "e", step=Step.PUPPET),
        ]
    )
    assert found == {name: BegunReboot(boot, "t1") for name, boot in (("killed", "b"), ("stopped", "c"), ("late", "d"))}


def test_the_last_one_counts() -> None:
    again = [event("n1", Outcome.STARTED, "a"), event("n1", Outcome.STARTED, "b", "t2")]
    assert begun_reboots(again) == {"n1": BegunReboot("b", "t2")}
    assert begun_reboots([*again, event("n1", Outcome.UNCHANGED, "c", "t3")]) == {}
