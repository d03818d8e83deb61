# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reboots of which the ledger has the beginning and no good end: their nodes may be on their way down, or up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step


@dataclass(frozen=True, slots=True)
class BegunReboot:
    """The boot that a reboot was to end, and when it was begun, an ISO 8601 time by the ledger's clock."""

    boot_before: str
    at: str


def begun_reboots(events: Iterable[Event]) -> dict[str, BegunReboot]:
    """By node, from a deployment's events, oldest first.

    One that failed, or was stopped, counts as well: nobody waited any more, and the node may be rebooting all the same.
    """
    begun: dict[str, BegunReboot] = {}
    for event in events:
        if event.step is not Step.REBOOT:
            continue
        boot = str(event.details.get("boot_before") or "")
        for node in event.nodes:
            if event.outcome.good:
                begun.pop(node, None)
            elif event.outcome is Outcome.STARTED and boot:
                begun[node] = BegunReboot(boot, event.at)
    return begun
