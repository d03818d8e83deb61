# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an existing configuration lacks beyond its pools: saved states, and a socket that is for root alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Refuse

# The master's socket comes on standard input: as an argument of ours it would pass for one of HAProxy's.
_SCRIPT = r"""
socket=$1 folder=$2
IFS= read -r master
[ ! -S "$socket" ] || printf 'mode %s\n' "$(stat -c %a "$socket" || echo unknown)"
[ -z "$folder" ] || { [ -d "$folder" ] && [ -w "$folder" ]; } || echo nofolder
while IFS= read -r backend; do
  [ -z "$folder" ] || [ -s "$folder/$backend" ] || printf 'stateless %s\n' "$backend"
done
# The files that HAProxy was started with, as far as they can be read: `conf` tells that some could.
for entry in $(grep -lF -e "$master" /proc/[0-9]*/cmdline 2>/dev/null); do
  process=${entry%/cmdline}
  case $(cat "$process/comm" 2>/dev/null) in haproxy* | hapee*) ;; *) continue ;; esac
  tr '\0' '\n' <"$entry" | awk '$0 == "-f" { wanted = 1; next } wanted { print } { wanted = 0 }' |
    while IFS= read -r file; do
      case $file in /*) ;; *) file=$process/cwd/$file ;; esac
      if [ -d "$file" ]; then cat "$file"/*.cfg; else cat "$file"; fi 2>/dev/null
    done
done | awk '
  { told = 1 }
  $1 == "load-server-state-from-file" && $2 == "local" { print "local" }
  $1 == "server-state-base" { print "base " $2 }
  END { if (told) print "conf" }'
echo end
"""


@dataclass(frozen=True, slots=True)
class Around:
    """What was found around a running HAProxy. `mode` is the admin socket's, octal; empty where there is none.

    `unread` is what its configuration lacks for the states to be read; empty also where it can't be seen.
    """

    mode: str
    folder: bool
    stateless: tuple[str, ...]
    unread: str = ""


def look_around(node: Node, access: AdminAccess, backends: Sequence[str]) -> Around:
    """Read it on the load balancer's host. Raises Unreachable when no complete answer came."""
    request = "".join(f"{line}\n" for line in (access.master_socket, *backends))
    done = node.sh(_SCRIPT, access.socket, access.state_dir, stdin=request.encode())
    words = [line.partition(" ")[::2] for line in done.text.splitlines()]
    if not words or words[-1][0] != "end":
        detail = done.complaint
        raise Unreachable(
            f"the answer broke off: {detail}", where=f"load balancer {access.host}", remedy="Run it again"
        )
    told = dict(words)
    stateless = tuple(rest for word, rest in words if word == "stateless")
    bases = [rest for word, rest in words if word == "base"]
    unread = _unread(access, bases, local="local" in told) if "conf" in told else ""
    return Around(told.get("mode", ""), "nofolder" not in told, stateless, unread)


def _unread(access: AdminAccess, bases: Sequence[str], *, local: bool) -> str:
    if not local:
        return "load-server-state-from-file local"
    # Without any, the backends may name their files with whole paths.
    folders = [base.strip("\"'").rstrip("/") for base in bases]
    return f"server-state-base {access.state_dir}" if folders and access.state_dir not in folders else ""


def around_problems(access: AdminAccess, around: Around) -> list[Refuse]:
    """Every reason not to move servers there that isn't in the pools themselves."""
    return list(_socket(access, around)) + list(_states(access, around))


def as_problem(error: DomainError) -> Refuse:
    """A load balancer that could not be looked at."""
    return Refuse(f"{error.where}: {error.message}", error.remedy, kind=None)


def _socket(access: AdminAccess, around: Around) -> Iterator[Refuse]:
    # Where there is no socket, that is told by whoever asked HAProxy.
    if around.mode and (not around.mode.isdigit() or int(around.mode, 8) & 0o077):
        yield Refuse.of(RefusalKind.OPEN_SOCKET, host=access.host, socket=access.socket, mode=around.mode)


def _states(access: AdminAccess, around: Around) -> Iterator[Refuse]:
    if not access.state_dir:
        yield Refuse.of(RefusalKind.NO_STATE_DIR, host=access.host)
    elif not around.folder:
        reason, remedy = RefusalKind.NO_FOLDER.told(folder=access.state_dir)
        yield Refuse(f"load balancer {access.host}: {reason}", remedy, kind=RefusalKind.NO_FOLDER)
    else:
        if around.unread:
            yield Refuse.of(RefusalKind.UNREAD, host=access.host, lacking=around.unread)
        for backend in around.stateless:
            yield Refuse.of(RefusalKind.STATELESS, host=access.host, backend=backend, folder=access.state_dir)
