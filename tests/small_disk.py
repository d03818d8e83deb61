"""A disk of a test's own that is soon full: in a mount namespace, so that nobody else has it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """Where it is mounted, for what runs behind `inside`; `seen` is the same folder for everybody else."""

    inside: Sequence[str]
    seen: Path

    def fill(self) -> None:
        """Have no byte left."""
        with (self.seen / "filling").open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 4096):
                    pass
            except OSError:
                return

    def clear(self) -> None:
        """Have room again."""
        (self.seen / "filling").unlink()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[SmallDisk]:
    """`folder` is such a disk for as long as this lasts."""
    unshare = ["unshare", "-m"] if os.getuid() == 0 else ["unshare", "-Urm"]
    enter = ["nsenter", "-m"] if os.getuid() == 0 else ["nsenter", "-U", "-m", "--preserve-credentials"]
    mounted = f"mount -t tmpfs -o size={size} disk '{folder}' && echo ready && exec sleep 600"
    with subprocess.Popen([*unshare, "sh", "-c", mounted], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == "ready\n"
            yield SmallDisk([*enter, "-t", str(holder.pid)], Path(f"/proc/{holder.pid}/root{folder}"))
        finally:
            holder.kill()
