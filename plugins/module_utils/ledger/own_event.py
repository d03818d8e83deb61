# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an event of one's own may have: nothing that is nested, and nothing without a limit."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import (
    MAX_INT,
    MAX_ITEMS,
    MAX_KEYS,
    MAX_NAME,
    MAX_TEXT,
)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
# What every event has already.
_TAKEN = frozenset({"event", "id", "at"})


def own_event(event: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as they are sent. Raises BadInput with the field that does not fit."""
    if not 0 < len(event) <= MAX_NAME:
        raise BadInput(f"it has {len(event)} characters, of 1 to {MAX_NAME}", where="event")
    if len(fields) > MAX_KEYS:
        raise BadInput(f"there are {len(fields)}, of at most {MAX_KEYS}", where="fields")
    return {"event": event, **{_named(str(name)): _value(str(name), value) for name, value in fields.items()}}


def _named(name: str) -> str:
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise BadInput(
            f"{name[:60]!r} can't name a field",
            where="fields",
            remedy=f"Use letters, digits and underscores, a letter first, and none of {', '.join(sorted(_TAKEN))}",
        )
    return name


def _value(name: str, value: object) -> object:
    match value:
        case bool():
            return value
        case str() if len(value) <= MAX_TEXT:
            return value
        case int() if abs(value) <= MAX_INT:
            return value
        case float() if math.isfinite(value):
            return value
        case list() if len(value) <= MAX_ITEMS and all(isinstance(each, str) for each in value):
            if sum(map(len, value)) <= MAX_TEXT:
                return value
    # Not the value: what is below a name that looks secret may be in it.
    raise BadInput(
        f"a {type(value).__name__} of {len(str(value))} characters does not fit",
        where=f"fields.{name}",
        remedy=f"A text of at most {MAX_TEXT} characters, a number, a truth value or a list of texts does",
    )
