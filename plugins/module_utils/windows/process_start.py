# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a process on a Windows node has been running: found by its service, its port or a file with its id.

netstat.exe and sc.exe tell the process (Microsoft's pages on netstat and sc query), WMI when it was started
(Win32_Process.CreationDate) and what time the node has (Win32_OperatingSystem.LocalDateTime).
"""

from __future__ import annotations

import time
from datetime import datetime

from ansible_collections.tidegate.delivery.plugins.module_utils.node.process_start import (
    FoundBy,
    Process,
    ProcessQuestion,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.services import status
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.system32 import SYSTEM32
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.wmi import ask_wmi, moment

_NETSTAT = rf"{SYSTEM32}\netstat.exe"
_PID_LIMIT = 100
# What a port listens with is told by the address at the other end: the word for its state is in the node's language.
_NOBODY = ("0.0.0.0:0", "[::]:0")
_ANY = tuple(each.removesuffix(":0") for each in _NOBODY)
_SHORTEST_S = 1.0


def look_at_process(node: WindowsNode, question: ProcessQuestion, timeout: float) -> Process | str:
    """The process, or a sentence that says why it can't be told; of several that listen, the oldest.

    Raises DeadlineExceeded after `timeout` seconds in one of its commands, BadInput when the node lacks one, and
    Unreachable.
    """
    ends = time.monotonic() + timeout

    def left() -> float:
        return max(_SHORTEST_S, ends - time.monotonic())

    # First of all: whatever takes its time from here on must not make the process look older.
    now = moment(ask_wmi(node, ["os"], "LocalDateTime", left()))
    pids = _pids(node, question, left())
    if isinstance(pids, str):
        return pids
    if now is None:
        return f"{question} can't be told: WMI does not tell the node's time"
    found = [Process(pid, (now - started).total_seconds()) for pid in pids if (started := _started(node, pid, left()))]
    return max(found, key=lambda process: process.age) if found else _absent(question)


def _pids(node: WindowsNode, question: ProcessQuestion, timeout: float) -> list[int] | str:
    match question.by:
        case FoundBy.UNIT:
            found = status(node, question.what)
            return [found.pid] if found and found.pid else _absent(question)
        case FoundBy.PID_FILE:
            text = (node.read(question.what, limit=_PID_LIMIT) or b"").decode(errors="replace").split()
            if not text:
                return _absent(question)
            return [int(text[0])] if text[0].isdecimal() else f"{question} can't be told: {text[0]!r} is no process id"
        case FoundBy.PORT:
            done = node.run([_NETSTAT, "-ano"], timeout=timeout)
            if done.rc != 0:
                return f"{question} can't be told (netstat.exe ended with {done.rc})"
            return listening(done.text, int(question.what), question.address) or _absent(question)


def listening(text: str, port: int, address: str = "") -> list[int]:
    """The processes that `netstat -ano` shows to listen at a TCP port, at that address, or any when it is empty."""
    found: list[int] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 4 or words[0] != "TCP" or words[2] not in _NOBODY or not words[-1].isdecimal():
            continue
        at, _, number = words[1].rpartition(":")
        if number == str(port) and (not address or at in (address, *_ANY)):
            found.append(int(words[-1]))
    return list(dict.fromkeys(found))


def _started(node: WindowsNode, pid: int, timeout: float) -> datetime | None:
    return moment(ask_wmi(node, ["process", "where", f"ProcessId={pid}"], "CreationDate", timeout))


def _absent(question: ProcessQuestion) -> str:
    return f"there is no such process: {question}"
