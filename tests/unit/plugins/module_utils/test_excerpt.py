from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt


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
