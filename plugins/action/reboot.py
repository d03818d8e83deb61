# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.reboot."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.node.boot import Boot, look_at_boot
from ansible_collections.tidegate.delivery.plugins.module_utils.node.reboot import reboot
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.planned import require_planned_reboot
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import AtStop
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.options import seconds

# Asking before and after.
_OVERHEAD = 120.0


class ActionModule(DomainAction):
    """Arguments → a reboot, if one is pending → the node's new boot."""

    EFFECT = True
    IN_WAVE = True
    STEP = "reboot"
    AT_STOP = AtStop.GIVE_UP
    _boot: Boot | None = None
    _unread: DomainError | None = None
    """Why the boot could not be recorded: without that no order is given."""
    RECORDED = ("outcome", "msg", "pending", "boot_before", "boot_after", "own_s")

    def deadline(self, call: Call) -> float:
        return seconds(call.args, "timeout") + _OVERHEAD

    def require_planned(self, call: Call) -> None:
        require_planned_reboot(call.ledger.plan)

    def begun_with(self, call: Call) -> dict[str, Any] | None:
        """The boot that is to end: an attempt that finds no end of this one tells by it whether it came about."""
        try:
            self._boot = look_at_boot(call.node())
        except DomainError as error:
            self._unread = error
        return {"boot_before": self._boot.id} if self._boot and self._boot.pending else None

    def act(self, call: Call) -> dict[str, Any]:
        if self._unread is not None:
            raise self._unread
        node = call.node()
        before = self._boot or look_at_boot(node)
        told = {"pending": before.pending, "boot_before": before.id}
        if not before.pending:
            msg = f"{call.host}: no reboot is pending"
            return {"changed": False, "outcome": "not_pending", "msg": msg, **told, "boot_after": before.id}
        if call.check:
            msg = f"{call.host}: it would be rebooted: {before.pending}"
            return {"changed": True, "outcome": "would_reboot", "msg": msg, **told}
        began = time.monotonic()
        after = reboot(node, before, seconds(call.args, "timeout"), call.progress, call.stopping)
        return {
            "changed": True,
            "outcome": "rebooted",
            "msg": f"{call.host}: it was rebooted: {before.pending}",
            **told,
            "boot_after": after.id,
            "own_s": round(time.monotonic() - began, 1),
        }
