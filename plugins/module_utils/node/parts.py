# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a long file from a node, a few megabytes at a time."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import READ_LIMIT, Completed, Node
from ansible_collections.tidegate.delivery.plugins.module_utils.node.readable_file import LOOK, is_there

_FIRST = LOOK + 'echo "$size"; head -c "$3" "$1"'
# tail seeks, so that a part costs what it holds.
_NEXT = 'tail -c "+$2" "$1" | head -c "$3"'


def read_in_parts(node: Node, path: str, limit: int, part: int = READ_LIMIT) -> Iterator[bytes] | None:
    """The file's bytes, one command for every `part` of them; None when there is no such file.

    Raises Unreachable, and BadInput when it is larger than `limit` bytes, can't be read, or is another in the middle.
    """
    done = node.sh(_FIRST, path, str(limit), str(part))
    if not is_there(done.rc, path, limit, node.name):
        return None
    size, _, first = _read(done, node, path).partition(b"\n")
    return _parts(node, path, int(size), part, first)


def _parts(node: Node, path: str, size: int, part: int, data: bytes) -> Iterator[bytes]:
    at = 0
    while True:
        if len(data) != min(part, size - at):
            raise BadInput(f"{path} changes while it is read", where=node.name, remedy="Wait for its writer's end")
        yield data
        at += len(data)
        if at >= size:
            return
        data = _read(node.sh(_NEXT, path, str(at + 1), str(part)), node, path)


def _read(done: Completed, node: Node, path: str) -> bytes:
    if done.rc != 0:
        reason = done.stderr.decode(errors="backslashreplace").strip()[-300:] or f"exit code {done.rc}"
        raise BadInput(f"can't read {path}: {reason}", where=node.name, remedy="Check the path and its permissions")
    return done.stdout
