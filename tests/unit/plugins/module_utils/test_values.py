from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("200ms", 0.2), ("30s", 30), ("2m", 120), ("1h30m", 5400), ("1.5s", 1.5), (" 2m ", 120), ("7d", 604800)],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["30", "", "s", "-1s", "2 m", "1y", "8d", "1e9s", "30sec"])
def test_a_duration_without_a_unit_or_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|seven days"):
        parse_duration(text)


@given(st.integers(min_value=1, max_value=600_000))
def test_a_formatted_duration_reads_back_to_what_it_shows(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=0.51, rel=0.06)


@pytest.mark.parametrize(
    ("value", "total", "floor", "ceiling"),
    [
        ("60%", 6, 4, 3),
        ("25%", 6, 2, 1),
        ("100%", 6, 6, 6),
        ("0%", 6, 0, 0),
        (2, 6, 2, 2),
        ("2", 6, 2, 2),
        ("33.4%", 3, 2, 1),
        ("10%", 10, 1, 1),
        ("70%", 10, 7, 7),
    ],
)
def test_a_floor_is_rounded_up_and_a_ceiling_down(value: str | int, total: int, floor: int, ceiling: int) -> None:
    share = Share.parse(value)
    assert (share.at_least(total), share.at_most(total)) == (floor, ceiling)


@pytest.mark.parametrize("value", ["160%", "-1", "x", "", True, -2, "1.5", "50 %", 10**9])
def test_what_is_no_share_is_refused(value: str | int) -> None:
    with pytest.raises(ValueError, match=r"share|count"):
        Share.parse(value)


def test_a_share_shows_as_it_was_written() -> None:
    assert [str(Share.parse(value)) for value in ("25%", 2, "33.4%")] == ["25%", "2", "33.4%"]
