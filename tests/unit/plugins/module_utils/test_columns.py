from __future__ import annotations

from collections.abc import Sequence

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.columns import columns


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ([], []),
        ([["a", "b"], ["long", "c"]], ["a     b", "long  c"]),
        ([["a", "", ""], ["b", "cc", "d"]], ["a", "b  cc  d"]),
        ([["a", "b"], ["alone"]], ["a  b", "alone"]),
        ([["x" * 70, "b"], ["a", "c"]], ["x" * 70 + "  b", "a  c"]),
    ],
)
def test_columns_are_as_wide_as_what_stands_in_them(rows: Sequence[Sequence[str]], lines: list[str]) -> None:
    assert columns(rows) == lines


def test_lines_can_be_indented() -> None:
    assert columns([["a", "b"]], "  ") == ["  a  b"]
