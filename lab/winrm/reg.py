"""The node's reg.exe: `query KEY`, of Microsoft's page on reg query: 0 if the key is there, 1 if it isn't."""

from __future__ import annotations

import re
import sys

from lab.winrm.machine import machine
from lab.winrm.windows import keep_line_ends, leave

_KEY = re.compile(r"HKLM(\\[^\\/]+)+", re.IGNORECASE)


def main() -> None:
    keep_line_ends()
    if len(sys.argv) != 3 or sys.argv[1].lower() != "query" or not _KEY.fullmatch(sys.argv[2]):
        sys.stderr.write(f"the lab's reg.exe does not do this: {sys.argv[1:]}\n")
        leave(70000)
    if not machine().key(sys.argv[2]).is_dir():
        sys.stderr.write("ERROR: The system was unable to find the specified registry key or value.\r\n")
        leave(1)
    sys.stdout.write(f"\r\n{sys.argv[2]}\r\n")


if __name__ == "__main__":
    main()
