"""`tidegate events flush`: how it ends, and what it names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.tidegate.cli.events.called import in_process
from tidegate.cli.events import flushing
from tidegate.shipping.aside import Aside


def test_what_a_playbooks_process_set_aside_is_told_until_its_file_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = {"sink": "splunk", "url": "http://127.0.0.1:1", "token": "t"}
    monkeypatch.setattr(flushing, "settings", lambda: ([sink], tmp_path))
    aside = Aside(tmp_path, "splunk")
    aside.add({"e1": "the collector refuses it"})
    for _ in range(2):
        done = in_process("flush", "--spool-only", "--json")
        told = json.loads(done.stdout)
        assert (done.return_value, told["exit"], told["outcome"]) == (4, 4, "set_aside")
        assert told["set_aside"] == {"e1": "the collector refuses it"}
        assert told["message"].endswith(f"This is told until you remove {aside.path}")
        assert told["sinks"][0]["shipped"] == 0
    aside.path.unlink()
    done = in_process("flush", "--spool-only", "--json")
    assert (done.return_value, json.loads(done.stdout)["set_aside"]) == (0, {})
