# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where HAProxy is administered on its host, from that host's variables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput

VARIABLES = tuple(f"tidegate_haproxy_{name}" for name in ("socket", "master_socket", "lock", "state_dir", "process"))
DEFAULT_LOCK = "/run/lock/tidegate-haproxy.lock"
_LONGEST_PROCESS = 200
# socat's addresses give ",", ":", "!" and quotes a meaning.
_PATH = re.compile(r"/[A-Za-z0-9._/@+-]{1,100}")


@dataclass(frozen=True, slots=True)
class AdminAccess:
    """Where HAProxy is administered on its host: paths there. Without `state_dir` no state is saved.

    `process` is a part of its command line, where other HAProxy run on the same machine.
    """

    host: str
    socket: str
    master_socket: str
    lock: str = DEFAULT_LOCK
    state_dir: str = ""
    process: str = ""

    @classmethod
    def from_hostvars(cls, host: str, variables: Mapping[str, Any]) -> AdminAccess:
        """From the host's `tidegate_haproxy_*` variables. Raises BadInput for a missing or unusable one."""
        return cls(
            host=host,
            socket=_path(host, variables, "socket", needed="HAProxy's admin socket (`stats socket … level admin`)"),
            master_socket=_path(host, variables, "master_socket", needed="the master's socket (haproxy -W -S …)"),
            lock=_path(host, variables, "lock") or DEFAULT_LOCK,
            state_dir=_path(host, variables, "state_dir"),
            process=_process(host, variables),
        )

    def by_hand(self, commands: Iterable[str]) -> str:
        """What a person types on the host to send these commands."""
        return f"echo '{'; '.join(commands)}' | socat - UNIX-CONNECT:{self.socket}"


def _path(host: str, variables: Mapping[str, Any], name: str, needed: str = "") -> str:
    variable = f"tidegate_haproxy_{name}"
    value = str(variables.get(variable) or "")
    if not value and needed:
        raise BadInput(
            f"{variable} is not set", where=f"load balancer {host}", remedy=f"Set it in the inventory to {needed}"
        )
    if value and not _PATH.fullmatch(value):
        raise BadInput(
            f"{variable} is {value!r}",
            where=f"load balancer {host}",
            remedy="Use an absolute path of at most 100 letters, digits and . _ / @ + -",
        )
    return value.rstrip("/")


def _process(host: str, variables: Mapping[str, Any]) -> str:
    value = str(variables.get("tidegate_haproxy_process") or "")
    if value and not (value.isprintable() and len(value) <= _LONGEST_PROCESS):
        raise BadInput(
            f"tidegate_haproxy_process is {value[:_LONGEST_PROCESS]!r}",
            where=f"load balancer {host}",
            remedy="Use a part of its command line, on one line, such as the path of its configuration",
        )
    return value
