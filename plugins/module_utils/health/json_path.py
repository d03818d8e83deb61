# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small, strict subset of JSONPath: one place in a document, never a search."""

from __future__ import annotations

import json
import re

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput

Step = str | int
_STEP = re.compile(r'\.([A-Za-z_][\w-]*)|\[(\d{1,6})\]|\[("(?:[^"\\]|\\.)*")\]|\[\'([^\'\\]*)\'\]', re.ASCII)
_MAX_LENGTH = 500
_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


class NotThere(Exception):
    """The document has nothing at the path; the text says how far it went."""


def parse_json_path(text: str) -> tuple[Step, ...]:
    """The steps of `$.a.b`, `$.a[0]` or `$["a b"]`; `$` alone is the whole document.

    Wildcards, filters, slices and negative indexes are refused: a check reads exactly one place. Raises BadInput.
    """
    if len(text) > _MAX_LENGTH or not text.startswith("$"):
        raise _refused(text, 0)
    steps: list[Step] = []
    position = 1
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            raise _refused(text, position)
        steps.append(_step(text, match))
        position = match.end()
    return tuple(steps)


def look_up(document: object, path: str) -> object:
    """The value at `path`. Raises BadInput for a malformed path, NotThere when the document has no such place."""
    here = document
    walked = "$"
    for step in parse_json_path(path):
        here = _go(here, step, walked)
        walked += f"[{step}]" if isinstance(step, int) else f"[{json.dumps(step)}]" if "." in step else f".{step}"
    return here


def _step(text: str, match: re.Match[str]) -> Step:
    name, index, quoted, plain = match.groups()
    if index is not None:
        return int(index)
    if quoted is None:
        return name if name is not None else plain
    try:
        return str(json.loads(quoted, strict=False))
    except ValueError:
        raise _refused(text, match.start()) from None


def _go(here: object, step: Step, walked: str) -> object:
    if isinstance(step, int):
        if not isinstance(here, list):
            raise NotThere(f"{walked} is {_KINDS[type(here)]}, not a list")
        if step >= len(here):
            raise NotThere(f"{walked} has {len(here)} items, so no [{step}]")
        return here[step]
    if not isinstance(here, dict):
        raise NotThere(f"{walked} is {_KINDS[type(here)]}, not an object")
    if step not in here:
        raise NotThere(f"{walked} has no {step!r}")
    return here[step]


def _refused(text: str, position: int) -> BadInput:
    shown = text if len(text) <= 80 else text[:80] + "…"
    place = (
        "it must begin with $" if position == 0 else f"can't read it from position {position}: {text[position:][:20]!r}"
    )
    return BadInput(
        f"{shown!r} is not a path to one place in JSON; {place}",
        where="JSON path",
        remedy='Write it like $.status, $.items[0] or $["a b"]; wildcards and filters are not supported',
    )
