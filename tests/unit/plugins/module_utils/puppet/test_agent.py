from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent import look
from tests.unit.plugins.module_utils.puppet_double import PuppetDouble


@pytest.fixture
def puppet(tmp_path: Path) -> PuppetDouble:
    return PuppetDouble(tmp_path / "node")


def test_where_its_files_are(puppet: PuppetDouble) -> None:
    agent = look(puppet.node, "/etc/p")
    assert agent.report == str(puppet.report)
    assert agent.disabled_lock == str(puppet.lock)
    assert agent.program == str(puppet.home / "bin" / "puppet")
    assert (agent.disabled, agent.running) == (None, None)
    assert puppet.calls() == [
        "config print --section agent --confdir /etc/p "
        "agent_catalog_run_lockfile agent_disabled_lockfile config lastrunreport"
    ]


def test_the_settings_are_asked_once(puppet: PuppetDouble, tmp_path: Path) -> None:
    cache = str(tmp_path / "state" / "settings")
    assert look(puppet.node, settings_cache=cache) == look(puppet.node, settings_cache=cache)
    assert len(puppet.calls()) == 1


def test_they_are_asked_again_when_puppet_conf_changed(puppet: PuppetDouble, tmp_path: Path) -> None:
    cache = tmp_path / "settings"
    look(puppet.node, settings_cache=str(cache))
    later = time.time() + 10
    os.utime(puppet.home / "puppet.conf", (later, later))
    look(puppet.node, settings_cache=str(cache))
    assert len(puppet.calls()) == 2


def test_they_are_asked_again_after_a_day(puppet: PuppetDouble, tmp_path: Path) -> None:
    cache = tmp_path / "settings"
    look(puppet.node, settings_cache=str(cache))
    yesterday = time.time() - 25 * 3600
    os.utime(cache, (yesterday, yesterday))
    look(puppet.node, settings_cache=str(cache))
    assert len(puppet.calls()) == 2


def test_without_a_cache_nothing_is_written(puppet: PuppetDouble, tmp_path: Path) -> None:
    look(puppet.node)
    assert {path.name for path in tmp_path.iterdir()} == {"node"}


@pytest.mark.parametrize(
    ("lock", "reason"),
    [
        ('{"disabled_message":"maintenance, Ann"}', "maintenance, Ann"),
        ('{"disabled_message":"{\\"by\\": \\"Ann\\"}"}', '{"by": "Ann"}'),
        ("{}", ""),
        ("", ""),
        ("not JSON", "not JSON"),
        ("[1]", ""),
    ],
)
def test_whatever_is_in_the_lock_it_disables(puppet: PuppetDouble, lock: str, reason: str) -> None:
    puppet.lock.write_text(lock)
    assert look(puppet.node).disabled == reason


def test_a_run_lock_counts_while_its_process_looks_like_puppet(puppet: PuppetDouble) -> None:
    with puppet.run_in_progress() as process:
        assert look(puppet.node).running == process.pid
    assert look(puppet.node).running is None


@pytest.mark.parametrize("content", ["", "x", "-1", str(os.getpid()), "4194305"])
def test_any_other_run_lock_is_stale(puppet: PuppetDouble, content: str) -> None:
    (puppet.home / "run.lock").write_text(content)
    assert look(puppet.node).running is None


def test_no_puppet_is_told(tmp_path: Path) -> None:
    (tmp_path / "timeout").symlink_to("/usr/bin/timeout")
    with pytest.raises(BadInput, match=r"no puppet is on the PATH.*\(n1\)"):
        look(PosixNode("n1", LocalShell({"PATH": str(tmp_path)})))


def test_settings_that_are_not_told_are_named(puppet: PuppetDouble) -> None:
    (puppet.home / "bin" / "puppet").write_text("#!/bin/sh\necho 'Could not parse puppet.conf' >&2; exit 1\n")
    with pytest.raises(BadInput, match=r"did not tell \w+: Could not parse puppet.conf \(n1: /etc/p\)"):
        look(puppet.node, "/etc/p")
