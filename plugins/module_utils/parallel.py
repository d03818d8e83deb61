# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same for several hosts at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError

Answer = TypeVar("Answer")
_MOST_THREADS = 64


def in_parallel(work: Callable[[str], Answer], names: Sequence[str]) -> dict[str, Answer | DomainError]:
    """`work(name)` for all names at once; a DomainError is that name's answer and ends no other's."""

    def guarded(name: str) -> Answer | DomainError:
        try:
            return work(name)
        except DomainError as error:
            return error

    if not names:
        return {}
    with ThreadPoolExecutor(max_workers=min(len(names), _MOST_THREADS)) as pool:
        return dict(zip(names, pool.map(guarded, names), strict=True))


def rounds(count: int) -> int:
    """How many times as long as one it takes to do `count` things in parallel, at the most."""
    return math.ceil(count / _MOST_THREADS)
