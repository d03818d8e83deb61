"""The two sides of a measurement in a process of its own, when one of them fails."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from lab.witness import Witness, write_json
from tests.waiting import until


def witness(tmp_path: Path, module: str = "lab.sampler", **settings: object) -> Witness:
    usual = {"max_seconds": 30, "sockets": {"lb1": "/nowhere"}, "pools": []}
    return Witness(module, "try", usual | settings, tmp_path)


def test_what_can_not_start_says_why_and_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(DomainError, match=r"try did not start measuring.*no_such_module.*try\.log"):
        witness(tmp_path, "lab.no_such_module").start()


def test_a_result_comes_back_and_the_process_is_gone(tmp_path: Path) -> None:
    one = witness(tmp_path).start()
    assert one.running()
    assert set(one.stop()["balancers"]) == {"lb1"}
    assert not one.running()


def test_a_process_that_was_killed_has_no_result(tmp_path: Path) -> None:
    (tmp_path / "try.json").write_text('{"seconds": 1, "balancers": {"from": "before"}}')
    one = witness(tmp_path).start()
    os.kill(one.pid, signal.SIGKILL)
    with pytest.raises(DomainError, match="ended without a result"):
        one.stop()


def test_it_ends_by_itself_after_its_time(tmp_path: Path) -> None:
    one = witness(tmp_path, max_seconds=0.2).start()
    until(lambda: not one.running(), "it has ended")
    assert one.stop()["seconds"] >= 0.2


def test_json_is_written_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "x.json", {"a": 1})
    assert json.loads((tmp_path / "deep" / "x.json").read_text()) == {"a": 1}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x.json"]
