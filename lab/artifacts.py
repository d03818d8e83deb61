"""The artifact repository: a static HTTP server over the folder that the release builder fills."""

from __future__ import annotations

import sys

from lab.layout import ARTIFACT_PORT, PROJECT, Layout
from lab.net import tcp_answers
from lab.supervise import Unit

UNIT = "artifacts"


def prepare(layout: Layout) -> None:
    """Make the folder, so that the server starts before the first release is built."""
    layout.artifacts_dir.mkdir(parents=True, exist_ok=True)


def units(layout: Layout) -> list[Unit]:
    host = layout.host("artifacts")
    server = PROJECT / "lab" / "fileserver.py"
    return [
        Unit(
            name=UNIT,
            host=host.name,
            argv=[sys.executable, "-I", str(server), host.address, str(ARTIFACT_PORT), str(layout.artifacts_dir)],
            ready=lambda: tcp_answers(host.address, ARTIFACT_PORT, b"HEAD / HTTP/1.0\r\n\r\n", b"HTTP/1."),
            log=layout.log / "artifacts.log",
            listens=[(host.address, ARTIFACT_PORT)],
        )
    ]
