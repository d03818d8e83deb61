"""The stand-in for Splunk's collector as a process of its own, and the other callback that ships to it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import children
from benchmarks.measured import Failed
from benchmarks.simulated import PLAYBOOK, PROJECT
from benchmarks.stock_ansible import stock_ansible
from lab.files import write_file
from lab.splunk.arrivals import Arrival, read_arrivals
from lab.splunk.faults import Faults

_DEADLINE_S = 60.0
_LOOK_S = 0.05
CASES: Mapping[str, Faults] = {
    "0ms": Faults(),
    "200ms": Faults(latency_s=0.2),
    "2000ms": Faults(latency_s=2.0),
    "down": Faults(refused=True),
}


@dataclass(frozen=True, slots=True)
class Collector:
    """A collector that runs. Two tokens: ours with acknowledgement, the other callback's without."""

    folder: Path
    port: int
    token: str
    other_token: str

    @property
    def url(self) -> str:
        """Of its root."""
        return f"http://127.0.0.1:{self.port}"

    def set(self, faults: Faults) -> None:
        """They are in force when this returns. Raises Failed."""
        text, seen = faults.to_json(), self.folder / "faults.seen"
        write_file(self.folder / "faults.json", text)
        _wait(lambda: seen.exists() and seen.read_text() == text, "the collector takes no faults")

    def acknowledged(self) -> list[Arrival]:
        """Ours that were taken, and whose sender was told so, duplicates too."""
        return [one for one in read_arrivals(self.folder) if one.token == "tidegate" and one.told]  # noqa: S105

    def environment_of_other(self) -> dict[str, str]:
        """What makes ansible-playbook ship by community.general.splunk, beside our own callbacks."""
        return {
            "ANSIBLE_CALLBACKS_ENABLED": "tidegate.delivery.stop,community.general.splunk",
            "ANSIBLE_COLLECTIONS_PATH": f"{PROJECT / 'collections'}:{_other_collection()}",
            "SPLUNK_URL": f"{self.url}/services/collector/event",
            "SPLUNK_AUTHTOKEN": self.other_token,
            "SPLUNK_INCLUDE_MILLISECONDS": "true",
        }


@contextmanager
def collector(folder: Path) -> Iterator[Collector]:
    """Started for a measurement, and ended with it. Raises Failed."""
    folder.mkdir(parents=True, exist_ok=True)
    ours, other = str(uuid.uuid4()), str(uuid.uuid4())
    tokens: list[dict[str, Any]] = [
        {"name": "tidegate", "value": ours, "use_ack": True},
        {"name": "other", "value": other},
    ]
    write_file(folder / "configuration.json", json.dumps({"tokens": tokens}), mode=0o600)
    argv = [str(PLAYBOOK.with_name("python")), "-m", "lab.splunk", "--state", str(folder)]
    process = children.start(
        [*argv, "--configuration", str(folder / "configuration.json")], folder / "log", env={"PYTHONPATH": str(PROJECT)}
    )
    try:
        port = folder / "port"
        _wait(port.exists, f"the collector does not begin: {folder / 'log'}")
        yield Collector(folder, int(port.read_text()), ours, other)
    finally:
        children.end(process)


def _other_collection() -> Path:
    """A folder with community.general of the package `ansible` and with nothing else of it."""
    ansible = stock_ansible()
    (packages,) = ansible.folder.glob("lib/python3*/site-packages/ansible_collections/community/general")
    link = ansible.folder / "alone" / "ansible_collections" / "community" / "general"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(packages)
    return link.parent.parent.parent


def _wait(reached: Callable[[], bool], problem: str) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not reached():
        if time.monotonic() > deadline:
            raise Failed(problem)
        time.sleep(_LOOK_S)
