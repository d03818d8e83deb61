# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rebooting a node: asked for once, and done when the node tells another boot id."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    DeadlineExceeded,
    DomainError,
    NotLetIn,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node.boot import BOOT, Boot, which_boot
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.silence import LOG_IN_AGAIN_S
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, Stopping
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.boot import ask_for_reboot
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode

# Every Linux with an init of its own has it there (systemd-sysv, sysvinit-core).
_REBOOT = (
    BOOT
    + r"""
exec "$root/sbin/shutdown" -r now
"""
)
_LOOK_AGAIN = 2.0
_LOG_IN_AGAIN = LOG_IN_AGAIN_S
# Of a node that goes, or has only just come back: it is silent, or slow, or what checks passwords is not there yet.
_NO_ANSWER = (Unreachable, DeadlineExceeded, NotLetIn)
# Who may still log in so long after a shutdown was asked for finds no shutdown.
_GOING_S = 60.0
_WHILE = "while the node rebooted; the next attempt looks whether it came back"


def reboot(
    node: Node, before: Boot, deadline_s: float, tell: Callable[[str], None], stopping: Stopping = NEVER
) -> Boot:
    """Reboot the node that is in boot `before`, and wait until it tells another; that one is returned.

    An order without an answer, or that did not end, is given again as long as the node is still in its old boot. When
    that is refused, the first may be on its way (systemd refuses a second): the boot tells, until the time is up.
    Raises DomainError when the node does not know how to or does not let us in, DeadlineExceeded when it did not go,
    did not come back or lets nobody in since, Stopped in the middle of the wait.
    """
    began = time.monotonic()
    asked = _ask(node)
    silent: DomainError | None = None
    refused: DomainError | None = None
    while True:
        stopping.pause(_pause(silent), _WHILE)
        try:
            now = which_boot(node)
            if not now.is_same(before):
                return now
            silent = None
            if not asked:
                asked, refused = _ask_again(node)
        except _NO_ANSWER as error:
            silent = error
        elapsed = time.monotonic() - began
        if elapsed >= deadline_s:
            raise _overdue(node, elapsed, silent, refused, asked=asked)
        tell(f"the node {_now(silent)} ({elapsed:.0f} s)")


class Waited(StrEnum):
    """What came of a reboot that somebody else had asked for."""

    BACK = "it is back, in another boot"
    STAYED = "it is still in its old boot, and was probably never asked"
    AWAY = "it does not answer"
    NOT_LET_IN = "it refuses user or password"


def wait_out(
    node: Node,
    before: Boot,
    ago_s: float,
    deadline_s: float,
    tell: Callable[[str], None],
    stopping: Stopping = NEVER,
) -> Waited:
    """Wait until a reboot that was begun `ago_s` seconds ago in boot `before` is over, at most `deadline_s` after it.

    A node that answers in its old boot for longer than a shutdown leaves it was not asked. Raises what asking does, but
    not Unreachable and NotLetIn, and Stopped.
    """
    began = time.monotonic()
    while True:
        elapsed = ago_s + time.monotonic() - began
        silent: DomainError | None = None
        try:
            now = which_boot(node)
        except _NO_ANSWER as error:
            silent = error
            if elapsed >= deadline_s:
                return Waited.NOT_LET_IN if isinstance(error, NotLetIn) else Waited.AWAY
        else:
            if not now.is_same(before):
                return Waited.BACK
            if elapsed >= min(_GOING_S, deadline_s):
                return Waited.STAYED
        tell(f"waiting for the reboot that an earlier attempt began ({elapsed:.0f} s)")
        stopping.pause(_pause(silent), _WHILE)


def _pause(silent: DomainError | None) -> float:
    return max(_LOOK_AGAIN, _LOG_IN_AGAIN) if isinstance(silent, NotLetIn) else _LOOK_AGAIN


def _now(silent: DomainError | None) -> str:
    if silent is None:
        return "has not gone yet"
    return "lets nobody in yet" if isinstance(silent, NotLetIn) else "is away"


def _ask(node: Node) -> bool:
    """Whether it is known to have been asked; of an order that is not, only the node's next boot tells."""
    try:
        if isinstance(node, WindowsNode):
            ask_for_reboot(node)
            return True
        done = node.sh(_REBOOT)
    except (Unreachable, DeadlineExceeded):
        return False
    # Ended by a signal: shutdown took its own caller down already.
    if done.rc in (0, 129, 137, 143):
        return True
    raise DomainError(
        f"the node can't be rebooted: {done.said or f'shutdown ended with {done.rc}'}",
        where=node.name,
        remedy="Check that the connection's user may reboot it (become), then run the same deployment again",
    )


def _ask_again(node: Node) -> tuple[bool, DomainError | None]:
    """The same of an order that may have come already, and why it was refused."""
    try:
        return _ask(node), None
    except NotLetIn:
        raise
    except DomainError as error:
        return False, error


def _overdue(
    node: Node, elapsed_s: float, silent: DomainError | None, refused: DomainError | None, *, asked: bool
) -> DeadlineExceeded:
    if isinstance(silent, NotLetIn):
        what, remedy = f"refuses user or password ({silent.message})", silent.remedy or "Check who logs in"
    elif silent is not None:
        what, remedy = f"did not come back ({silent.message})", "Look at its console"
    elif refused is not None:
        what = f"is still in its old boot; the order to reboot had no answer, and then {refused.message}"
        remedy = "Look what keeps it from shutting down, and whether the connection's user may reboot it (become)"
    else:
        order = "" if asked else "; the order to reboot had no answer"
        what, remedy = f"is still in its old boot{order}", "Look what keeps it from shutting down"
    return DeadlineExceeded(
        f"the node was to reboot and {what} after {elapsed_s:.0f} s",
        where=node.name,
        remedy=f"{remedy}. When it has rebooted, run the same deployment again",
    )
