"""Where nodes were, told from events: the demo's, and those of runs that were killed, held or begun again."""

from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from tests.unit.tidegate.report.recordings import report
from tidegate.report.spells import Attempt, Phase, attempts
from tidegate.report.timeline import ending
from tidegate.report.wording import elapsed, seconds, soft, ticks

S, OK, BAD = Outcome.STARTED, Outcome.CHANGED, Outcome.FAILED


def event(
    step: Step, outcome: Outcome, second: int, attempt: int = 1, duration_ms: int | None = None, **details: str
) -> Event:
    return Event(
        service="s",
        environment="lab",
        deployment="d",
        attempt=attempt,
        step=step,
        outcome=outcome,
        nodes=("n1",),
        at=f"2026-01-31T14:{second // 60:02}:{second % 60:02}.000Z",
        duration_ms=duration_ms,
        details=details,
    )


def way(told: Attempt, node: str = "n1") -> list[tuple[str, float]]:
    track = next(track for track in told.tracks if track.node == node)
    return [(str(spell.phase), spell.seconds) for spell in track.spells]


def joined(second: int, attempt: int = 1) -> list[Event]:
    return [event(Step.JOIN, S, second, attempt), event(Step.JOIN, OK, second + 2, attempt)]


LEFT = [event(Step.PLAN, OK, 0), event(Step.LEAVE, S, 10), event(Step.LEAVE, OK, 20)]
DEPLOYED = [*LEFT, event(Step.PUPPET, S, 30), event(Step.PUPPET, OK, 50), event(Step.NUNIT, S, 51)]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([event(Step.PLAN, OK, 0), event(Step.CLOSE, OK, 9)], [("online", 9)]),
        (LEFT, [("online", 10), ("draining", 10)]),
        ([*LEFT, event(Step.CLOSE, OK, 60)], [("online", 10), ("draining", 10), ("maintenance", 40)]),
        # Health has no beginning of its own in the ledger: it began its duration before.
        (
            [*LEFT, event(Step.HEALTH, OK, 60, duration_ms=30_000), event(Step.CLOSE, OK, 70)],
            [("online", 10), ("draining", 10), ("maintenance", 10), ("testing", 30), ("maintenance", 10)],
        ),
        (
            [
                *DEPLOYED,
                event(Step.NUNIT, OK, 60),
                event(Step.JOIN, S, 61),
                event(Step.JOIN, OK, 63),
                event(Step.CLOSE, OK, 70),
            ],
            [
                *[("online", 10), ("draining", 10), ("maintenance", 10), ("deploying", 21)],
                *[("testing", 10), ("joining", 2), ("joined", 7)],
            ],
        ),
        # Killed in the middle: what was begun goes on as far as anybody knows.
        (
            [*DEPLOYED, event(Step.LOCK, OK, 99)],
            [("online", 10), ("draining", 10), ("maintenance", 10), ("deploying", 21), ("testing", 48)],
        ),
        # Back without having been deployed to: it serves what it served.
        (
            [*LEFT, event(Step.JOIN, S, 40), event(Step.JOIN, OK, 45), event(Step.CLOSE, OK, 50)],
            [("online", 10), ("draining", 10), ("maintenance", 20), ("joining", 5), ("online", 5)],
        ),
        # Begun, as it is written down before the first command, and refused, given up or stopped with all brought back.
        *(
            (
                [event(Step.PLAN, OK, 0), event(Step.LEAVE, S, 5), ended, event(Step.HOLD, OK, 40)],
                [("online", 5), ("draining", 25), ("online", 10)],
            )
            for ended in (
                event(Step.LEAVE, Outcome.REFUSED, 30),
                event(Step.LEAVE, BAD, 30, reason="undone"),
                event(Step.LEAVE, Outcome.STOPPED, 30, reason="stopped"),
            )
        ),
        # What couldn't be undone everywhere is in neither pool for sure.
        (
            [event(Step.PLAN, OK, 0), event(Step.LEAVE, S, 5), event(Step.LEAVE, BAD, 30, reason="stuck")],
            [("online", 5), ("draining", 25)],
        ),
        (
            [*LEFT, event(Step.JOIN, S, 40), event(Step.JOIN, Outcome.REFUSED, 45), event(Step.CLOSE, OK, 50)],
            [("online", 10), ("draining", 10), ("maintenance", 20), ("joining", 5), ("maintenance", 5)],
        ),
        # Refused before it began.
        ([event(Step.PLAN, OK, 0), event(Step.LEAVE, Outcome.REFUSED, 5), event(Step.HOLD, OK, 9)], [("online", 9)]),
    ],
)
def test_a_nodes_way(events: list[Event], expected: list[tuple[str, float]]) -> None:
    (told,) = attempts(events, ["n1"], {}, {})
    assert way(told) == expected
    assert sum(spell for _, spell in way(told)) == told.span


def test_the_next_attempt_begins_where_the_former_ended() -> None:
    held = [*DEPLOYED, event(Step.NUNIT, BAD, 60), event(Step.HOLD, Outcome.HELD, 61)]
    again = [
        event(Step.PLAN, OK, 600, 2),
        event(Step.NUNIT, S, 610, 2),
        event(Step.NUNIT, OK, 620, 2),
        event(Step.JOIN, S, 630, 2),
        event(Step.JOIN, OK, 632, 2),
    ]
    first, second = attempts([*held, *again], ["n1"], {"n1": "out"}, {"n1": 1})
    assert (first.number, ending(first.tracks[0])) == (1, "nunit failed")
    assert way(second)[0] == ("maintenance", 10)
    assert second.span == 32


def test_the_demos_nodes() -> None:
    told = report("done").attempts[0]
    assert [(track.node, track.wave, track.last) for track in told.tracks] == [
        (f"n{number}", wave, Phase.JOINED) for number, wave in zip(range(1, 7), (1, 2, 3, 3, 4, 4), strict=True)
    ]
    assert [band.number for band in told.bands] == [1, 2, 3, 4]
    held = report("held").attempts[0]
    assert [ending(track) for track in held.tracks] == ["nunit failed", *["stayed online"] * 5]


def test_times_as_people_read_them() -> None:
    assert [seconds(value) for value in (None, 0.04, 9.94, 42, 185, 7_800)] == [
        "-",
        "0.0 s",
        "9.9 s",
        "42 s",
        "3 min 5 s",
        "2 h 10 min",
    ]
    assert [elapsed(value) for value in (0, 7, 750, 3_720)] == ["0:00", "0:07", "12:30", "1:02:00"]
    assert ticks(21) == [0, 10, 20]
    assert len(ticks(10**7)) <= 6 and ticks(0.001)[0] == 0


def test_long_words_can_be_broken_and_nothing_else_is_changed() -> None:
    assert soft("a.b <i> x") == "a.b &lt;i&gt; x"
    assert str(soft("x" * 25)) == "xxxxxxxxxx<wbr>xxxxxxxxxx<wbr>xxxxx"
    assert str(soft("\u202ea\nb")) == "\\u202ea b"
