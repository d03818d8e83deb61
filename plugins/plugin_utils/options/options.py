# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options as an action's user writes them: durations, shares of nodes, lists of names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share, parse_duration

# PATH_MAX (limits.h) counts the NUL at its end.
_LONGEST_PATH = 4095


def seconds(args: Mapping[str, Any], option: str) -> float:
    """A duration option in seconds; `drain.soft` is a suboption. Raises BadInput, which names the option."""
    value: Any = args
    for key in option.split("."):
        value = value[key]
    try:
        return parse_duration(value)
    except ValueError as error:
        raise BadInput(str(error), where=option, remedy="Write it like 500ms, 5s or 2m") from None


def share(args: Mapping[str, Any], key: str, *, where: str) -> Share:
    """An option that is a count of nodes or a share of them. Raises BadInput, which names `where`."""
    try:
        return Share.parse(args[key])
    except ValueError as error:
        raise BadInput(str(error), where=where, remedy="Write it like 60% or 4") from None


def distinct(names: Sequence[str], option: str) -> list[str]:
    """The names, none twice, at least one. Raises BadInput."""
    if not names or len(set(names)) != len(names):
        raise BadInput(f"{option} is {list(names)}", where=option, remedy="Name at least one, and each once")
    return list(names)


def file_path(path: str, option: str) -> str:
    """The path, if the system takes it for one at all, whatever is there. Raises BadInput, which names the option."""
    try:
        size = len(os.fsencode(path))
    except UnicodeEncodeError:
        why = "has a character that no path can have"
    else:
        if "\0" not in path and 0 < size <= _LONGEST_PATH:
            return path
        why = "has a NUL in it" if "\0" in path else f"has {size} bytes; it must have 1 to {_LONGEST_PATH}"
    raise BadInput(f"the path {why}", where=f"{option}: {excerpt(path, 100)}", remedy="Give the path of a file")
