"""The lab's C# service as one process, outside the lab, for tests of the service itself."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import tarfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.build import Release, build
from tests.waiting import PATIENCE_S, until


def unpack(release: Release, folder: Path) -> Path:
    """The release's content below a folder of that test."""
    target = folder / release.name
    with tarfile.open(build(release)) as archive:
        # An archive of our own. Debian 12's Python has no extraction filters yet.
        archive.extractall(target)
    (target / ".digest").write_text("ab" * 32)
    return target


@dataclass(frozen=True, slots=True)
class Running:
    """One started service."""

    process: subprocess.Popen[bytes]
    address: str
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/health", timeout=PATIENCE_S) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


class Customer(threading.Thread):
    """Sends requests on one kept connection until the service says that it closes; counts what was lost."""

    def __init__(self, address: str, method: str, path: str, body: bytes | None = None) -> None:
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection(address, 8080, timeout=PATIENCE_S)
        self.request = (method, path, body)
        self.answers = 0
        self.lost: list[str] = []
        self.closed = False

    def run(self) -> None:
        while not self.closed and not self.lost:
            try:
                self.connection.request(*self.request)
                answer = self.connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as problem:
                self.lost.append(f"{self.request[1]}: {problem!r}")
                return
            self.answers += answer.status in (200, 201)
            self.closed = answer.getheader("Connection") == "close"


@contextmanager
def serving(release: Release, folder: Path, address: str, port: int = 8080) -> Iterator[Running]:
    """Start the release and wait until it answers; whatever is left of it is killed at the end."""
    content = unpack(release, folder)
    environment = {
        **os.environ,
        "SERVICE_NAME": release.service,
        "LISTEN": f"{address}:{port}",
        "NODE": "n1",
        "DIGEST_FILE": str(content / ".digest"),
    }
    log = folder / f"{release.name}.log"
    with log.open("wb") as output:
        argv = ["mono", str(content / "bin" / "Service.exe")]
        process = subprocess.Popen(argv, env=environment, stdout=output, stderr=subprocess.STDOUT)
    running = Running(process, address, port, log)
    try:
        until(lambda: _answers(running), lambda: f"it answers\n{log.read_text()}", of=process)
        yield running
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def _answers(running: Running) -> bool:
    try:
        running.health()
    except OSError:
        return False
    return True
