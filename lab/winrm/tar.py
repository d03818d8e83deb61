"""The node's tar.exe: libarchive's bsdtar, which is what Windows has there (since Windows 10 1803 and Server 2019)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lab.winrm.windows import DRIVE_VARIABLE, Drive, real


def main() -> None:
    drive, given = Drive(Path(os.environ[DRIVE_VARIABLE])), sys.argv[1:]
    for at, word in enumerate(given[:-1]):
        if word == "-C":
            given[at + 1] = str(drive.path(given[at + 1]))
    bsdtar = real("bsdtar")
    os.execv(bsdtar, ["tar.exe", *given])  # noqa: S606 (no shell is meant)


if __name__ == "__main__":
    main()
