"""A Windows-like node of the lab, as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winrm.protocol import Protocol

from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.remote_shell import RemoteShell
from lab.layout import PROJECT
from lab.winrm.windows import Drive
from tests.waiting import PATIENCE_S, until

ADDRESS = "127.0.0.1"
USER = "deploy"
PASSWORD = "canary-winrm-password"


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
        until((folder / "port").exists, "the endpoint listens", of=process)
        yield Endpoint(folder, int((folder / "port").read_text()), process.pid)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def protocol(endpoint: Endpoint, **options: Any) -> Protocol:
    """Plain pywinrm."""
    trust = {"username": USER, "password": PASSWORD, "ca_trust_path": endpoint.certificate}
    return Protocol(
        endpoint.url,
        **{"transport": "basic", "operation_timeout_sec": 60, "read_timeout_sec": PATIENCE_S, **trust, **options},
    )


def shell_of(node: WindowsNode) -> RemoteShell:
    """The shell in which the node's operations start programs."""
    assert isinstance(node.execute, RemoteShell)
    return node.execute


def delete_shell_of(endpoint: Endpoint, node: WindowsNode) -> None:
    """As an administrator may, by another client; only the shell's owner can."""
    shell = shell_of(node).id
    assert shell is not None
    protocol(endpoint).close_shell(shell)
