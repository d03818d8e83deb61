# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A case in words: its name, with and without arguments, and what it says, alone and as one of many."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import Case

SHOWN = 5
_MESSAGE = 300
# Texts and characters in quotation marks, in which parentheses mean nothing; parentheses; and what is between.
_PIECE = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[()]|[^()"']+|["']""")


def without_arguments(name: str) -> str:
    """`Trade.Cases` of `Trade.Cases(1,"a")`, of `Trade("EUR").Cases(1)` and of `Trade.Cases (Data Row 1)`.

    So a fixture's name stands for none of its tests. Where it can't be told what the arguments are, the name as it is.
    """
    kept, depth = "", 0
    for piece in _PIECE.findall(name) if "(" in name else [name]:
        if piece in ("(", ")"):
            depth += 1 if piece == "(" else -1
        elif not depth:
            kept += piece
        if depth < 0:
            return name
    return name if depth else kept.rstrip()


def first_line(case: Case) -> str:
    """What the case says first, on one line, bounded."""
    if not case.message:
        return case.outcome.value
    # An assertion's own two lines, expected and found, belong together.
    return excerpt(" ".join(line.strip() for line in case.message.splitlines()[:4]), _MESSAGE)


def told_of(bad: Sequence[Case], total: int) -> str:
    """The first of these cases by name and what they say, and how many more of `total` there are."""
    told = [f"{excerpt(case.name, 150)}: {first_line(case)}" for case in bad[:SHOWN]]
    return "; ".join([*told, *_more(len(told), total)])


def listed(names: Sequence[str], total: int) -> str:
    """These names, and how many more of `total` there are."""
    return ", ".join([*names, *_more(len(names), total)])


def _more(shown: int, total: int) -> list[str]:
    return [f"and {total - shown} more"] if total > shown else []
