"""What stands in metric names and tags: letters, digits, `_` and `-`, and never too many of them.

A dot would be another level, `*{}[]` mean something to whoever asks, `;` makes a tagged series, and a blank ends the
name on carbon's line. A name that needed a change keeps a hash of what it was, so that no two become one.
"""

from __future__ import annotations

import hashlib
import re

# A tag of graphite-web has 50 characters: the longest kind before a name is `environment:`.
MAX_PART = 38
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")
_HASH = 8
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def part(text: str, most: int = MAX_PART) -> str:
    """A text as one part of a name, at most so long; `_` for an empty one, which no other text becomes."""
    if not text:
        return "_"
    if len(text) <= most and _PLAIN.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_HASH]
    return f"{_FOREIGN.sub('_', text)[: most - _HASH - 1]}-{digest}"


def is_name(text: str) -> bool:
    """Whether it is a metric's name, or the beginning of one: parts with dots between them."""
    return _NAME.fullmatch(text) is not None
