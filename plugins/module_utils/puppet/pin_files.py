# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of pins on one server or node: read, written in one rename if they are what was read, and read back."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import FILE_LIMIT
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode

# Of reading or of writing all files of one server, seconds.
TIMEOUT = 60
LOCK_FILE = ".tidegate.lock"
_CONFLICT = 42

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
        """For the writing script."""
        return [self.path, "-" if self.after is None else str(len(self.after)), " ".join(self.accepted)]

    @property
    def accepted(self) -> list[str]:
        """The sums that the file may have now. Undoing accepts both: whether the write had happened may be unknown."""
        return [_sum(self.before), *([_sum(self.after)] if self.undoing else [])]


def read_files(server: Node, paths: list[str]) -> dict[str, bytes | None]:
    """The files' bytes, in one remote call. Raises DomainError for one that can't be read or has over 256 KiB."""
    if isinstance(server, WindowsNode):
        return server.read_all(paths, limit=FILE_LIMIT)
    done = server.sh(_READ, str(FILE_LIMIT + 1), *paths, timeout=TIMEOUT)
    lines = done.stdout.splitlines()
    if done.rc != 0 or len(lines) != len(paths):
        raise _failed(server, "read", done.stderr)
    found = {path: None if line == b"-" else b64decode(line[:-1]) for path, line in zip(paths, lines, strict=True)}
    for path, data in found.items():
        if data is not None and len(data) > FILE_LIMIT:
            raise _failed(server, "read", f"{path} has more than {FILE_LIMIT} bytes".encode())
    return found


def write_files(server: Node, folder: str, changes: Sequence[FileChange]) -> None:
    """Write these changes of one server, and read them back. `folder` has its lock file.

    Raises Conflict, before the first byte is written, when a file is another one than was read; DomainError when it
    could not be written or reads back differently.
    """
    sums = _on_windows(server, changes) if isinstance(server, WindowsNode) else _by_script(server, folder, changes)
    for change, there in zip(changes, sums, strict=True):
        if there != _sum(change.after):
            raise DomainError(
                f"{change.path} reads back differently ({there[:12]} for {_sum(change.after)[:12]})",
                where=server.name,
                remedy="Something else writes that file (r10k, a synchronisation?): keep it off that folder",
            )


def _by_script(server: Node, folder: str, changes: Sequence[FileChange]) -> list[str]:
    """The files' SHA-256 sums after the writes."""
    arguments = [argument for change in changes for argument in change.arguments]
    data = b"".join(change.after or b"" for change in changes)
    done = server.sh(_WRITE, f"{folder.rstrip('/')}/{LOCK_FILE}", *arguments, stdin=data, timeout=TIMEOUT)
    if done.rc == _CONFLICT:
        raise _conflict(server)
    if done.rc != 0:
        raise _failed(server, "write", done.stderr)
    return done.text.split()


def _on_windows(server: WindowsNode, changes: Sequence[FileChange]) -> list[str]:
    """As `_by_script`, without a lock: between looking and writing another writer would be overwritten.

    Whoever it is reads its own pin back, and the release that a node serves is read back before it joins.
    """
    paths = [change.path for change in changes]
    now = server.read_all(paths, limit=FILE_LIMIT)
    if any(_sum(now[change.path]) not in change.accepted for change in changes):
        raise _conflict(server)
    for change in changes:
        if change.after is not None:
            server.write(change.path, change.after)
        elif now[change.path] is not None:
            server.remove(change.path)
    there = server.read_all(paths, limit=FILE_LIMIT)
    return [_sum(there[path]) for path in paths]


def _conflict(server: Node) -> Conflict:
    return Conflict(
        "another deployment keeps changing the same files",
        where=server.name,
        remedy="Run the same deployment again",
    )


def _failed(server: Node, what: str, stderr: bytes) -> DomainError:
    said = stderr.decode(errors="backslashreplace").strip()[-300:] or "no reason given"
    return DomainError(
        f"can't {what} the pins: {said}",
        where=server.name,
        remedy="Check the folder (tidegate_rollout_dir, or tidegate_facts_dir of a node that has its pins itself) and "
        "that the connection's user may write there",
    )


def _sum(data: bytes | None) -> str:
    return "-" if data is None else hashlib.sha256(data).hexdigest()
