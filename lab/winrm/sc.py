"""The node's sc.exe: `queryex NAME` of Microsoft's page on sc, about the services that the node's runit supervises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from lab.winrm.windows import SERVICES_VARIABLE, keep_line_ends, leave, real

_NO_SUCH_SERVICE = 1060
# winsvc.h: number and name of each state that runit has.
STOPPED, START_PENDING, STOP_PENDING, RUNNING = (
    (1, "STOPPED"),
    (2, "START_PENDING"),
    (3, "STOP_PENDING"),
    (4, "RUNNING"),
)


def state(line: str) -> tuple[tuple[int, str], int]:
    """State and pid of `sv status`: `run: PATH: (pid 12) 3s, want down, got TERM; run: log: …`."""
    own = line.partition("; ")[0]
    found = re.search(r"\(pid (\d+)\)", own)
    pid = int(found[1]) if found else 0
    if own.startswith("run: "):
        return (STOP_PENDING if ", want down" in own or ", got TERM" in own else RUNNING), pid
    if own.startswith("finish: "):
        return STOP_PENDING, pid
    return (START_PENDING if ", want up" in own else STOPPED), 0


def told(name: str, line: str) -> str:
    """What queryex writes."""
    (number, word), pid = state(line)
    values = {
        "TYPE": "10  WIN32_OWN_PROCESS  ",
        "STATE": f"{number}  {word} ",
        "": "(STOPPABLE, NOT_PAUSABLE, ACCEPTS_SHUTDOWN)",
        "WIN32_EXIT_CODE": "0  (0x0)",
        "SERVICE_EXIT_CODE": "0  (0x0)",
        "CHECKPOINT": "0x0",
        "WAIT_HINT": "0x0",
        "PID": str(pid),
        "FLAGS": "",
    }
    lines = [f"        {key:<19}: {value}" if key else f"{'':32}{value}" for key, value in values.items()]
    return "\r\n".join(["", f"SERVICE_NAME: {name} ", *lines, ""])


def main() -> None:
    keep_line_ends()
    if len(sys.argv) != 3 or sys.argv[1].lower() != "queryex":
        sys.stderr.write(f"the lab's sc.exe does not do this: {sys.argv[1:]}\n")
        leave(70000)
    services = os.environ.get(SERVICES_VARIABLE)
    entry = Path(services or "/") / sys.argv[2]
    if not services or not entry.exists():
        sys.stdout.write("[SC] EnumQueryServicesStatus:OpenService FAILED 1060:\r\n\r\n")
        sys.stdout.write("The specified service does not exist as an installed service.\r\n\r\n")
        leave(_NO_SUCH_SERVICE)
    done = subprocess.run([real("sv"), "status", str(entry)], capture_output=True, text=True, timeout=10, check=False)
    sys.stdout.write(told(sys.argv[2], done.stdout))


if __name__ == "__main__":
    main()
