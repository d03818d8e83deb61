# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an existing configuration lacks beyond its pools: saved states, and a socket that is for root alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.pools import Refuse

_ADMIN = "admin"
_SCRIPT = r"""
socket=$1 folder=$2
printf 'mode %s\n' "$(stat -c %a "$socket")"
printf 'level %s\n' "$(printf 'show cli level\n' | timeout -k 1 5 socat -t 5 - "UNIX-CONNECT:$socket" | head -n 1)"
[ -z "$folder" ] || { [ -d "$folder" ] && [ -w "$folder" ]; } || echo nofolder
while IFS= read -r backend; do
  [ -z "$folder" ] || [ -s "$folder/$backend" ] || printf 'stateless %s\n' "$backend"
done
echo end
"""


@dataclass(frozen=True, slots=True)
class Around:
    """What was found around a running HAProxy. `mode` is the admin socket's, octal; `level` what it lets one do."""

    mode: str
    level: str
    folder: bool
    stateless: tuple[str, ...]


def look_around(node: Node, access: AdminAccess, backends: Sequence[str]) -> Around:
    """Read it on the load balancer's host. Raises Unreachable when no complete answer came."""
    request = "".join(f"{backend}\n" for backend in backends)
    done = node.sh(_SCRIPT, access.socket, access.state_dir, stdin=request.encode())
    words = [line.partition(" ")[::2] for line in done.text.splitlines()]
    if not words or words[-1][0] != "end":
        detail = done.stderr.decode(errors="backslashreplace").strip()[-300:]
        raise Unreachable(
            f"the answer broke off: {detail}", where=f"load balancer {access.host}", remedy="Run it again"
        )
    told = dict(words)
    stateless = tuple(rest for word, rest in words if word == "stateless")
    return Around(told.get("mode", ""), told.get("level", ""), "nofolder" not in told, stateless)


def around_problems(access: AdminAccess, around: Around) -> list[Refuse]:
    """Every reason not to move servers there that isn't in the pools themselves."""
    return list(_socket(access, around)) + list(_states(access, around))


def as_problem(error: DomainError) -> Refuse:
    """A load balancer that could not be looked at."""
    return Refuse(f"{error.where}: {error.message}", error.remedy)


def _socket(access: AdminAccess, around: Around) -> Iterator[Refuse]:
    here = f"load balancer {access.host}: {access.socket}"
    if around.level != _ADMIN:
        yield Refuse(f"{here} has level {around.level or 'unknown'}", "Write `level admin` behind `stats socket …`")
    if not around.mode.isdigit() or int(around.mode, 8) & 0o077:
        yield Refuse(
            f"{here} has mode {around.mode or 'unknown'}: others than its owner may take servers out",
            "Write `mode 600` behind `stats socket …`",
        )


def _states(access: AdminAccess, around: Around) -> Iterator[Refuse]:
    here = f"load balancer {access.host}"
    if not access.state_dir:
        yield Refuse(
            f"{here} has no folder for saved states: a reload brings back every server that left",
            "Set tidegate_haproxy_state_dir, and `server-state-base` in HAProxy's configuration",
        )
    elif not around.folder:
        yield Refuse(f"{here}: {access.state_dir} is no folder that can be written", "Create it")
    else:
        for backend in around.stateless:
            yield Refuse(
                f"{here}: backend {backend} has no state file in {access.state_dir}",
                f"Write `server-state-file-name use-backend-name` in the backend; then "
                f"`echo 1 > {access.state_dir}/{backend}`, and reload",
            )
