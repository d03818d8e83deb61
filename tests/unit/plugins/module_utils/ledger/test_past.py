from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Entry, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.past import (
    described,
    event_values,
    events_table,
    history_table,
)

DONE = Deployment(
    id="s-1",
    kind=Kind.DEPLOY,
    service="s",
    environment="lab",
    version="1.1.0",
    digest="ab",
    previous_version="1.0.0",
    state=State.DONE,
    attempt=2,
    nodes=("n1", "n2"),
    services=("s",),
    plan='{"folder": "/var/lib/tidegate/s-1"}',
    opened_at="2026-01-31T14:25:01.123Z",
    opened_by="alice",
    closed_at="2026-01-31T14:27:01.623Z",
)


def event(step: Step, msg: str, attempt: int = 2, **more: Any) -> Event:
    outcome = Outcome.HELD if step is Step.HOLD else Outcome.OK
    told = {"at": "2026-01-31T14:26:00.500Z", "by": "bob", "nodes": ("n1",), **more}
    details = {"msg": msg, **told.pop("details", {})}
    return Event(
        service="s",
        environment="lab",
        deployment="s-1",
        attempt=attempt,
        step=step,
        outcome=outcome,
        details=details,
        **told,
    )


@pytest.mark.parametrize(
    ("deployment", "words", "expected"),
    [
        (
            DONE,
            [event(Step.HOLD, "it broke", attempt=1), event(Step.CLOSE, "s is at 1.1.0")],
            {"state": "done", "took_s": 120.5, "message": "s is at 1.1.0", "closed_by": "bob"},
        ),
        (
            replace(DONE, state=State.HELD, closed_at=""),
            [event(Step.HOLD, "it broke. Go back: …", details={"cause": "it broke"})],
            {"state": "held", "took_s": None, "message": "it broke", "closed_by": ""},
        ),
        # Running again: what held the attempt before is no word on this one.
        (
            replace(DONE, state=State.OPEN, closed_at=""),
            [event(Step.HOLD, "it broke", attempt=1)],
            {"state": "open", "took_s": None, "message": "", "closed_by": ""},
        ),
        (replace(DONE, plan="{}"), [], {"folder": ""}),
        (replace(DONE, plan="[]"), [], {"folder": ""}),
        (replace(DONE, plan="no json"), [], {"folder": ""}),
        (DONE, [], {"folder": "/var/lib/tidegate/s-1", "message": ""}),
    ],
)
def test_a_deployment_is_told_with_its_last_word(
    deployment: Deployment, words: list[Event], expected: dict[str, Any]
) -> None:
    told = described(deployment, words)
    assert {key: told[key] for key in expected} == expected


def test_a_line_a_deployment_below_the_columns_names() -> None:
    by_hand = replace(DONE, id="s-2", kind=Kind.HAND, state=State.OPEN, nodes=("n3",), closed_at="")
    told = [described(by_hand, []), described(DONE, [event(Step.CLOSE, "s is\nat 1.1.0")])]
    assert history_table(told) == [
        "deployment  kind    from   to     state  attempt  opened                took  by     last word",
        "s-2         hand           n3     open   2        2026-01-31T14:25:01Z        alice",
        "s-1         deploy  1.0.0  1.1.0  done   2        2026-01-31T14:25:01Z  2m    alice  s is at 1.1.0",
    ]


def test_a_release_is_told_with_its_configuration() -> None:
    configured = replace(DONE, version="1.0.0", revision="b" * 40, previous_revision="a" * 40)
    told = described(configured, [])
    assert (told["revision"], told["previous_revision"]) == ("b" * 40, "a" * 40)
    assert "  1.0.0 (configuration aaaaaaaaaaaa)  1.0.0 (configuration bbbbbbbbbbbb)  done" in history_table([told])[1]


def test_no_deployment_is_said() -> None:
    assert history_table([]) == ["no deployment on record"]


def test_events_are_told_with_their_place_in_the_chain() -> None:
    entry = Entry(7, "cd", event(Step.PUPPET, "n1: Puppet changed the node", wave=1, duration_ms=3400))
    told = event_values(entry)
    assert (told["seq"], told["hash"]) == (7, "cd")
    assert (told["step"], told["outcome"], told["nodes"]) == ("puppet", "ok", ["n1"])
    names, line = events_table([entry])
    assert names.split() == ["at", "attempt", "wave", "step", "outcome", "took", "nodes", "by", "message"]
    assert line.startswith("  2026-01-31T14:26:00Z  2        1     puppet  ok       3.4s")
    assert line.endswith("bob  n1: Puppet changed the node")


def test_many_nodes_and_long_words_are_cut() -> None:
    nodes = tuple(f"n{number}" for number in range(12))
    line = events_table([Entry(1, "cd", event(Step.PLAN, "x" * 500, nodes=nodes))])[1]
    assert "n0, n1, n2, n3, n4, n5 +6" in line
    assert line.endswith("x" * 119 + "…")
