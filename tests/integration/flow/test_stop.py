"""Stopped at any time, in any way: nothing survives, the pools are in a defined state, running again completes."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step
from tests.integration.flow.interrupts import (
    PipedRun,
    Run,
    TerminalRun,
    WatchedRun,
    answered,
    deployment,
    leave_by_hand,
    open_orders,
)
from tests.integration.flow.lab_site import NODES, Site

pytestmark = pytest.mark.lab

Wait = Callable[[Run], None]
Interrupt = Callable[[Run], None]


def began(step: Step, for_s: float = 0.0) -> Wait:
    """The step has begun, and goes on for a while."""

    def wait(run: Run) -> None:
        run.await_event(lambda event: event.step is step and event.outcome is Outcome.STARTED)
        time.sleep(for_s)

    return wait


def ended(step: Step) -> Wait:
    return lambda run: run.await_event(lambda event: event.step is step and event.outcome.good)


def said(text: str, for_s: float = 0.0) -> Wait:
    def wait(run: Run) -> None:
        run.await_text(text)
        time.sleep(for_s)

    return wait


def drains(run: Run) -> None:
    """New customers no longer come to n1; those who are there keep it from leaving."""
    run.await_state(lambda site: site.servers()["lb1 tradeapi_online/n1"] != "admin 0", "n1 drains")


def alone(number: signal.Signals) -> Interrupt:
    return lambda run: run.interrupt(number)


def everyone(number: signal.Signals) -> Interrupt:
    return lambda run: run.interrupt_everyone(number)


def its_reader_ends(run: Run) -> None:
    assert isinstance(run, WatchedRun)
    run.close()


@dataclass(frozen=True, slots=True)
class Stop:
    """A moment of n1's deployment, what the cause of a stop then says, and whether n1 is left in maintenance."""

    name: str
    reached: Wait
    cause: str
    out: bool


PLANNING = Stop("planning", said("asking 2 load balancers"), "while planning; nothing was opened", out=False)
OPENED = Stop("opened", ended(Step.PLAN), "before the wave began", out=False)
FREEZE = Stop("freeze", began(Step.FREEZE), "", out=False)
DRAIN = Stop("drain", ended(Step.FREEZE), "while the wave left the online pool; online again: n1", out=False)
PIN = Stop("pin", began(Step.PIN), "before Puppet ran", out=True)
# The command that starts a run waits for it, too.
PUPPET = Stop("puppet", began(Step.PUPPET, 2.0), "as Puppet was started; if it runs, it goes on there", out=True)
RELEASE = Stop("release", said("Read back which release is served"), "", out=True)
# Of several good answers in a row, half a second apart.
HEALTH = Stop("health", said("and wait until the nodes are healthy", 0.7), "", out=True)
NUNIT = Stop("nunit", began(Step.NUNIT, 0.3), "while the tests ran", out=True)
WARMUP = Stop("warmup", said("Warm the node up"), "", out=True)
STOPS = (PLANNING, OPENED, FREEZE, DRAIN, PIN, PUPPET, RELEASE, HEALTH, NUNIT, WARMUP)
# What comes sooner is the same request: signals are often passed on by several.
SAME_REQUEST_S = 1.1
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# From the first command of the join on, a run of one wave is brought to its end.
JOINING = began(Step.JOIN, 0.3)
LATE = {
    "join": JOINING,
    "thaw": began(Step.THAW),
    "confirm": said("Ask the load balancers whether the whole wave"),
    "settle": began(Step.RAISE),
}


def stop(site: Site, folder: Path, version: str, at: Stop, interrupt: Interrupt, kind: type[Run] = Run) -> None:
    """Interrupt a deployment of n1 there, and see what it leaves."""
    with deployment(kind, site, folder, version) as run:
        at.reached(run)
        with open_orders(site if at is DRAIN else None) as customers:
            if at is DRAIN:
                drains(run)
            interrupt(run)
            played = run.ended()
            assert {answered(customer) for customer in customers} <= {"HTTP/1.1 201 Created"}, at
        assert played.rc not in (0, None), (at, played.output)
        assert not run.survivors(), at
    require_stopped(site, at)


def require_stopped(site: Site, at: Stop) -> None:
    """Nothing is locked or frozen, n1 is in one pool, and the ledger says that somebody stopped it, and where."""
    assert not site.locks.held(), at
    assert not site.frozen(), at
    online = set(NODES) - {"n1"} if at.out else set(NODES)
    facts = site.facts()
    assert all(set(nodes) == online for nodes in facts.online.values()), (at, facts)
    assert all(set(nodes) <= set(NODES) - online for nodes in facts.maintenance.values()), (at, facts)
    last = site.last_event()
    assert at.cause in str(last.details["msg"]), (at, last)
    if at is PLANNING:
        assert last.outcome is Outcome.STOPPED
    else:
        assert (last.step, last.outcome) == (Step.HOLD, Outcome.HELD)
        assert "stopped by" in str(last.details["cause"]).lower(), (at, last)


def require_done(site: Site, version: str, *nodes: str) -> None:
    facts = site.facts()
    assert facts.outcome == "done"
    assert {facts.serving[node] for node in nodes} == {version}
    assert all(set(online) == set(NODES) for online in facts.online.values())
    assert not site.locks.held()
    assert not site.frozen()


@pytest.mark.slow
def test_stopped_at_every_turn_a_deployment_completes_in_the_end(site: Site, tmp_path: Path) -> None:
    """Every day the command is stopped, in three ways (integration/command)."""
    new = site.other_version("n1", "n2")
    stop(site, tmp_path, new, PLANNING, alone(signal.SIGINT))
    stop(site, tmp_path, new, DRAIN, its_reader_ends, TerminalRun)
    stop(site, tmp_path, new, PUPPET, everyone(signal.SIGTERM))
    # A wave that joins is brought to its end, and no other begins.
    with deployment(Run, site, tmp_path, new, "n1", "n2") as run:
        JOINING(run)
        run.interrupt(signal.SIGINT)
        assert run.ended().rc not in (0, None)
        assert not run.survivors()
    facts = site.facts()
    assert facts.outcome == "held"
    assert facts.serving["n1"] == new != facts.serving["n2"]
    assert all(set(online) == set(NODES) for online in facts.online.values())
    held = site.last_event()
    assert "before the wave began" in str(held.details["cause"])
    assert held.nodes == ("n2",)

    again = site.deploy(new, nodes=("n1", "n2"))
    assert again.rc == 0, again.output
    require_done(site, new, "n1", "n2")


@pytest.mark.slow
def test_asked_twice_it_ends_at_once_and_the_next_run_takes_its_locks_over(site: Site, tmp_path: Path) -> None:
    """Every day the command is asked twice (integration/command)."""
    new = site.other_version("n1")
    with deployment(Run, site, tmp_path, new) as run:
        NUNIT.reached(run)
        run.interrupt(signal.SIGINT)
        run.await_text("once more ends at once")
        time.sleep(SAME_REQUEST_S)
        run.interrupt(signal.SIGINT)
        assert run.ended().rc == 130
        assert not run.survivors()
    again = site.deploy(new, nodes=["n1"])
    assert again.rc == 0, again.output
    require_done(site, new, "n1")


@pytest.mark.slow
def test_a_wave_of_two_that_jenkins_aborts_stays_together(site: Site, tmp_path: Path) -> None:
    new, two = site.other_version("n1", "n2"), {"n1", "n2"}
    with site.with_services(tmp_path, lambda service: service.update(waves=[2])):
        with deployment(Run, site, tmp_path, new, *two) as run:
            PUPPET.reached(run)
            run.interrupt_everyone(signal.SIGTERM)
            assert run.ended().rc not in (0, None)
            assert not run.survivors()
        assert not site.locks.held() and not site.frozen()
        facts = site.facts()
        assert all(set(online) == set(NODES) - two for online in facts.online.values()), facts
        # Those that answer: Puppet goes on there, and may be restarting the service.
        assert all(set(nodes) <= two for nodes in facts.maintenance.values()), facts
        held = site.last_event()
        assert (held.step, held.outcome, set(held.nodes)) == (Step.HOLD, Outcome.HELD, two)
        assert f"(SIGTERM) {PUPPET.cause}" in str(held.details["cause"])
        again = site.deploy(new, nodes=sorted(two))
        assert again.rc == 0, again.output
        require_done(site, new, *two)


def test_a_move_by_hand_that_is_stopped_while_it_drains_is_undone(site: Site, tmp_path: Path) -> None:
    with leave_by_hand(site, tmp_path, "n1") as run:
        run.await_event(lambda event: event.step is Step.LEAVE and event.outcome is Outcome.STARTED)
        with open_orders(site) as customers:
            drains(run)
            run.interrupt(signal.SIGINT)
            played = run.ended()
            assert {answered(customer) for customer in customers} <= {"HTTP/1.1 201 Created"}
        assert played.rc not in (0, None), played.output
        assert not run.survivors()
    assert not site.locks.held() and not site.frozen()
    assert all(set(online) == set(NODES) for online in site.facts().online.values())
    assert "online again: n1" in str(site.last_event().details["msg"])
    assert site.play("pool", service="tradeapi", node="n1", state="maintenance").rc == 0
    assert site.play("pool", service="tradeapi", node="n1", state="online").rc == 0


@pytest.mark.slow
def test_each_signal_in_each_step(site: Site, tmp_path: Path) -> None:
    new = site.other_version("n1")
    for number, at in enumerate(STOPS):
        stop(site, tmp_path, new, at, alone(SIGNALS[number % 3]))
    played = site.deploy(new, nodes=["n1"])
    assert played.rc == 0, played.output
    require_done(site, new, "n1")


@pytest.mark.slow
def test_a_signal_to_every_process_in_each_step(site: Site, tmp_path: Path) -> None:
    new = site.other_version("n1")
    for at in STOPS:
        stop(site, tmp_path, new, at, everyone(signal.SIGTERM))
    played = site.deploy(new, nodes=["n1"])
    assert played.rc == 0, played.output
    require_done(site, new, "n1")


@pytest.mark.slow
@pytest.mark.parametrize("interrupt", [alone(signal.SIGTERM), everyone(signal.SIGTERM)], ids=["alone", "everyone"])
@pytest.mark.parametrize("step", LATE)
def test_past_the_safe_point_it_is_brought_to_its_end(
    site: Site, tmp_path: Path, step: str, interrupt: Interrupt
) -> None:
    new = site.other_version("n1")
    with deployment(Run, site, tmp_path, new) as run:
        LATE[step](run)
        interrupt(run)
        played = run.ended()
        assert played.rc == 0, played.output
        assert not run.survivors()
    require_done(site, new, "n1")


@pytest.mark.slow
@pytest.mark.parametrize("at", [PLANNING, FREEZE, HEALTH], ids=lambda at: at.name)
def test_the_end_of_the_program_that_it_is_piped_into(site: Site, tmp_path: Path, at: Stop) -> None:
    new = site.other_version("n1")
    stop(site, tmp_path, new, at, its_reader_ends, PipedRun)
    played = site.deploy(new, nodes=["n1"])
    assert played.rc == 0, played.output
