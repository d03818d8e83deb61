"""The node's puppet.bat: an agent of this machine, told where the drive's folders are here.

python -m lab.winrm.puppet AGENT ARGUMENT…: what the file on the drive says.

What it prints has Windows' paths, as Puppet writes them there (with slashes), and Windows' line ends.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from lab.winrm.windows import DRIVE_VARIABLE, HOME, Drive, leave

CONFDIR = r"C:\ProgramData\PuppetLabs\puppet\etc"
_PATH = re.compile(r"(|--\w+=)([A-Za-z]:\\.*)", re.DOTALL)


def here(drive: Drive, word: str) -> str:
    """An argument with a Windows path in it, for the agent here."""
    found = _PATH.fullmatch(word)
    return f"{found[1]}{drive.path(found[2])}" if found else word


def there(drive: Drive, line: bytes) -> bytes:
    """A line of the agent, as on Windows."""
    return line.replace(str(drive.root).encode(), b"C:").rstrip(b"\n") + b"\r\n"


def main() -> None:
    drive = Drive(Path(os.environ[DRIVE_VARIABLE]))
    given = [here(drive, word) for word in sys.argv[2:]]
    if "--confdir" not in given:
        given += ["--confdir", str(drive.path(CONFDIR))]
    agent = subprocess.Popen(
        [sys.argv[1], *given],
        env={**os.environ, "HOME": str(drive.path(HOME)), "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

    def say(pipe: IO[bytes], to: IO[bytes]) -> None:
        for line in pipe:
            to.write(there(drive, line))
            to.flush()

    assert agent.stdout is not None
    assert agent.stderr is not None
    errors = threading.Thread(target=say, args=(agent.stderr, sys.stderr.buffer))
    errors.start()
    say(agent.stdout, sys.stdout.buffer)
    errors.join()
    code = agent.wait()
    leave(code if code >= 0 else 1)


if __name__ == "__main__":
    main()
