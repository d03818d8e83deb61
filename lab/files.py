"""Writing and reading the lab's own files."""

from __future__ import annotations

import os
from pathlib import Path

_TAIL_BYTES = 2000


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
