"""Whoever stops the command, and however: nothing runs on, the pools are in a defined state, and it can go on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from tests.integration.command.commanded import Commands, Running, Terminal, begun, only
from tests.integration.flow.lab_site import NODES, Site

pytestmark = pytest.mark.lab


def ended(step: Step) -> Callable[[Event], bool]:
    return lambda event: event.step is step and event.outcome is not Outcome.STARTED


def assert_stopped(site: Site, running: Running) -> None:
    """Held with one node in maintenance at most, no lock, no freeze, no process."""
    assert running.survivors() == []
    facts = site.facts()
    assert facts.outcome == "held"
    for host in facts.online:
        out = set(NODES) - set(facts.online[host])
        assert out <= {"n1"}
        assert out == set(facts.maintenance[host])
    assert not site.locks.held()
    assert not site.frozen()


def test_ctrl_c_jenkins_and_a_closed_terminal_stop_at_a_safe_point(site: Site, commands: Commands) -> None:
    """One deployment, stopped three times and resumed each time."""
    version = site.other_version("n1")
    running = commands.start("deploy", "tradeapi", version, "--yes", *only("n1"))
    site.await_event(begun(Step.PUPPET), running.process)
    os.killpg(running.process.pid, signal.SIGINT)
    stopped = running.end()
    assert stopped.rc == 130, stopped.stderr
    assert "SIGINT: stopping at the next safe point" in stopped.stderr
    assert "tidegate resume tradeapi -i inventories/lab" in stopped.stderr
    assert_stopped(site, running)

    running = commands.start("resume", "tradeapi", "--yes")
    site.await_event(begun(Step.NUNIT), running.process)
    running.signal_all(signal.SIGTERM)
    aborted = running.end()
    assert aborted.rc == 130, aborted.stderr
    assert_stopped(site, running)

    terminal = Terminal.open()
    running = commands.start("resume", "tradeapi", "--yes", terminal=terminal.theirs)
    site.await_event(ended(Step.FREEZE), running.process)
    terminal.close()
    assert running.end().rc == 130
    assert_stopped(site, running)

    again = commands.call("deploy", "tradeapi", version, "--yes", "--json", *only("n1"))
    assert again.rc == 0, again.stderr
    assert site.facts().serving["n1"] == version
    assert site.deployment().attempt == 4


def test_a_second_ctrl_c_ends_at_once_and_the_same_command_goes_on(site: Site, commands: Commands) -> None:
    version = site.other_version("n1")
    running = commands.start("deploy", "tradeapi", version, "--yes", *only("n1"))
    site.await_event(begun(Step.PUPPET), running.process)
    # The first can't be heard: then only the second helps.
    running.playbook().suspend()
    os.killpg(running.process.pid, signal.SIGINT)
    # More than a second by its own clock, which a busy machine may have kept from it for a while.
    time.sleep(3)
    assert running.process.poll() is None
    os.killpg(running.process.pid, signal.SIGINT)
    ended_at_once = running.end()
    assert ended_at_once.rc == 130, ended_at_once.stderr
    assert "tidegate resume tradeapi" in ended_at_once.stderr
    assert running.survivors() == []

    again = commands.call("deploy", "tradeapi", version, "--yes", *only("n1"))
    assert again.rc == 0, again.stderr
    assert site.facts().serving["n1"] == version


def test_a_person_sees_the_plan_says_yes_and_watches(site: Site, commands: Commands) -> None:
    terminal = Terminal.open()
    version = site.other_version("n1")
    running = commands.start("deploy", "tradeapi", version, *only("n1"), terminal=terminal.theirs)
    terminal.await_text("Go on? [y/N]")
    assert "wave 1 (lab): n1" in terminal.shown
    assert site.deployment().version != version
    terminal.type("y\n")
    terminal.await_text("nunit ✓")
    terminal.await_text(f"tradeapi in lab is at {version}")
    assert running.end().rc == 0, terminal.shown
    assert "maintenance" in terminal.shown
    terminal.close()
