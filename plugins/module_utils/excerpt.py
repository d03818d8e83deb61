# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from outside, shortened and made safe to print."""

from __future__ import annotations


def excerpt(text: str | bytes, limit: int = 200) -> str:
    """The first `limit` characters on one line; control characters (terminal escapes too) are shown escaped.

    Bytes that are not UTF-8 are shown escaped as well.
    """
    if isinstance(text, bytes):
        text = text[: 4 * limit + 4].decode(errors="backslashreplace")
    shown = text.strip()
    cut = shown[:limit] + ("…" if len(shown) > limit else "")
    return "".join(_safe(character) for character in cut)


def _safe(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
