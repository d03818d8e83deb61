# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from outside, shortened and made safe to print."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# What a terminal obeys, or what makes text look like other text: control characters (C0, DEL, C1) but for tab and end
# of line, what turns the writing direction, other separators of lines, and halves of characters, which can't be
# written at all.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def excerpt(text: str | bytes, limit: int = 200) -> str:
    """The first `limit` characters on one line; control characters (terminal escapes too) are shown escaped.

    Bytes that are not UTF-8 are shown escaped as well.
    """
    if isinstance(text, bytes):
        text = text[: 4 * limit + 4].decode(errors="backslashreplace")
    shown = text.strip()
    cut = shown[:limit] + ("…" if len(shown) > limit else "")
    return "".join(_safe(character) for character in cut)


def printable(text: str) -> str:
    """All of it, lines and tabs included, with what a terminal would obey shown escaped."""
    return _OBEYED.sub(lambda found: _escaped(found[0]), text.replace("\r\n", "\n"))


def printable_value(value: Any) -> Any:  # noqa: ANN401
    """The same structure with all texts in it printable, keys included."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable_value(key): printable_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [printable_value(each) for each in value]
    return value


def printable_json(document: str) -> str:
    """A JSON document that says the same without such characters."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def _safe(character: str) -> str:
    return character if character.isprintable() else _escaped(character)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()
