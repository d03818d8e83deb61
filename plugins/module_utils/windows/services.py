# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows services as the service control manager has them, asked with `sc.exe queryex`.

States and their numbers are those of SERVICE_STATUS_PROCESS (winsvc.h); what sc.exe writes is Microsoft's page on
`sc queryex`. Its labels are in the node's language, and some of its words: numbers and their order are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.system32 import SYSTEM32

_SC = rf"{SYSTEM32}\sc.exe"
# ERROR_SERVICE_DOES_NOT_EXIST and ERROR_ACCESS_DENIED (winerror.h), which sc.exe ends with.
_NO_SUCH_SERVICE = 1060
_DENIED = 5
# ERROR_SERVICE_SPECIFIC_ERROR: the service's own code says more.
_SPECIFIC = 1066
# CreateService: 256 characters at most, and no slashes. We leave those out that cmd.exe might read.
_NAME = re.compile(r"[A-Za-z0-9_.$@+~ -]{1,256}")
# `        LABEL              : value  WORD`; the service's name stands at its line's beginning, flags in parentheses.
_FIELD = re.compile(r"\s+[^:(]+:\s*(\S*)")


class ServiceState(Enum):
    """What a service does; the four that are pending end by themselves, or hang."""

    STOPPED = 1
    START_PENDING = 2
    STOP_PENDING = 3
    RUNNING = 4
    CONTINUE_PENDING = 5
    PAUSE_PENDING = 6
    PAUSED = 7

    @property
    def pending(self) -> bool:
        """Whether it is on its way to another state."""
        return self.name.endswith("_PENDING")


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """`pid`: of its process, None when it has none. `exit_code`: what it last ended with, Windows' own or its own."""

    state: ServiceState
    pid: int | None
    exit_code: int


def read_status(text: str) -> ServiceStatus | None:
    """What `sc queryex NAME` writes: type, state, two exit codes, checkpoint, wait hint, pid and flags, in that order.

    None for anything else.
    """
    values = [found[1] for line in text.splitlines() if (found := _FIELD.match(line))]
    try:
        # The type is in hexadecimal digits, and says nothing to us.
        state, own_code, service_code, _checkpoint, _hint, pid = (int(value, 0) for value in values[1:7])
        known = ServiceState(state)
    except ValueError:
        return None
    return ServiceStatus(known, pid or None, service_code if own_code == _SPECIFIC else own_code)


def status(node: WindowsNode, service: str) -> ServiceStatus | None:
    """The service's status now; None if the node has no such service. Raises BadInput when it can't be told."""
    if not _NAME.fullmatch(service):
        raise BadInput(
            f"{service!r} is no service name that can be asked for",
            where=node.name,
            remedy="Give the service's name (not its display name): letters, digits, spaces and _ . $ @ + ~ -",
        )
    done = node.run([_SC, "queryex", service])
    if done.rc == _NO_SUCH_SERVICE:
        return None
    found = read_status(done.text)
    if done.rc != 0 or found is None:
        raise _untold(node, service, done)
    return found


def _untold(node: WindowsNode, service: str, done: Completed) -> BadInput:
    said = " ".join((done.stdout + done.stderr).decode(errors="backslashreplace").split())[-300:]
    denied = done.rc == _DENIED
    return BadInput(
        f"sc.exe queryex {service} ended with {done.rc}: {said}",
        where=node.name,
        remedy="Log in as a user who may query services" if denied else f"Run `sc.exe queryex {service}` there",
    )
