from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import DEPLOYMENT_S, PATIENCE_S

WORKER = Path(__file__).with_name("worker.py")


class Worker:
    """A process of its own at the ledger."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def hear(self) -> dict[str, Any]:
        """What it says next."""
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        assert isinstance(told, dict)
        return told

    def tell(self) -> None:
        """Send it the line that it waits for."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> list[dict[str, Any]]:
        """Kill it with -9; what it had said whole until then."""
        self.process.kill()
        said, _ = self.process.communicate(timeout=PATIENCE_S)
        return [json.loads(line) for line in said.splitlines(keepends=True) if line.endswith("\n")]

    def end(self) -> list[dict[str, Any]]:
        """Wait for it to end well; all that it said."""
        said, _ = self.process.communicate("\n", timeout=DEPLOYMENT_S)
        assert self.process.returncode == 0
        return [json.loads(line) for line in said.splitlines()]


Start = Callable[..., Worker]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start workers, ready to act on `tell`; none is left at the end."""
    workers: list[Worker] = []

    def started(*arguments: str) -> Worker:
        workers.append(Worker(*arguments))
        return workers[-1]

    yield started
    for worker in workers:
        if worker.process.poll() is None:
            worker.kill()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state' / 'ledger.sqlite'}"
