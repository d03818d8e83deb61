# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service's state as its node's own service manager has it: the service control manager's, or systemd's."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import Difference, Differs
from ansible_collections.tidegate.delivery.plugins.module_utils.node.commands import Ended
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.services import ServiceState, ServiceStatus

STATES = tuple(state.name.lower() for state in ServiceState)
# What both systemctl(1) and sc.exe are asked for by name.
_NAME = re.compile(r"(?!-)[A-Za-z0-9:_.@$+~ \\-]{1,255}")
# systemctl(1) and the D-Bus interface of systemd: ActiveState. A unit that failed is in none of Windows' states.
_OF_SYSTEMD = {
    "active": ServiceState.RUNNING,
    "reloading": ServiceState.RUNNING,
    "refreshing": ServiceState.RUNNING,
    "activating": ServiceState.START_PENDING,
    "deactivating": ServiceState.STOP_PENDING,
    "inactive": ServiceState.STOPPED,
}


@dataclass(frozen=True, slots=True)
class ServiceCheck:
    """A service that must be in one of these states."""

    name: str
    accept: tuple[ServiceState, ...] = (ServiceState.RUNNING,)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise BadInput(
                f"{self.name[:80]!r} is no service's name",
                where="service.name",
                remedy="Give the name of a systemd unit, or of a Windows service (not its display name)",
            )
        if not self.accept:
            raise BadInput("no state is accepted", where="service.accept", remedy="Name one, such as running")

    @property
    def argv(self) -> tuple[str, ...]:
        """What is run on a Linux node."""
        return ("systemctl", "show", "--property", "LoadState,ActiveState", "--", self.name)

    def judge(self, ended: Ended) -> list[Difference]:
        """What differs, by what systemctl said."""
        if ended.late:
            return [Difference(Differs.TOO_SLOW, "systemctl did not end in time and was ended")]
        said = dict(line.partition("=")[::2] for line in ended.stdout.decode(errors="backslashreplace").splitlines())
        active = said.get("ActiveState", "")
        if ended.rc != 0 or not active:
            return [self._differs(f"systemctl does not tell its state (exit code {ended.rc})")]
        if said.get("LoadState") == "not-found":
            return [self._differs("there is no such service")]
        return self._judged(_OF_SYSTEMD.get(active), active)

    def judge_windows(self, status: ServiceStatus | None) -> list[Difference]:
        """What differs, by what the service control manager said."""
        if status is None:
            return [self._differs("there is no such service")]
        code = f", after it ended with {status.exit_code}" if status.exit_code else ""
        # What it waits for, if it hangs.
        process = f", process {status.pid}" if status.state.pending and status.pid else ""
        return self._judged(status.state, f"{status.state.name.lower()}{code}{process}")

    def _judged(self, state: ServiceState | None, told: str) -> list[Difference]:
        if state in self.accept:
            return []
        wanted = " or ".join(each.name.lower() for each in self.accept)
        return [self._differs(f"it is {told}, expected {wanted}")]

    def _differs(self, what: str) -> Difference:
        return Difference(Differs.CHECK, f"service {self.name}: {what}")
