# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rebooting a node: asked for once, and done when the node tells another boot id."""

from __future__ import annotations

import time
from collections.abc import Callable

from ansible_collections.tidegate.delivery.plugins.module_utils.boot import BOOT, Boot, look_at_boot
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    DeadlineExceeded,
    DomainError,
    Refused,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, Stopping
from ansible_collections.tidegate.delivery.plugins.module_utils.windows_node import WindowsNode

# Every Linux with an init of its own has it there (systemd-sysv, sysvinit-core).
_REBOOT = (
    BOOT
    + r"""
exec "$root/sbin/shutdown" -r now
"""
)
_LOOK_AGAIN = 2.0
_WHILE = "while the node rebooted; the next attempt looks whether it came back"


def reboot(
    node: Node, before: Boot, deadline_s: float, tell: Callable[[str], None], stopping: Stopping = NEVER
) -> Boot:
    """Reboot the node that is in boot `before`, and wait until it tells another; that one is returned.

    A lost answer is asked for again as long as the node is still in its old boot. Raises DomainError when the node
    does not know how to, DeadlineExceeded when it did not go or did not come back, Stopped in the middle of the wait.
    """
    if isinstance(node, WindowsNode):
        raise Refused("Windows nodes can't be rebooted yet", where=node.name, remedy="Set deploy.reboot to hold")
    began = time.monotonic()
    asked, silent = _ask(node), ""
    while True:
        stopping.pause(_LOOK_AGAIN, _WHILE)
        try:
            now = look_at_boot(node)
            silent = ""
        except Unreachable as error:
            silent = error.message
        else:
            if now.id != before.id:
                return now
            asked = asked or _ask(node)
        elapsed = time.monotonic() - began
        if elapsed >= deadline_s:
            raise _overdue(node, elapsed, silent)
        tell(f"the node {'is away' if silent else 'has not gone yet'} ({elapsed:.0f} s)")


def _ask(node: Node) -> bool:
    """Whether it is known to have been asked."""
    try:
        done = node.sh(_REBOOT)
    except Unreachable:
        return False
    # Ended by a signal: shutdown took its own caller down already.
    if done.rc in (0, 129, 137, 143):
        return True
    raise DomainError(
        f"the node can't be rebooted: {done.said or f'shutdown ended with {done.rc}'}",
        where=node.name,
        remedy="Check that the connection's user may reboot it (become), then run the same deployment again",
    )


def _overdue(node: Node, elapsed_s: float, silent: str) -> DeadlineExceeded:
    what = f"did not come back ({silent})" if silent else "is still in its old boot"
    remedy = "Look at its console" if silent else "Look what keeps it from shutting down"
    return DeadlineExceeded(
        f"the node was to reboot and {what} after {elapsed_s:.0f} s",
        where=node.name,
        remedy=f"{remedy}. When it has rebooted, run the same deployment again",
    )
