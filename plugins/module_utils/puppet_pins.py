# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pins on the compile servers: written on every server or on none, and read back."""

from __future__ import annotations

import hashlib
import random
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.hiera import (
    FILE_LIMIT,
    HieraFile,
    node_file,
    read_hiera,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node import Node

T = TypeVar("T")
Edit = Callable[[HieraFile], str]
_MOST_THREADS = 16
_TIMEOUT = 60
_CONFLICT = 42
_ROUNDS = 5
# The most seconds that `change` takes: reading, writing and taking back in each round, each with the way there.
LONGEST = _ROUNDS * 3 * (_TIMEOUT + 30.0)
LOCK_FILE = ".tidegate.lock"

# $1 the most bytes of a file, then the files: for each a line, its bytes in Base64 (- if it isn't there). One reading
# of each: a size told first could be another file's by the time that the bytes are read.
_READ = r"""
most=$1; shift
for file; do
  if [ -e "$file" ]; then head -c "$most" "$file" | base64 -w 0 && echo "=" || exit 1; else echo -; fi
done
"""
# $1 a lock file, then for each file: its path, its new size (- to remove it), the SHA-256 sums that it may have now
# (- for no file). The new bytes follow each other on standard input; the sums that are there then are printed.
# Two deployments may raise their services' common values at once: whoever finds another file than it read writes none.
_WRITE = rf"""
set -e
mkdir -p "$(dirname "$1")"; exec 9>"$1"; flock -w 20 9 || {{ echo "$1 is held by another writer" >&2; exit 1; }}; shift
sum() {{ if [ -e "$1" ]; then sha256sum <"$1" | cut -d' ' -f1; else echo -; fi; }}
check() {{
  while [ $# -gt 0 ]; do
    now=$(sum "$1")
    case " $3 " in *" $now "*) ;; *) exit {_CONFLICT} ;; esac
    shift 3
  done
}}
check "$@"
trap 'rm -f "$new"' EXIT
while [ $# -gt 0 ]; do
  if [ "$2" = - ]; then rm -f "$1"
  else
    mkdir -p "$(dirname "$1")"; new=$(mktemp "$(dirname "$1")/.tidegate.XXXXXX"); chmod 644 "$new"
    # Owner and mode stay: common values may be secrets to others on that host.
    [ ! -e "$1" ] || cp -p "$1" "$new"
    head -c "$2" >"$new"; [ "$(wc -c <"$new")" -eq "$2" ]
    mv -f "$new" "$1"
  fi
  sum "$1"
  shift 3
done
"""


class Conflict(DomainError):
    """A file is another one than was read: plan again."""

    reason = "conflict"


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file on one server: its bytes before and after; None is a file that isn't there."""

    server: str
    path: str
    before: bytes | None
    after: bytes | None
    undoing: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything is to be written."""
        return self.before != self.after

    @property
    def undo(self) -> FileChange:
        """What takes it back."""
        return FileChange(self.server, self.path, self.after, self.before, undoing=True)

    @property
    def arguments(self) -> list[str]:
        """For the writing script. Undoing accepts both states: whether the write had happened may be unknown."""
        accepted = [_sum(self.before), *([_sum(self.after)] if self.undoing else [])]
        return [self.path, "-" if self.after is None else str(len(self.after)), " ".join(accepted)]


def read_files(server: Node, paths: list[str]) -> dict[str, bytes | None]:
    """The files' bytes, in one remote call. Raises DomainError for one that can't be read or has over 256 KiB."""
    done = server.sh(_READ, str(FILE_LIMIT + 1), *paths, timeout=_TIMEOUT)
    lines = done.stdout.splitlines()
    if done.rc != 0 or len(lines) != len(paths):
        raise _failed(server, "read", done.stderr)
    found = {path: None if line == b"-" else b64decode(line[:-1]) for path, line in zip(paths, lines, strict=True)}
    for path, data in found.items():
        if data is not None and len(data) > FILE_LIMIT:
            raise _failed(server, "read", f"{path} has more than {FILE_LIMIT} bytes".encode())
    return found


def pins(server: Node, rollout_dir: str, certnames: Iterable[str]) -> dict[str, HieraFile]:
    """What is pinned for these nodes, and by which deployment, by certname; a node without pins has no values."""
    paths = {certname: node_file(rollout_dir, certname) for certname in certnames}
    found = read_files(server, list(paths.values()))
    return {certname: read_hiera(f"{server.name}: {path}", found[path]) for certname, path in paths.items()}


def planned(servers: Mapping[str, Node], edits: Mapping[str, Mapping[str, Edit]]) -> list[FileChange]:
    """What would change: `edits` are by server and path. Nothing is written.

    Raises the first server's error: an unreadable file, a refusal by an edit, an unreachable server.
    """
    texts: dict[str, dict[str, bytes | None]] = {}
    for name, read in _on_each({name: partial(read_files, servers[name], list(edits[name])) for name in edits}).items():
        if isinstance(read, DomainError):
            raise read
        texts[name] = read
    return [
        FileChange(
            name, path, texts[name][path], edit(read_hiera(f"{name}: {path}", texts[name][path])).encode() or None
        )
        for name, paths in edits.items()
        for path, edit in paths.items()
    ]


def change(
    servers: Mapping[str, Node], folders: Mapping[str, str], edits: Mapping[str, Mapping[str, Edit]]
) -> list[FileChange]:
    """Edit the files on every server or on none, and read them back; the changes, also those that change nothing.

    `folders`: each server's rollout folder. Raises DomainError, which names the servers on which a change could
    not be taken back.
    """
    for _ in range(_ROUNDS - 1):
        try:
            return _changed(servers, folders, edits)
        except Conflict:
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 (only so that two writers part)
    return _changed(servers, folders, edits)


def _changed(
    servers: Mapping[str, Node], folders: Mapping[str, str], edits: Mapping[str, Mapping[str, Edit]]
) -> list[FileChange]:
    changes = planned(servers, edits)
    wanted = [change for change in changes if change.changed]
    written = _on_each(
        {name: partial(_write, servers[name], folders[name], _of(name, wanted)) for name in _names(wanted)}
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
    results = _on_each({name: partial(_write, servers[name], folders[name], _of(name, undo)) for name in _names(undo)})
    return [name for name, error in results.items() if error is not None]


def _write(server: Node, folder: str, changes: list[FileChange]) -> None:
    arguments = [argument for change in changes for argument in change.arguments]
    data = b"".join(change.after or b"" for change in changes)
    done = server.sh(_WRITE, f"{folder.rstrip('/')}/{LOCK_FILE}", *arguments, stdin=data, timeout=_TIMEOUT)
    if done.rc == _CONFLICT:
        raise Conflict(
            "another deployment keeps changing the same files",
            where=server.name,
            remedy="Run the same deployment again",
        )
    if done.rc != 0:
        raise _failed(server, "write", done.stderr)
    for change, there in zip(changes, done.text.split(), strict=True):
        if there != _sum(change.after):
            raise DomainError(
                f"{change.path} reads back differently ({there[:12]} for {_sum(change.after)[:12]})",
                where=server.name,
                remedy="Something else writes that file (r10k, a synchronisation?): keep it off the rollout folder",
            )


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


def _failed(server: Node, what: str, stderr: bytes) -> DomainError:
    said = stderr.decode(errors="backslashreplace").strip()[-300:] or "no reason given"
    return DomainError(
        f"can't {what} the rollout layer: {said}",
        where=server.name,
        remedy="Check tidegate_rollout_dir and that the connection's user may write there",
    )


def _sum(data: bytes | None) -> str:
    return "-" if data is None else hashlib.sha256(data).hexdigest()
