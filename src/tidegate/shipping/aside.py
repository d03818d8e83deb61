"""Which events a sink would not have, and why: a file that people read when the process that shipped is long gone."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

_FOLDER = "set-aside"
# Who refuses that much refuses everything, and the first ones say why.
_MAX_BYTES = 1024 * 1024


class Aside:
    """<spool>/set-aside/<sink>.jsonl, an event a line: `at` (seconds since 1970), `id` and `why`."""

    def __init__(self, spool: Path, sink: str) -> None:
        self.path = spool / _FOLDER / f"{sink}.jsonl"
        self._ids = set(self.all())

    def add(self, found: Mapping[str, str]) -> None:
        """Write down those that are not there yet. Where nothing can be written, only `--json` and the count tell."""
        new = {id_: why for id_, why in found.items() if id_ not in self._ids}
        if not new:
            return
        self._ids |= new.keys()
        at = round(time.time(), 3)
        lines = "".join(json.dumps({"at": at, "id": id_, "why": why}) + "\n" for id_, why in new.items())
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            with os.fdopen(os.open(self.path, flags, 0o600), "ab+") as file:
                size = file.seek(0, os.SEEK_END)
                if size + len(lines) > _MAX_BYTES:
                    return
                file.seek(max(0, size - 1))
                # What a kill tore stays a line of its own.
                file.write((lines if file.read() in (b"", b"\n") else f"\n{lines}").encode())
        except OSError:
            return

    def all(self) -> dict[str, str]:
        """Ids and why; those of lines that a kill tore are left out."""
        found: dict[str, str] = {}
        try:
            with self.path.open("rb") as file:
                lines = file.read(_MAX_BYTES).splitlines()
        except OSError:
            return {}
        for line in lines:
            try:
                told = json.loads(line)
                found[str(told["id"])] = str(told["why"])
            except (ValueError, KeyError, TypeError):
                continue
        return found
