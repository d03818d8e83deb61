"""How far a sink has got with a source: a small file, written after the sink has confirmed and never before."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.whole_file import write_whole

_FOLDER = "cursors"
# That of a spool names each of its files.
_MAX = 16 * 1024 * 1024


class Cursor:
    """<spool>/cursors/<sink>.<digest of the source>.json. Where it can't be written, more is sent twice."""

    def __init__(self, spool: Path, sink: str, source: str) -> None:
        self._source = source
        self._path = spool / _FOLDER / f"{sink}.{hashlib.sha256(source.encode()).hexdigest()[:16]}.json"
        self.problem = ""

    def load(self) -> object:
        """The position; None when there is none that can be read."""
        try:
            with self._path.open("rb") as file:
                told = json.loads(file.read(_MAX))
            return told["position"] if told["source"] == self._source else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, position: object) -> None:
        """Write it, all or nothing."""
        text = json.dumps({"source": self._source, "position": position}) + "\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(self._path, lambda file: file.write(text.encode()))
            self.problem = ""
        except OSError as error:
            self.problem = error.strerror or type(error).__name__
