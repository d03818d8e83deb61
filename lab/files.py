"""Writing and reading the lab's own files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lab.programs import program

_TAIL_BYTES = 2000
_BLOCK = 1024 * 1024


def write_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Write through a temporary name, so that a killed `up` leaves the old file or the new one; parents are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.chmod(mode)
    temporary.replace(path)


def tail(path: Path, lines: int = 5) -> str:
    """The last lines of a log, joined by ` | `; empty if there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = log.read(_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    return " | ".join(text.strip().splitlines()[-lines:])


def free_all_but_the_end(path: Path, keep: int) -> None:
    """Give the disk back what a log has before its last `keep` bytes, which are read as zeros then.

    HAProxy keeps its log open, by an offset of its own: renamed, the file would grow on, and cut, it would have a hole
    at its beginning. So size, inode and all offsets stay, and who follows the log notices nothing.
    """
    old = (path.stat().st_size - keep) // _BLOCK * _BLOCK if path.exists() else 0
    if old > 0:
        argv = [program("fallocate"), "--punch-hole", "--offset", "0", "--length", str(old), str(path)]
        # A file system that can't do it keeps the log whole, which harms no answer.
        subprocess.run(argv, capture_output=True, timeout=30, check=False)
