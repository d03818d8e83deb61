# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text in columns, each as wide as what stands in it."""

from __future__ import annotations

from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]], indent: str = "", widest: int = 60) -> list[str]:
    """The rows as lines. The last cell of a row is never padded, and no cell wider than `widest` sets a width."""
    widths: dict[int, int] = {}
    for row in rows:
        for place, cell in enumerate(row[:-1]):
            widths[place] = max(widths.get(place, 0), len(cell) if len(cell) <= widest else 0)
    return [indent + "  ".join(_padded(row, widths)).rstrip() for row in rows]


def _padded(row: Sequence[str], widths: dict[int, int]) -> list[str]:
    return [*(cell.ljust(widths[place]) for place, cell in enumerate(row[:-1])), *row[-1:]]
