"""Waves as tables of events: (second, step, outcome, nodes, own seconds, seconds that the step took)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.timings import WaveTimes, timings

Row = tuple[float, str, str, str, float | None, float | None]
_BEGAN = datetime(2026, 1, 31, 14, 25, 1, tzinfo=UTC)


def events(*rows: Row, attempt: int = 1, wave: int = 1, begun: str = "n1", start: float = 0.0) -> list[Event]:
    """A wave that begins at second `start` (recorded half a second later) and these."""
    opening = _event((start + 0.5, "wave", "ok", begun, None, 0.5), attempt, wave, outcome="begun")
    return [opening, *(_event(row, attempt, wave, **_told(row)) for row in rows)]


def _told(row: Row) -> dict[str, Any]:
    own = {} if row[4] is None else {"own_s": row[4]}
    return {**own, "outcome": "joined"} if row[1] == "wave" else own


def _event(row: Row, attempt: int, wave: int, **details: Any) -> Event:
    second, step, outcome, nodes, _own, took = row
    at = (_BEGAN + timedelta(seconds=second)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Event(
        service="s",
        environment="lab",
        deployment="d1",
        attempt=attempt,
        step=Step(step),
        outcome=Outcome(outcome),
        at=at,
        site="main",
        wave=wave,
        nodes=tuple(nodes.split()),
        duration_ms=None if took is None else round(took * 1000),
        details=details,
    )


def one(*rows: Row, begun: str = "n1") -> WaveTimes:
    (found,) = timings(events(*rows, begun=begun))
    return found


def test_one_node() -> None:
    found = one(
        (1, "freeze", "changed", "n1", 0.3, 0.4),
        (3, "leave", "changed", "n1", 1.5, 2.0),
        (10, "puppet", "started", "n1", None, None),
        (14, "puppet", "changed", "n1", 5.2, 9.0),
        (15, "release", "ok", "n1", 0.1, 0.3),
        (16, "health", "ok", "n1", 0.9, 1.0),
        (20, "nunit", "ok", "n1", 2.3, 4.0),
        (21, "warmup", "ok", "n1", 0.8, 1.0),
        (22, "release", "ok", "n1", 0.1, 0.3),
        (25, "join", "changed", "n1", 2.9, 3.0),
        (25.5, "thaw", "changed", "n1", 0.2, 0.3),
        (26, "wave", "ok", "n1", None, None),
    )
    assert found.outcome == "joined"
    assert found.wall_s == 26.0
    assert found.own_s == {"drain": 1.5, "puppet": 5.2, "tests": 2.3, "warmup": 0.8}
    assert found.tidegate_added_s == 16.2
    assert found.waits_s == {"freeze": 0.5, "health": 1.1, "join": 2.9}
    assert found.slowest == {}


def test_of_several_nodes_each_step_counts_its_slowest() -> None:
    """n1 is slow in Puppet, n2 in the tests: both delay the wave, since all wait for all at each step."""
    found = one(
        (3, "leave", "changed", "n1 n2", 1.0, 2.0),
        (9, "puppet", "changed", "n2", 2.0, 2.5),
        (14, "puppet", "changed", "n1", 8.0, 9.0),
        (16, "nunit", "ok", "n1", 1.0, 2.0),
        (20, "nunit", "ok", "n2", 5.0, 6.0),
        (30, "wave", "ok", "n1 n2", None, None),
        begun="n1 n2",
    )
    assert found.own_s == {"drain": 1.0, "puppet": 8.0, "tests": 5.0, "warmup": 0.0}
    assert found.tidegate_added_s == 16.0
    assert found.slowest == {"puppet": "n1", "tests": "n2"}  # they drained together
    assert found.nodes == ("n1", "n2")


def test_services_of_one_node_are_tested_one_after_the_other() -> None:
    found = one(
        (5, "nunit", "ok", "n1", 2.0, 2.5),
        (9, "nunit", "ok", "n1", 3.0, 3.5),
        (10, "nunit", "ok", "n2", 4.0, 4.5),
        (20, "wave", "ok", "n1 n2", None, None),
        begun="n1 n2",
    )
    assert (found.own_s["tests"], found.slowest["tests"]) == (5.0, "n1")


@pytest.mark.parametrize(
    ("own", "took", "counted"),
    [
        (30.0, 4.0, 4.0),  # adopted: it had run for long when this attempt came
        (3.0, 4.0, 3.0),
        (3.0, None, 3.0),
        (-1.0, 4.0, 0.0),
        (None, 4.0, 0.0),
    ],
)
def test_what_was_adopted_counts_for_as_long_as_it_was_waited_for(
    own: float | None, took: float | None, counted: float
) -> None:
    found = one((5, "puppet", "changed", "n1", own, took), (10, "wave", "ok", "n1", None, None))
    assert found.own_s["puppet"] == counted


def test_observation_shows_when_there_was_one() -> None:
    assert "observation" not in one((10, "wave", "ok", "n1", None, None)).own_s
    observed = one((9, "observe", "ok", "n1", 5.0, 5.1), (10, "wave", "ok", "n1", None, None))
    assert observed.own_s["observation"] == 5.0
    assert observed.tidegate_added_s == 5.0


@pytest.mark.parametrize(
    ("last", "outcome"),
    [("failed", "held"), ("stopped", "stopped"), ("unreachable", "held"), ("refused", "held")],
)
def test_a_held_wave_ends_when_it_is_held(last: str, outcome: str) -> None:
    found = one((5, "puppet", last, "n1", 4.0, 4.5), (8, "hold", "held", "n1", None, None))
    assert (found.outcome, found.wall_s, found.own_s["puppet"]) == (outcome, 8.0, 4.0)


def test_a_wave_that_nobody_ended_was_cut_off_at_its_last_word() -> None:
    found = one((3, "leave", "changed", "n1", 1.0, 2.0), (5, "puppet", "started", "n1", None, None))
    assert (found.outcome, found.wall_s) == ("cut_off", 5.0)


def test_a_wave_that_only_began() -> None:
    assert (one().outcome, one().wall_s) == ("cut_off", 0.5)


def test_each_wave_of_each_attempt_has_its_own() -> None:
    first = events((5, "puppet", "failed", "n1", 4.0, 4.5), (8, "hold", "held", "n1", None, None))
    again = events(
        (100, "puppet", "changed", "n1", 2.0, 2.5), (110, "wave", "ok", "n1", None, None), attempt=2, start=90
    )
    rows: list[Row] = [(120, "leave", "changed", "n2", 7.0, 8.0), (130, "wave", "ok", "n2", None, None)]
    other = events(*rows, attempt=2, wave=2, begun="n2", start=111)
    found = timings([*first, *again, *other])
    assert [(each.attempt, each.wave, each.outcome) for each in found] == [
        (1, 1, "held"),
        (2, 1, "joined"),
        (2, 2, "joined"),
    ]
    assert [each.own_s["puppet"] for each in found] == [4.0, 2.0, 0.0]
    assert (found[2].own_s["drain"], found[2].wall_s) == (7.0, 19.0)


def test_more_than_the_wall_is_never_added() -> None:
    found = one((5, "puppet", "changed", "n1", 20.0, None), (10, "wave", "ok", "n1", None, None))
    assert found.tidegate_added_s == 0.0


def test_as_json_has_it() -> None:
    told = one((5, "puppet", "changed", "n1", 3.0, 4.0), (10, "wave", "ok", "n1", None, None)).as_dict()
    assert told == {
        "attempt": 1,
        "wave": 1,
        "site": "main",
        "nodes": ["n1"],
        "outcome": "joined",
        "wall_s": 10.0,
        "drain_s": 0.0,
        "puppet_s": 3.0,
        "tests_s": 0.0,
        "warmup_s": 0.0,
        "tidegate_added_s": 7.0,
        "slowest": {},
        "waits_s": {},
    }


def test_no_wave_no_times() -> None:
    assert timings([]) == []
