"""The shipper's process, as the playbook has it: that it ended too early is seen."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.plugin_utils.shipping.shipping import Shipping
from tests.waiting import until


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Shipping]:
    shipping = Shipping()
    shipping.enter()
    shipping.add_sink({"sink": "graphite", "carbon": "127.0.0.1:1"}, str(tmp_path / "spool"), 1.0)
    yield shipping
    shipping.leave()


def test_one_that_was_killed_has_ended(started: Shipping) -> None:
    assert started.ended() == ""
    os.kill(started.pid, signal.SIGKILL)
    until(lambda: started.ended() == "by signal 9", "it is dead", 30)


def test_one_that_cannot_have_the_spool_has_ended(tmp_path: Path, started: Shipping) -> None:
    other = Shipping()
    other.enter()
    (tmp_path / "other" / "lock").mkdir(parents=True)
    other.add_sink({"sink": "graphite", "carbon": "127.0.0.1:1"}, str(tmp_path / "other"), 1.0)
    until(lambda: other.ended() == "with exit code 2", "it says so", 60)
    other.leave()
    assert other.ended() == ""
    assert started.ended() == ""
