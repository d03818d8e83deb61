# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pins on the compile servers, or on the nodes themselves: written everywhere or nowhere, and read back.

"Server" is below whoever has the files: a compile server, or with `Place.FACT` each node for itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import HieraFile
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.pin_files import (
    TIMEOUT,
    Conflict,
    FileChange,
    read_files,
    write_files,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.place import Place

T = TypeVar("T")
Edit = Callable[[HieraFile], str]
_MOST_THREADS = 16
_ROUNDS = 5
# The most seconds that `change` takes: reading, writing and taking back in each round, each with the way there.
LONGEST = _ROUNDS * 3 * (TIMEOUT + 30.0)


def pins(server: Node, paths: Iterable[str], place: Place = Place.HIERA) -> dict[str, HieraFile]:
    """What is pinned in these files, and by which deployment, by path; one that isn't there has no values."""
    found = read_files(server, list(paths))
    return {path: place.read(f"{server.name}: {path}", data) for path, data in found.items()}


def planned(
    servers: Mapping[str, Node], edits: Mapping[str, Mapping[str, Edit]], place: Place = Place.HIERA
) -> list[FileChange]:
    """What would change: `edits` are by server and path. Nothing is written.

    Raises the first server's error: an unreadable file, a refusal by an edit, an unreachable server.
    """
    texts: dict[str, dict[str, bytes | None]] = {}
    for name, read in _on_each({name: partial(read_files, servers[name], list(edits[name])) for name in edits}).items():
        if isinstance(read, DomainError):
            raise read
        texts[name] = read
    return [
        FileChange(name, path, texts[name][path], _edited(place, f"{name}: {path}", texts[name][path], edit))
        for name, paths in edits.items()
        for path, edit in paths.items()
    ]


def _edited(place: Place, path: str, data: bytes | None, edit: Edit) -> bytes | None:
    file = place.read(path, data)
    text = edit(file)
    return data if text == file.text and text else place.written(text)


def change(
    servers: Mapping[str, Node],
    folders: Mapping[str, str],
    edits: Mapping[str, Mapping[str, Edit]],
    place: Place = Place.HIERA,
) -> list[FileChange]:
    """Edit the files on every server or on none, and read them back; the changes, also those that change nothing.

    `folders`: each server's folder of pins. Raises DomainError, which names the servers on which a change could
    not be taken back.
    """
    for _ in range(_ROUNDS - 1):
        try:
            return _changed(servers, folders, edits, place)
        except Conflict:
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 (only so that two writers part)
    return _changed(servers, folders, edits, place)


def _changed(
    servers: Mapping[str, Node], folders: Mapping[str, str], edits: Mapping[str, Mapping[str, Edit]], place: Place
) -> list[FileChange]:
    changes = planned(servers, edits, place)
    wanted = [change for change in changes if change.changed]
    written = _on_each(
        {name: partial(write_files, servers[name], folders[name], _of(name, wanted)) for name in _names(wanted)}
    )
    errors = {name: error for name, error in written.items() if error is not None}
    if errors:
        # A conflict is found before the first byte is written; any other error may have come after the last one.
        touched = [change for change in wanted if not isinstance(errors.get(change.server), Conflict)]
        raise _undone(next(iter(errors.values())), _taken_back(servers, folders, touched))
    return changes


def _undone(error: DomainError, stuck: list[str]) -> DomainError:
    if stuck:
        return DomainError(
            f"{error.message.rstrip('.')}; what was written could not be taken back on {', '.join(stuck)}",
            where=error.where,
            remedy=f"Look at {', '.join(stuck)}: its files may differ from the others'",
        )
    told = f"{error.message.rstrip('.')}; nothing is changed on any server"
    return (Conflict if isinstance(error, Conflict) else DomainError)(told, where=error.where, remedy=error.remedy)


def _taken_back(servers: Mapping[str, Node], folders: Mapping[str, str], changes: list[FileChange]) -> list[str]:
    """Bring the state before back; the servers on which that failed."""
    undo = [change.undo for change in changes]
    results = _on_each(
        {name: partial(write_files, servers[name], folders[name], _of(name, undo)) for name in _names(undo)}
    )
    return [name for name, error in results.items() if error is not None]


def _on_each(work: Mapping[str, Callable[[], T]]) -> dict[str, T | DomainError]:
    """All at once, each to its end; a DomainError is that server's answer."""

    def guarded(each: Callable[[], T]) -> T | DomainError:
        try:
            return each()
        except DomainError as error:
            return error

    with ThreadPoolExecutor(max_workers=max(1, min(len(work), _MOST_THREADS))) as pool:
        return dict(zip(work, pool.map(guarded, work.values()), strict=True))


def _names(changes: list[FileChange]) -> list[str]:
    return list(dict.fromkeys(change.server for change in changes))


def _of(server: str, changes: list[FileChange]) -> list[FileChange]:
    return [change for change in changes if change.server == server]
