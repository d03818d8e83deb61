"""A Windows-like node of the lab, as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.layout import PROJECT
from lab.winrm.windows import Drive

ADDRESS = "127.0.0.1"
USER = "deploy"
PASSWORD = "canary-winrm-password"
_START_S = 60.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A node that runs."""

    folder: Path
    port: int
    pid: int

    @property
    def drive(self) -> Drive:
        return Drive(self.folder / "C")

    @property
    def url(self) -> str:
        return f"https://{ADDRESS}:{self.port}/wsman"

    @property
    def certificate(self) -> str:
        return str(self.folder / "winrm.pem")


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[Endpoint]:
    """A node with these settings of `lab.winrm`, ended with all that it runs."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"folder": str(folder), "host": "node", "address": ADDRESS, "port": 0, "passwords": {USER: PASSWORD}}
    file = folder / "config.json"
    file.write_text(json.dumps({**config, **settings}))
    process = subprocess.Popen([sys.executable, "-m", "lab.winrm", file], cwd=PROJECT)
    try:
        deadline = time.monotonic() + _START_S
        while not (folder / "port").exists():
            assert process.poll() is None, "the endpoint did not start"
            assert time.monotonic() < deadline, "the endpoint did not start in time"
            time.sleep(0.05)
        yield Endpoint(folder, int((folder / "port").read_text()), process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)
