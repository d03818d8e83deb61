"""The node's shutdown.exe: `/r /t SECONDS /d p:MAJOR:MINOR /c COMMENT`, of Microsoft's page on shutdown, nothing else.

It only writes down what was asked for and when: the endpoint, which is the node's own service, does it.
"""

from __future__ import annotations

import re
import sys

from lab.winrm.machine import machine
from lab.winrm.windows import keep_line_ends, leave

# winerror.h: ERROR_SHUTDOWN_IS_SCHEDULED.
_SCHEDULED = 1190
_LONGEST_COMMENT = 512


def main() -> None:
    keep_line_ends()
    words = sys.argv[1:]
    asked = re.fullmatch(r"/r /t (\d{1,9}) /d p:(\d{1,3}):(\d{1,5}) /c", " ".join(words[:-1]), re.IGNORECASE)
    if not asked or int(asked[2]) > 255 or int(asked[3]) > 65535 or not 0 < len(words[-1]) <= _LONGEST_COMMENT:
        sys.stderr.write(f"the lab's shutdown.exe does not do this: {words}\n")
        leave(70000)
    if not machine().ask(int(asked[1])):
        sys.stderr.write(f"A system shutdown has already been scheduled.({_SCHEDULED})\r\n")
        leave(_SCHEDULED)


if __name__ == "__main__":
    main()
