"""The node's WMIC.exe: `CLASS [where ProcessId=N] get PROPERTY /value`, of Microsoft's page on wmic, and nothing else.

It reads its standard input to the end first, as the real one does where that isn't a console; through a pipe its lines
end with CR CR LF. Times are CIM_DATETIME.
"""

from __future__ import annotations

import os
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from lab.processes import read
from lab.winrm.machine import machine
from lab.winrm.windows import keep_line_ends, leave

_OS = re.compile(r"os get (LocalDateTime|LastBootUpTime) /value", re.IGNORECASE)
_PROCESS = re.compile(r"process where ProcessId=(\d{1,10}) get (CreationDate) /value", re.IGNORECASE)
_NONE = "No Instance(s) Available.\r\r\n"


def cim(moment: float) -> str:
    """A Unix time as CIM_DATETIME, in a time zone that isn't UTC."""
    local = datetime.fromtimestamp(moment + 3600, UTC)
    return f"{local:%Y%m%d%H%M%S}.{local.microsecond:06}+060"


def created(pid: int) -> float | None:
    """When a process was started, as a Unix time."""
    process = read(pid)
    if process is None or process.state in "ZX":
        return None
    up = float(Path("/proc/uptime").read_text().split()[0])
    return time.time() - up + process.started / os.sysconf("SC_CLK_TCK")


def main() -> None:
    keep_line_ends()
    sys.stdin.buffer.read()
    words = " ".join(sys.argv[1:])
    if found := _OS.fullmatch(words):
        moment: float | None = time.time() if found[1].lower() == "localdatetime" else machine().booted
        name = "LocalDateTime" if found[1].lower() == "localdatetime" else "LastBootUpTime"
    elif found := _PROCESS.fullmatch(words):
        moment, name = created(int(found[1])), "CreationDate"
    else:
        sys.stderr.write(f"the lab's WMIC.exe does not do this: {sys.argv[1:]}\n")
        leave(70000)
    if moment is None:
        sys.stderr.write(_NONE)
        return
    sys.stdout.write(f"\r\r\n\r\r\n{name}={cim(moment)}\r\r\n\r\r\n\r\r\n")


if __name__ == "__main__":
    main()
