# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking on a node, before a file is read, whether there is one and whether it is too large."""

from __future__ import annotations

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput

_ABSENT, _TOO_LARGE, _NOT_A_FILE = 44, 45, 46
# A size that can't be told is no large one: wc has said why.
LOOK = (
    f'[ -e "$1" ] || exit {_ABSENT}; [ -f "$1" ] || exit {_NOT_A_FILE}; size=$(wc -c <"$1") || exit 1; '
    f'[ "$size" -le "$2" ] || exit {_TOO_LARGE}; '
)
"""The beginning of a shell script that reads the file $1, of at most $2 bytes; its size is then in `size`."""


def is_there(rc: int, path: str, limit: int, where: str) -> bool:
    """Whether such a script, which ended so, found something at `path`.

    Raises BadInput when that is no file or larger than `limit` bytes. Other ends are for its caller to judge.
    """
    if rc == _TOO_LARGE:
        raise BadInput(f"{path} is larger than {limit} bytes", where=where, remedy="Look at the file")
    if rc == _NOT_A_FILE:
        raise BadInput(f"{path} is not a file", where=where, remedy="Look at what is there")
    return rc != _ABSENT
