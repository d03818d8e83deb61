"""A node whose boot, and whose `shutdown`, are files below a folder, as the lab's nodes have them (lab/boot.py)."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode


class Edge:
    """One node in its first boot, which can't be rebooted until `shutdown` is written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.node = PosixNode("n1", LocalShell({**os.environ, "TIDEGATE_NODE_ROOT": str(root)}))
        self.write("proc/sys/kernel/random/boot_id", "first\n")

    @property
    def boot_id(self) -> Path:
        return self.root / "proc" / "sys" / "kernel" / "random" / "boot_id"

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def shutdown(self, script: str) -> None:
        """What happens when the node is rebooted. $1 and $2 are -r and now."""
        self.write("sbin/shutdown", f'#!/bin/sh\nroot={self.root}; echo "$*" >>"$root/asked"\n{script}\n')
        (self.root / "sbin" / "shutdown").chmod(0o755)

    def asked(self) -> list[str]:
        """What `shutdown` was called with, each time."""
        file = self.root / "asked"
        return file.read_text().splitlines() if file.exists() else []


NEW_BOOT = 'echo second >"$root/proc/sys/kernel/random/boot_id"'
