# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Windows node's boot: when it was, whether another one is asked for, and asking for it.

What is pending is read as Puppet's own `reboot` type reads it (puppetlabs-reboot, component_based_servicing? and
windows_auto_update?): the keys that Windows' servicing and Windows Update make. Its other reasons are not asked for.
Programs and exit codes are those of Microsoft's pages on reg query and shutdown and of winerror.h.
"""

from __future__ import annotations

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.system32 import SYSTEM32
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.wmi import ask_wmi, moment

_REG = rf"{SYSTEM32}\reg.exe"
_SHUTDOWN = rf"{SYSTEM32}\shutdown.exe"
_CURRENT = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion"
PENDING_KEYS = (
    rf"{_CURRENT}\Component Based Servicing\RebootPending",
    rf"{_CURRENT}\WindowsUpdate\Auto Update\RebootRequired",
)
# reg query: the key is there, or it is not (or can't be read).
_THERE, _NOT_THERE = 0, 1
# The answer to who asked is given before the node goes. /t above 0 implies /f.
_GRACE_S = 5
# winerror.h: ERROR_SHUTDOWN_IN_PROGRESS, ERROR_SHUTDOWN_IS_SCHEDULED.
_UNDER_WAY = (1115, 1190)
# Windows counts back from its clock: when that is set right, the last boot moves with it. No two boots are that close.
_SAME_BOOT_S = 60.0


def booted_at(node: WindowsNode) -> str:
    """When the node was booted, as WMI writes it. Raises Unreachable when it doesn't say."""
    said = ask_wmi(node, ["os"], "LastBootUpTime")
    if moment(said) is None:
        raise Unreachable(
            f"the node does not tell when it was booted{': ' + said[:80] if said else ''}",
            where=node.name,
            remedy="Run `wmic os get LastBootUpTime` there",
        )
    return said


def same_boot(one: str, other: str) -> bool:
    """Whether two answers of `booted_at` mean one boot."""
    first, second = moment(one), moment(other)
    return first is not None and second is not None and abs((first - second).total_seconds()) < _SAME_BOOT_S


def pending_reboot(node: WindowsNode) -> str:
    """Why the node asks for a reboot; empty when it doesn't. Raises BadInput when that can't be read."""
    found = [key for key in PENDING_KEYS if _is_there(node, key)]
    return f"{' and '.join(found)} {'is' if len(found) == 1 else 'are'} there" if found else ""


def ask_for_reboot(node: WindowsNode) -> None:
    """Give the order. Raises DomainError when it can't be rebooted, and what `node.run` does: then it may have come."""
    # Application: maintenance, planned; what Puppet's reboot type says as well.
    argv = [_SHUTDOWN, "/r", "/t", str(_GRACE_S), "/d", "p:4:1", "/c", "Tidegate"]
    done = node.run(argv)
    if done.rc == 0 or done.rc in _UNDER_WAY:
        return
    raise DomainError(
        f"the node can't be rebooted: {done.said or f'shutdown.exe ended with {done.rc}'}",
        where=node.name,
        remedy="Check that the connection's user may shut it down, then run the same deployment again",
    )


def _is_there(node: WindowsNode, key: str) -> bool:
    done = node.run([_REG, "query", key])
    if done.rc not in (_THERE, _NOT_THERE):
        raise BadInput(
            f"reg.exe query {key} ended with {done.rc}: {done.said}",
            where=node.name,
            remedy="Run it there, as the connection's user",
        )
    return done.rc == _THERE
