"""Parts of metric names and tags, whatever a name may be."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.shipping.graphite.names import MAX_PART, is_name, part

ALLOWED = re.compile(r"[A-Za-z0-9_-]+")


@pytest.mark.parametrize("text", ["tradeapi", "trade-api_2", "X", "9", "a" * MAX_PART])
def test_a_plain_name_stays_as_it_is(text: str) -> None:
    assert part(text) == text


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("trade.api", "trade_api-"),
        ("trade api", "trade_api-"),
        ("a/../b", "a____b-"),
        ("größe", "gr__e-"),
        ("a;tag=b", "a_tag_b-"),
        ("x\n1 2", "x_1_2-"),
        ("{*}[?]", "______-"),
        ("_hidden", "_hidden-"),
        ("-dash", "-dash-"),
        ("a" * 300, "a" * (MAX_PART - 9) + "-"),
    ],
)
def test_any_other_keeps_a_hash_of_what_it_was(text: str, begins: str) -> None:
    made = part(text)
    assert made.startswith(begins)
    assert re.fullmatch(r"[0-9a-f]{8}", made.removeprefix(begins))
    assert len(made) <= MAX_PART


def test_an_empty_name_is_like_no_other() -> None:
    assert part("") == "_"
    assert part("_") != "_"


@given(st.text(), st.integers(min_value=20, max_value=MAX_PART))
def test_whatever_it_is_it_fits(text: str, most: int) -> None:
    made = part(text, most)
    assert ALLOWED.fullmatch(made) and len(made) <= most
    assert is_name(made)


@given(st.lists(st.text(alphabet="ab._ /", min_size=1, max_size=6), unique=True))
def test_no_two_names_become_one(texts: list[str]) -> None:
    assert len({part(text) for text in texts}) == len(texts)


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a b", "a\n", "a;b", "ü"])
def test_what_no_metric_is_named(text: str) -> None:
    assert not is_name(text)
