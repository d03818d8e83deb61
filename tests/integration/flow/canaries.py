"""Canary secrets, and looking for them in files and process lists."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

# Of this process alone: other tests with canaries may run beside it.
MARK = f"canary-{secrets.token_hex(4)}"
CANARIES = {
    "host": f"{MARK}-of-the-host",
    "group": f"{MARK}/of the group&co",
    "localhost": f'{MARK}-"quoted"-of-localhost',
    "environment": f"{MARK}-of-the-environment",
    "tests": f"{MARK}-of-the-tests",
    "lines": f"{MARK}-line-one\n{MARK}-line-two\n",
}


def write_inventory(folder: Path) -> Path:
    """What is added to the lab's inventory."""
    path = folder / "canaries.yml"
    hosts = {
        "localhost": {"local_token": CANARIES["localhost"]},
        "n1": {"db_password": CANARIES["host"], "tls_private_key": CANARIES["lines"]},
        "testbox": {"trade_test_token": CANARIES["tests"]},
    }
    nodes = {"vars": {"api_token": CANARIES["group"]}}
    path.write_text(yaml.safe_dump({"all": {"hosts": hosts, "children": {"tradeapi": nodes}}}))
    return path


class Processes:
    """Command lines in which one of the marks was seen."""

    def __init__(self, *marks: str) -> None:
        self.marks = marks or (MARK,)
        self.seen: set[str] = set()
        self.looks = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        ended = threading.Event()
        thread = threading.Thread(target=self._watch, args=(ended,))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _watch(self, ended: threading.Event) -> None:
        while not ended.wait(0.2):
            self.looks += 1
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                except OSError:
                    continue
                if any(mark in line for mark in self.marks):
                    self.seen.add(line)


def files_with_the_mark(folder: Path, mark: str = MARK) -> set[Path]:
    found = set()
    for path in folder.rglob("*"):
        if path.is_file() and mark.encode() in path.read_bytes():
            found.add(path.relative_to(folder))
    return found
