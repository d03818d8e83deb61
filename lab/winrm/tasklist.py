"""The node's tasklist.exe: `/nh /fo csv /fi "PID eq NUMBER"`, of Microsoft's page on tasklist, and nothing else."""

from __future__ import annotations

import re
import sys

from lab.processes import read
from lab.winrm.windows import keep_line_ends, leave

_ASKED = re.compile(r"/nh /fo csv /fi PID eq (\d{1,10})", re.IGNORECASE)
_NONE = "INFO: No tasks are running which match the specified criteria.\r\n"


def line(pid: int) -> str:
    """What it says of a process: an agent of Puppet is its ruby there."""
    process = read(pid)
    if process is None or process.state in "ZX":
        return _NONE
    puppet = "puppet" in process.name or ("ruby" in process.name and any("puppet" in word for word in process.argv))
    name = "ruby" if puppet else process.name
    return f'"{name}.exe","{pid}","Services","0","48,712 K"\r\n'


def main() -> None:
    keep_line_ends()
    found = _ASKED.fullmatch(" ".join(sys.argv[1:]))
    if not found:
        sys.stderr.write(f"the lab's tasklist.exe does not do this: {sys.argv[1:]}\n")
        leave(70000)
    sys.stdout.write(line(int(found[1])))


if __name__ == "__main__":
    main()
