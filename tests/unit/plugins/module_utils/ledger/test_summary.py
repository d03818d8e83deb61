from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.summary import summarise, summary_text

PLAN: dict[str, Any] = {
    "releases": {"n1": "1.0.0", "n2": "1.0.0", "n3": "1.0.0", "n4": "1.1.0"},
    "waves": [{"number": 1, "nodes": ["n1"]}, {"number": 2, "nodes": ["n2"]}],
    "skipped": {"n3": "excluded by the operator"},
}
DEPLOYMENT = Deployment(
    id="s-20260131-142501-7f3a",
    kind=Kind.DEPLOY,
    service="s",
    environment="lab",
    version="1.1.0",
    previous_version="1.0.0",
    state=State.DONE,
    nodes=("n1", "n2", "n3", "n4"),
    opened_at="2026-01-31T14:25:01.000Z",
    opened_by="ann",
    closed_at="2026-01-31T14:26:01.000Z",
)
HELD = replace(DEPLOYMENT, state=State.HELD, closed_at="")


def event(step: Step, outcome: Outcome, second: int, /, *nodes: str, wave: int | None = None, **details: Any) -> Event:
    return Event(
        service="s",
        environment="lab",
        deployment=DEPLOYMENT.id,
        attempt=1,
        step=step,
        outcome=outcome,
        at=f"2026-01-31T14:25:{second:02}.000Z",
        wave=wave,
        nodes=nodes,
        details=details,
    )


def wave(number: int, node: str, second: int) -> list[Event]:
    return [
        event(Step.WAVE, Outcome.OK, second, node, wave=number, outcome="begun"),
        event(Step.PUPPET, Outcome.CHANGED, second + 5, node, wave=number, own_s=4.0),
        event(Step.WAVE, Outcome.OK, second + 9, node, wave=number, outcome="joined", version="1.1.0"),
    ]


FAILED = [
    *wave(1, "n1", 0),
    event(Step.WAVE, Outcome.OK, 20, "n2", wave=2, outcome="begun"),
    event(Step.NUNIT, Outcome.FAILED, 30, "n2", wave=2, own_s=4.0, msg="2 of 9 tests failed"),
    event(Step.HOLD, Outcome.HELD, 31, "n2", wave=2, cause="n2: nunit failed: 2 of 9 tests failed", msg="…"),
]
WAYS_ON = ["s 1.1.0 is held; the wave was n2.", "Go back: tidegate rollback s"]


def test_all_joined() -> None:
    told = summarise(DEPLOYMENT, [*wave(1, "n1", 0), *wave(2, "n2", 20)], PLAN, WAYS_ON)
    assert (told["outcome"], told["cause"], told["next"]) == ("done", "", [])
    assert told["ended_at"] == "2026-01-31T14:26:01.000Z"
    assert [(node["name"], node["from"], node["to"], node["state"]) for node in told["nodes"]] == [
        ("n1", "1.0.0", "1.1.0", "joined"),
        ("n2", "1.0.0", "1.1.0", "joined"),
        ("n3", "1.0.0", "", "skipped"),
        ("n4", "1.1.0", "", "unmoved"),
    ]
    assert [(each["wave"], each["puppet_s"], each["tidegate_added_s"]) for each in told["waves"]] == [
        (1, 4.0, 5.0),
        (2, 4.0, 5.0),
    ]


def test_a_held_wave_tells_why_and_what_next() -> None:
    told = summarise(HELD, FAILED, PLAN, WAYS_ON)
    assert (told["outcome"], told["cause"]) == ("held", "n2: nunit failed: 2 of 9 tests failed")
    assert told["next"] == WAYS_ON
    assert told["ended_at"] == "2026-01-31T14:25:31.000Z"
    assert [node["state"] for node in told["nodes"]] == ["joined", "held", "skipped", "unmoved"]
    assert [each["outcome"] for each in told["waves"]] == ["joined", "held"]


def test_one_that_somebody_stopped_is_told_from_one_that_failed() -> None:
    stopped = [
        event(Step.WAVE, Outcome.OK, 0, "n1", wave=1, outcome="begun"),
        event(Step.LEAVE, Outcome.STOPPED, 3, "n1", wave=1, msg="stopped by ann (SIGINT) while draining"),
        event(Step.HOLD, Outcome.HELD, 4, "n1", wave=1, cause="stopped by ann (SIGINT) while draining"),
    ]
    told = summarise(HELD, stopped, PLAN, WAYS_ON)
    assert told["outcome"] == "stopped"
    assert [node["state"] for node in told["nodes"]][:2] == ["held", "waiting"]


def test_one_that_was_superseded_tells_by_what_and_where_it_had_been_held() -> None:
    closing = event(Step.CLOSE, Outcome.OK, 40, msg="superseded by s-20260131-150000-0001")
    told = summarise(replace(HELD, state=State.SUPERSEDED), [*FAILED, closing], PLAN)
    assert (told["outcome"], told["next"]) == ("superseded", ["superseded by s-20260131-150000-0001"])
    assert told["cause"] == "n2: nunit failed: 2 of 9 tests failed"
    assert [node["state"] for node in told["nodes"]][:2] == ["joined", "held"]


def test_what_held_an_earlier_attempt_is_no_cause_any_more() -> None:
    told = summarise(replace(DEPLOYMENT, attempt=2), FAILED, PLAN)
    assert (told["cause"], told["next"]) == ("", [])


def test_a_rollback_that_is_done_is_rolled_back() -> None:
    assert summarise(replace(DEPLOYMENT, kind=Kind.ROLLBACK), [], PLAN)["outcome"] == "rolled_back"


def test_a_move_by_hand_has_no_releases() -> None:
    by_hand = replace(DEPLOYMENT, kind=Kind.HAND, nodes=("n1",))
    (node,) = summarise(by_hand, [], {"waves": PLAN["waves"]})["nodes"]
    assert (node["from"], node["to"]) == ("", "")


def test_what_people_read() -> None:
    text = summary_text(summarise(HELD, FAILED, PLAN, WAYS_ON))
    assert text.splitlines() == [
        "s 1.1.0 in lab: held",
        "deploy s-20260131-142501-7f3a",
        "opened 2026-01-31T14:25:01.000Z by ann, ended 2026-01-31T14:25:31.000Z",
        "",
        "Why: n2: nunit failed: 2 of 9 tests failed",
        "s 1.1.0 is held; the wave was n2.",
        "Go back: tidegate rollback s",
        "",
        "  n1  1.0.0 -> 1.1.0            joined    wave 1",
        "  n2  1.0.0                     held      wave 2",
        "  n3  1.0.0                     skipped   excluded by the operator",
        "  n4  1.1.0                     unmoved",
        "",
        "  seconds                       wall       drain      puppet       tests      warmup    tidegate",
        "  wave 1                         9.0         0.0         4.0         0.0         0.0         5.0",
        "  wave 2 (held)                 11.0         0.0         0.0         4.0         0.0         7.0",
        "  Steps by their own clocks, of several nodes the slowest; tidegate is the rest of the wall time.",
    ]


def test_a_wave_of_two_names_the_slowest_and_what_was_waited_for() -> None:
    events = [
        event(Step.WAVE, Outcome.OK, 0, "n1", "n2", wave=1, outcome="begun"),
        event(Step.PUPPET, Outcome.CHANGED, 5, "n1", wave=1, own_s=4.0),
        event(Step.PUPPET, Outcome.CHANGED, 6, "n2", wave=1, own_s=5.0),
        event(Step.HEALTH, Outcome.OK, 7, "n2", wave=1, own_s=0.5),
        event(Step.JOIN, Outcome.CHANGED, 9, "n1", "n2", wave=1, own_s=1.5),
        event(Step.WAVE, Outcome.OK, 10, "n1", "n2", wave=1, outcome="joined", version="1.1.0"),
    ]
    lines = summary_text(summarise(DEPLOYMENT, events, PLAN)).splitlines()
    assert "    slowest: puppet n2" in lines
    assert "    of tidegate's: until healthy 0.5 s, until HAProxy's checks passed 1.5 s" in lines
