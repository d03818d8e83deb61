# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What WMI says, asked with `wmic.exe`: one property at a time, in words that cmd.exe may read as well.

wmic.exe is in Windows Server 2016 to 2022. Microsoft has deprecated it (since Windows 10 21H1), and from Windows Server
2025 on it is a feature on demand that has to be added. The format of times is Microsoft's page on CIM_DATETIME.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import NoSuchProgram, WindowsNode
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.system32 import SYSTEM32

_WMIC = rf"{SYSTEM32}\wbem\WMIC.exe"
_TIME = re.compile(r"(\d{14})\.(\d{6})([+-]\d{3})")
_ADD = "Add it: dism.exe /Online /Add-Capability /CapabilityName:WMIC~~~~"
# It reads a repository from disk and starts a provider: seconds on an idle machine.
_TIMEOUT_S = 60.0


def ask_wmi(node: WindowsNode, words: Sequence[str], name: str, timeout: float = _TIMEOUT_S) -> str:
    """The value of one property of what `words` (`os`, or `process where ProcessId=4`) name; empty if there is none.

    Raises BadInput when the node has no wmic.exe, Unreachable also when WMI gives it no answer, DeadlineExceeded.
    """
    try:
        # It reads its standard input to the end, where that isn't a console.
        done = node.run([_WMIC, *words, "get", name, "/value"], stdin=b"", timeout=timeout)
    except NoSuchProgram:
        raise BadInput(
            f"there is no {_WMIC}",
            where=node.name,
            remedy=_ADD,
        ) from None
    if done.rc != 0:
        # Right after a boot its service may not be there yet.
        raise Unreachable(
            f"wmic.exe {' '.join(words)} ended with {done.rc}: {done.said}",
            where=node.name,
            # cmd.exe ends so where there is no such program, and says it in the node's language.
            remedy="Log in as a user who may ask WMI, see that the service Winmgmt runs, and "
            + _ADD.replace("Add it", f"where there is no {_WMIC} add it"),
        )
    # Through a pipe it writes the console's code page, to some pipes UTF-16; lines end with CR CR LF.
    text = done.stdout.replace(b"\0", b"").decode(errors="backslashreplace")
    found = re.search(rf"^\W*{name}=(.*?)\s*$", text, re.MULTILINE | re.IGNORECASE)
    return found[1].strip() if found else ""


def moment(cim: str) -> datetime | None:
    """A CIM_DATETIME, `yyyymmddHHMMSS.mmmmmm±UUU` with the minutes from UTC; None for anything else."""
    found = _TIME.fullmatch(cim)
    if not found:
        return None
    try:
        local = datetime.strptime(found[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC, microsecond=int(found[2]))
        return local - timedelta(minutes=int(found[3]))
    except (ValueError, OverflowError):
        return None
