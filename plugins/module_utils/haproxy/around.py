# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an existing configuration lacks beyond its pools: saved states, and a socket that is for root alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.refusal_kinds import RefusalKind
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Refuse

_SCRIPT = r"""
socket=$1 folder=$2
[ ! -S "$socket" ] || printf 'mode %s\n' "$(stat -c %a "$socket" || echo unknown)"
[ -z "$folder" ] || { [ -d "$folder" ] && [ -w "$folder" ]; } || echo nofolder
while IFS= read -r backend; do
  [ -z "$folder" ] || [ -s "$folder/$backend" ] || printf 'stateless %s\n' "$backend"
done
echo end
"""


@dataclass(frozen=True, slots=True)
class Around:
    """What was found around a running HAProxy. `mode` is the admin socket's, octal; empty where there is none."""

    mode: str
    folder: bool
    stateless: tuple[str, ...]


def look_around(node: Node, access: AdminAccess, backends: Sequence[str]) -> Around:
    """Read it on the load balancer's host. Raises Unreachable when no complete answer came."""
    request = "".join(f"{backend}\n" for backend in backends)
    done = node.sh(_SCRIPT, access.socket, access.state_dir, stdin=request.encode())
    words = [line.partition(" ")[::2] for line in done.text.splitlines()]
    if not words or words[-1][0] != "end":
        detail = done.complaint
        raise Unreachable(
            f"the answer broke off: {detail}", where=f"load balancer {access.host}", remedy="Run it again"
        )
    told = dict(words)
    stateless = tuple(rest for word, rest in words if word == "stateless")
    return Around(told.get("mode", ""), "nofolder" not in told, stateless)


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
        for backend in around.stateless:
            yield Refuse.of(RefusalKind.STATELESS, host=access.host, backend=backend, folder=access.state_dir)
