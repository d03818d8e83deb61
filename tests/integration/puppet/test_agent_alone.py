"""The real agent, as far as it goes without a server."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent import look
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.freeze import (
    freeze,
    freeze_of,
    reason_text,
    thaw,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.run import run
from tests.integration.puppet.agent_home import AgentHome
from tests.puppet_start import start_run

OURS = reason_text("d1", "tradeapi", "ann")


def puppet(agent: AgentHome, *argv: str) -> None:
    subprocess.run(["puppet", "agent", "--confdir", agent.confdir, *argv], check=True)


def test_where_the_agents_files_are(agent: AgentHome) -> None:
    found = look(agent.node, agent.confdir)
    assert Path(found.program).is_file()
    assert found.report == str(agent.vardir / "state" / "last_run_report.yaml")
    assert found.disabled_lock == str(agent.vardir / "state" / "agent_disabled.lock")
    assert (found.disabled, found.running) == (None, None)


def test_a_server_that_is_not_there(agent: AgentHome) -> None:
    result = agent.run()
    assert (result.outcome, result.exit_code, result.report) == (PuppetOutcome.SERVER_UNREACHABLE, 1, None)
    assert "127.35.0.99" in result.verdict.detail
    assert "Check the Puppet server" in result.outcome.remedy


def test_freeze_and_thaw_with_puppets_own_commands(agent: AgentHome) -> None:
    assert freeze(agent.node, agent.confdir, OURS).changed
    assert agent.reason == OURS
    puppet(agent, "--disable", "a second one")
    assert agent.reason == OURS, "Puppet keeps the first reason"
    assert thaw(agent.node, agent.confdir, "d1").changed
    assert agent.reason is None


def test_a_strangers_freeze_stands(agent: AgentHome) -> None:
    puppet(agent, "--disable", '{"by": "Ann"}')
    with pytest.raises(Refused, match=r'disabled by someone else: \{"by": "Ann"\}'):
        freeze(agent.node, agent.confdir, OURS)
    assert not thaw(agent.node, agent.confdir, "d1").changed
    assert str(freeze_of(look(agent.node, agent.confdir))) == '{"by": "Ann"}'
    assert agent.run().outcome is PuppetOutcome.DISABLED
    assert not (agent.home / "jobs").exists()


def test_a_freeze_between_look_and_start_is_told_by_puppet(agent: AgentHome) -> None:
    before = look(agent.node, agent.confdir)
    puppet(agent, "--disable", "Ann was quicker")
    start_run(agent.node, agent.request(), before)
    result = run(agent.node, agent.request(), lambda _line: None)
    assert (result.outcome, result.adopted) == (PuppetOutcome.DISABLED, True)
    assert result.verdict.detail == "reason: Ann was quicker"


def test_our_own_freeze_is_passed_by_our_run_alone(agent: AgentHome) -> None:
    freeze(agent.node, agent.confdir, OURS)
    assert agent.run().outcome is PuppetOutcome.SERVER_UNREACHABLE
    assert agent.reason == OURS
    periodic = subprocess.run(
        ["puppet", "agent", "--confdir", agent.confdir, "--onetime", "--no-daemonize", "--verbose"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert f"administratively disabled (Reason: '{OURS}')" in periodic.stdout


def test_an_agent_that_can_not_begin(agent: AgentHome) -> None:
    with agent.settings("ssldir = /dev/null/ssl"):
        result = agent.run()
    assert (result.outcome, result.exit_code) == (PuppetOutcome.AGENT_FAILED, 1)
    assert "/dev/null" in result.verdict.detail


def test_a_server_that_takes_connections_and_never_answers(agent: AgentHome) -> None:
    hanging = agent.settings("server = 127.35.0.98", "http_connect_timeout = 1", "http_read_timeout = 1")
    with socket.create_server(("127.35.0.98", 8140)), hanging:
        result = agent.run()
    assert result.outcome is PuppetOutcome.SERVER_UNREACHABLE
    assert "timed out" in result.verdict.detail


def test_a_node_without_puppet(agent: AgentHome, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "timeout").symlink_to("/usr/bin/timeout")
    agent.node = PosixNode("here", LocalShell({"PATH": str(tools)}))
    assert agent.run().outcome is PuppetOutcome.NO_AGENT


def test_an_ordinary_user_is_not_taken_for_the_nodes_agent(agent: AgentHome) -> None:
    shell = LocalShell()
    become = "setpriv --reuid 65534 --regid 65534 --clear-groups" if os.getuid() == 0 else "env"
    agent.node = PosixNode("here", lambda command, stdin, timeout: shell(f"{become} {command}", stdin, timeout))
    request = replace(agent.request(), confdir="", settings_cache="")
    result = run(agent.node, request, lambda _line: None)
    assert result.outcome is PuppetOutcome.NOT_ROOT
    assert result.verdict.detail.startswith("commands run as ")
    assert not Path(request.folder).exists()
