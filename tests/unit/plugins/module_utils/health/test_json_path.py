from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.health.json_path import (
    NotThere,
    look_up,
    parse_json_path,
)

DOCUMENT = {"a": {"b": [10, {"c": None}], "x-y": 1}, "a b": {"dot.key": True, "": 0}, 'q"q': 2}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", DOCUMENT),
        ("$.a.b[0]", 10),
        ("$.a.b[1].c", None),
        ("$.a.x-y", 1),
        ('$["a b"]["dot.key"]', True),
        ("$['a b']['dot.key']", True),
        ('$["a b"][""]', 0),
        (r'$["q\"q"]', 2),
    ],
)
def test_one_place_is_found(path: str, value: object) -> None:
    assert look_up(DOCUMENT, path) == value


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("$.z", "$ has no 'z'"),
        ("$.a.b[2]", "$.a.b has 2 items, so no [2]"),
        ("$.a[0]", "$.a is an object, not a list"),
        ("$.a.b[0].c", "$.a.b[0] is a number, not an object"),
        ("$.a.b[1].c.d", "$.a.b[1].c is null, not an object"),
    ],
)
def test_a_missing_place_tells_how_far_it_went(path: str, told: str) -> None:
    with pytest.raises(NotThere) as caught:
        look_up(DOCUMENT, path)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    "path",
    ["", "a.b", "$.", "$..a", "$.a.*", "$.a[*]", "$.a[-1]", "$.a[0:2]", "$.a[?(@.b)]", "$.a b", '$["a]', "$[a]", "$.a.",
     "$ ", "$.ä", '$["\\x"]', "$" + ".a" * 300],
)  # fmt: skip
def test_all_else_is_refused_with_the_form_that_works(path: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_json_path(path)
    assert '$.status, $.items[0] or $["a b"]' in caught.value.remedy


def test_the_error_points_at_the_place() -> None:
    with pytest.raises(BadInput) as caught:
        parse_json_path("$.a[*].b")
    assert "from position 3: '[*].b'" in caught.value.message


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadInput, NotThere):
        look_up({"a": [1]}, text)


@given(st.dictionaries(st.text(max_size=8), st.integers(), min_size=1))
def test_every_key_can_be_named(document: dict[str, int]) -> None:
    for key, value in document.items():
        assert look_up(document, f"$[{json.dumps(key)}]") == value
