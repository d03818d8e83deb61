"""One command, measured from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import measured
from lab import processes


def test_what_is_interrupted_ends_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "pid"

    def interrupted(_seconds: float) -> None:
        if told.exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(measured, "LIMIT_S", 60)
    # As ansible-playbook's workers, the child is a session of its own.
    script = f"setsid sleep 600 & echo $! > {told}.new; mv {told}.new {told}; wait"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("benchmarks.measured.time.sleep", interrupted)
        measured.measure(["sh", "-c", script], tmp_path, {"PATH": "/usr/bin:/bin"}, tmp_path / "log")
    child = int(told.read_text())
    assert processes.await_end(lambda: [each for each in [processes.read(child)] if each], 10) == []
