from __future__ import annotations

import json

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import (
    excerpt,
    printable,
    printable_json,
    printable_value,
)


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("plain", 10, "plain"),
        ("  ends\n", 10, "ends"),
        ("abcdef", 3, "abc…"),
        ("red \x1b[31m", 20, r"red \x1b[31m"),
        ("two\nlines\ttab\r", 20, r"two\nlines\ttab"),
        ("bidi \u202e", 20, r"bidi \u202e"),
        ("lone \ud800", 20, r"lone \ud800"),
        (b"bytes \xff\x00", 20, "bytes \\xff\\x00"),
        ("größe", 20, "größe"),
        (b"", 5, ""),
    ],
)
def test_it_is_short_and_safe(text: str | bytes, limit: int, shown: str) -> None:
    assert excerpt(text, limit) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("of Windows\r\n", "of Windows\n"),
        ("n1: done\rn1: failed", r"n1: done\rn1: failed"),
        ("\x1b]0;title\x07\x1b[2J", r"\x1b]0;title\x07\x1b[2J"),
        ("C1 \x9b31m DEL \x7f", r"C1 \x9b31m DEL \x7f"),
        ("turned \u202e\u2066", r"turned \u202e\u2066"),
        ("half \ud800", r"half \ud800"),
        ("a\u00a0größe of 東京 is ✓", "a\u00a0größe of 東京 is ✓"),
    ],
)
def test_nothing_that_a_terminal_obeys_is_left(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown
    assert printable_value({text: [text, (text,), 7]}) == {shown: [shown, [shown], 7]}


def test_a_document_says_the_same_without_them() -> None:
    document = {"by": "\x1b[31m\x9b\x7f\u202e", "größe": 1}
    told = printable_json(json.dumps(document, ensure_ascii=False))
    assert json.loads(told) == document
    assert printable(told) == told
    assert "größe" in told
