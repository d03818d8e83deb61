from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.downtime import (
    Change,
    Covered,
    Open,
    Owner,
    is_open,
    owner_of,
    preview,
    to_close,
    to_open,
    told,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.server import Downtime, State

OURS = Owner("tradeapi-2", "tradeapi")
NOW, HOUR = 1_795_896_000, 3600
N1 = Covered("n1", ("disk",))


def state(*downtimes: Downtime) -> State:
    return State(NOW, {"n1": ("disk", "web"), "n2": ()}, downtimes)


def ours(
    service: str = "", *, start: int = NOW - 60, left: int = HOUR, by: Owner = OURS, begun: bool = True
) -> Downtime:
    return Downtime("n1", service, start, NOW + left, "alice", by.comment, begun)


@pytest.mark.parametrize(
    ("comment", "owner"),
    [
        ("tidegate: deployment tradeapi-2 (tradeapi)", OURS),
        ("tidegate: deployment tradeapi-2 (tradeapi) and more", None),
        ("Tidegate was here", None),
        ("", None),
    ],
)
def test_whose_it_is(comment: str, owner: Owner | None) -> None:
    assert owner_of(Downtime("n1", "", 1, 2, "x", comment)) == owner
    assert OURS.comment == "tidegate: deployment tradeapi-2 (tradeapi)"


def test_a_host_that_is_not_in_downtime() -> None:
    stranger = Downtime("n1", "", NOW, NOW + HOUR, "ann", "Ann swaps a disk")
    assert to_open(state(stranger), N1, OURS, HOUR, "alice@ops;box") == [
        f"[{NOW}] SCHEDULE_HOST_DOWNTIME;n1;{NOW};{NOW + HOUR};1;0;0;alice@ops_box;{OURS.comment}",
        f"[{NOW}] SCHEDULE_SVC_DOWNTIME;n1;disk;{NOW};{NOW + HOUR};1;0;0;alice@ops_box;{OURS.comment}",
    ]


def test_all_of_its_services() -> None:
    told = to_open(state(), Covered("n1"), OURS, HOUR, "alice")
    assert [command.split(";")[2] for command in told[1:]] == ["disk", "web"]


def test_one_that_is_open_is_left() -> None:
    seen = state(ours(), ours("disk"))
    assert to_open(seen, N1, OURS, HOUR, "alice") == []
    assert is_open(seen, N1, OURS, HOUR)


def test_one_whose_half_is_over_is_prolonged_and_the_old_one_ends_when_the_new_one_has_begun() -> None:
    near = [ours(left=HOUR // 2 - 1), ours("disk", left=HOUR // 2 - 1)]
    first = to_open(state(*near), N1, OURS, HOUR, "alice")
    assert [command.split(";")[0].split()[1] for command in first] == [
        "SCHEDULE_HOST_DOWNTIME",
        "SCHEDULE_SVC_DOWNTIME",
    ]
    waiting = state(*near, ours(start=NOW, begun=False), ours("disk", start=NOW, begun=False))
    assert to_open(waiting, N1, OURS, HOUR, "alice") == []
    assert not is_open(waiting, N1, OURS, HOUR)
    begun = state(*near, ours(start=NOW), ours("disk", start=NOW))
    assert not is_open(begun, N1, OURS, HOUR)
    assert to_open(begun, N1, OURS, HOUR, "alice") == [
        f"[{NOW - 60}] DEL_DOWNTIME_BY_HOST_NAME;n1;;{NOW - 60};{OURS.comment}"
    ]


def test_a_new_one_never_begins_with_one_that_it_replaces() -> None:
    command = to_open(state(ours(start=NOW, left=60)), N1, OURS, HOUR, "alice")[0]
    assert command.split(";")[2] == str(NOW + 1)


def test_two_that_began_together_stay_until_they_are_closed() -> None:
    twice = state(ours(), ours(), ours("disk"), ours("disk"))
    assert to_open(twice, N1, OURS, HOUR, "alice") == []
    assert is_open(twice, N1, OURS, HOUR)


def test_what_is_closed() -> None:
    superseded = Owner("tradeapi-1", "tradeapi")
    beside = Owner("pricefeed-7", "pricefeed")
    seen = state(ours(by=superseded), ours(by=beside), ours("disk", by=superseded))
    assert to_close(seen, "n1", OURS) == [
        f"[{NOW}] DEL_DOWNTIME_BY_HOST_NAME;n1;;;{OURS.comment}",
        f"[{NOW}] DEL_DOWNTIME_BY_HOST_NAME;n1;;;{superseded.comment}",
    ]
    assert to_close(seen, "gone", OURS) == []


def test_what_opening_would_do() -> None:
    before = (Open("", NOW + 60, OURS.deployment),)
    after = (Open("", NOW + HOUR, OURS.deployment), Open("disk", NOW + HOUR, OURS.deployment))
    assert preview(state(ours(left=60)), N1, OURS, HOUR) == Change(before, after)
    assert not preview(state(ours(), ours("disk")), N1, OURS, HOUR).changed
    assert Change(before, after).until == NOW + HOUR
    assert Change(before, ()).until == 0
    assert str(after[1]) == f"disk until {told(NOW + HOUR)}, tradeapi-2"


@pytest.mark.parametrize("end", [999_999_999_999_999, 10**30])
def test_an_end_that_no_calendar_has_is_told_all_the_same(end: int) -> None:
    assert told(end) == f"{end} s since 1970"
