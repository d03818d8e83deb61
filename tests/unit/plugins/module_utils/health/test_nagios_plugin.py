"""Plugins' answers as the guidelines have them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.health.nagios_plugin import (
    Measure,
    State,
    parse_perfdata,
    parse_range,
    read_answer,
)

# The example of the Nagios Plugin API's documentation.
API_EXAMPLE = b"""DISK OK - free space: / 3326 MB (56%); | /=2643MB;5948;5958;0;5968
/ 15272 MB (77%);
/boot 68 MB (69%);
/var/log 819 MB (84%); | /boot=68MB;88;93;0;98
/home=69357MB;253404;253409;0;253414
/var/log=818MB;970;975;0;980
"""


@pytest.mark.parametrize(
    ("rc", "state", "why"),
    [
        (0, State.OK, ""),
        (1, State.WARNING, ""),
        (2, State.CRITICAL, ""),
        (3, State.UNKNOWN, ""),
        (4, None, "no plugin ends with it"),
        (-9, None, "no plugin ends with it"),
        (126, None, "it can't be executed"),
        (127, None, "there is no such program"),
    ],
)
def test_the_exit_code_is_the_state_and_no_other_is_good(rc: int, state: State | None, why: str) -> None:
    answer = read_answer(rc, b"OK - everything is fine")
    assert (answer.state, answer.why) == (state, why)


def test_first_line_long_output_and_performance_data_of_all_lines() -> None:
    answer = read_answer(0, API_EXAMPLE)
    assert answer.text == "DISK OK - free space: / 3326 MB (56%);"
    assert answer.long_text.splitlines() == ["/ 15272 MB (77%);", "/boot 68 MB (69%);", "/var/log 819 MB (84%);"]
    assert [(m.label, m.value, m.unit) for m in answer.measures] == [
        ("/", 2643, "MB"), ("/boot", 68, "MB"), ("/home", 69357, "MB"), ("/var/log", 818, "MB"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "measures"),
    [
        ("", ()),
        ("time=0.003s;;;0.000;10.000 size=123B;;;0", (Measure("time", 0.003, "s"), Measure("size", 123, "B"))),
        ("'two words'=1", (Measure("two words", 1.0),)),
        ("'it''s'=5%;80;90", (Measure("it's", 5.0, "%"),)),
        ("load=U", (Measure("load", None),)),
        ("a=-1.5e3c b=.5", (Measure("a", -1500.0, "c"), Measure("b", 0.5))),
        ("a=1 nonsense b=2", (Measure("a", 1.0),)),
        ("a==1", ()),
        # A decimal comma is no number of the guidelines'.
        ("a=1,5", ()),
    ],
)
def test_performance_data(text: str, measures: tuple[Measure, ...]) -> None:
    assert parse_perfdata(text) == measures


@given(st.text(max_size=300), st.integers(-300, 300))
def test_no_output_breaks_the_reader(text: str, rc: int) -> None:
    answer = read_answer(rc, text.encode("utf-8", "surrogatepass"))
    assert (answer.state is None) == (not 0 <= rc <= 3)


def test_what_stands_in_standard_error_is_told_when_nothing_else_is() -> None:
    assert read_answer(3, b"", b"check_http: invalid option\n").text == "check_http: invalid option"


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        ("10", (0, 5, 10), (-1, 10.1)),
        ("10:", (10, 1e9), (9.9, -5)),
        ("~:10", (-1e9, 10), (10.1,)),
        ("10:20", (10, 15, 20), (9, 21)),
        ("@10:20", (9, 21), (10, 15, 20)),
        ("-5:-1", (-3,), (0,)),
        ("0:0.5", (0.25,), (0.6,)),
    ],
)
def test_ranges_alert_as_the_guidelines_say(text: str, good: tuple[float, ...], bad: tuple[float, ...]) -> None:
    limit = parse_range(text)
    assert [value for value in good if limit.alerts(value)] == []
    assert [value for value in bad if not limit.alerts(value)] == []


@pytest.mark.parametrize("text", ["", ":", "@", "20:10", "ten", "10:20:30", "5%", "~"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is not a threshold range"):
        parse_range(text)
