from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.silence import Silence


class Time:
    now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def silence(patience: float) -> tuple[Silence, Time]:
    time = Time()
    return Silence(patience, lambda: time.now, time.sleep), time


def test_without_patience_the_first_error_is_raised() -> None:
    borne, time = silence(0)
    with pytest.raises(OSError, match="gone"):
        borne.bear(OSError("gone"))
    assert time.now == 0


def test_errors_in_a_row_are_borne_for_as_long_as_it_says_and_an_answer_begins_anew() -> None:
    borne, time = silence(3)
    for _ in range(2):
        for _ in range(3):
            borne.bear(OSError("gone"))
        assert borne.begun
        borne.over()
        assert not borne.begun
        borne.give_up()
    assert time.now == 6
    with pytest.raises(OSError, match="for good"):
        for text in ("gone", "gone", "gone", "for good"):
            borne.bear(OSError(text))


def test_who_gives_up_says_why_there_was_no_answer() -> None:
    borne, _time = silence(60)
    borne.bear(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        borne.give_up()
