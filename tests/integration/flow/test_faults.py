"""Faults are normal: whatever breaks, customers stay on what works, and running again leads to the right end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.boot import PENDING_KEYS
from lab import agents, boot, control, processes
from lab.layout import TRADEAPI
from lab.winrm.machine import Machine
from lab.winrm.windows import Drive
from tests.integration.flow.lab_site import NODES, Site, finished, kill
from tests.integration.flow.unnoticed import unnoticed
from tests.waiting import DEPLOYMENT_S, until

pytestmark = pytest.mark.lab
TWO = ("n1", "n2")


def has(step: Step, outcome: Outcome, node: str) -> Callable[[Event], bool]:
    return lambda event: event.step is step and event.outcome is outcome and node in event.nodes


def assert_held(site: Site, step: str, *nodes: str) -> None:
    """The wave is in the maintenance pool, nothing is locked or frozen, and the ledger says why."""
    facts = site.facts()
    assert facts.outcome == "held"
    assert all(set(online) == set(NODES) - set(nodes) for online in facts.online.values()), facts
    assert all(set(maintenance) <= set(nodes) for maintenance in facts.maintenance.values())
    assert not site.locks.held()
    held = site.last_event(site.deployment().id)
    assert (held.step, held.outcome, held.details["step"]) == (Step.HOLD, Outcome.HELD, step)


def touched(site: Site) -> set[str]:
    """The nodes on which the newest deployment had any effect."""
    effects = (Step.FREEZE, Step.LEAVE, Step.PIN, Step.PUPPET)
    return {node for event in site.events(site.deployment().id) if event.step in effects for node in event.nodes}


def test_a_release_that_fails_its_tests_is_held_and_no_later_wave_begins(even_site: Site) -> None:
    """Before that the same deployment is held because of extra variables for a role, which change no move."""
    site = even_site
    before = site.facts().serving["n1"]
    pools = [{"online": TRADEAPI.online, "maintenance": TRADEAPI.maintenance, "min_online": "0", "nodes": ["n1"]}]
    wave = {"number": 1, "nodes": ["n1"], "load_balancers": ["lb1"], "pools": pools}
    unlike = site.deploy("1.2.0", nodes=TWO, leave_wave=wave)
    assert unlike.rc != 0
    assert "not what the recorded plan says: load_balancers is lb1" in unlike.output
    facts = site.facts()
    assert facts.outcome == "held"
    assert all(set(online) == set(NODES) for online in facts.online.values())

    played = site.deploy("1.2.0", nodes=TWO)
    assert played.rc != 0
    assert "TheSpreadIsPositive" in played.output
    assert "playbooks/rollback.yml -e service=tradeapi" in played.output
    assert_held(site, "nunit", "n1")
    assert not site.frozen()
    assert touched(site) == {"n1"}

    back = site.play("rollback", service="tradeapi")
    assert back.rc == 0, back.output
    facts = site.facts()
    assert facts.outcome == "rolled_back"
    assert set(facts.serving.values()) == {before}
    assert all(set(online) == set(NODES) for online in facts.online.values())
    assert site.play("rollback", service="tradeapi").output.count("nothing to do") == 1


@pytest.mark.slow
def test_a_freeze_that_a_killed_run_left_behind_ends_with_the_next_deployment(site: Site) -> None:
    serving = site.facts().serving["n1"]
    process = site.start_deploy(site.other_version("n1"), nodes=["n1"])
    site.await_event(has(Step.FREEZE, Outcome.CHANGED, "n1"), process)
    kill(process)
    assert site.frozen() == ["n1"]
    assert "Puppet disabled: tidegate: deployment" in site.play("status", service="tradeapi").output
    back = site.deploy(serving, nodes=["n1"])
    assert back.rc == 0, back.output
    assert not site.frozen()
    assert site.facts().serving["n1"] == serving


@pytest.mark.slow
def test_a_node_that_serves_the_old_version_although_puppet_reported_success(site: Site) -> None:
    old, new = site.facts().serving["n1"], site.other_version("n1")
    agents.set_node_data(site.layout, "n1", {"tradeapi::restart": False})
    played = site.deploy(new, nodes=["n1"])
    assert played.rc != 0
    assert f"{old}" in played.output
    assert_held(site, "release", "n1")
    puppet = [event for event in site.events(site.deployment().id) if event.step is Step.PUPPET]
    assert puppet[-1].outcome is Outcome.CHANGED


@pytest.mark.slow
def test_a_puppet_run_that_fails_on_one_node_holds_its_whole_wave(site: Site, tmp_path: Path) -> None:
    new = site.other_version("n1", "n2", "n3")
    agents.set_node_data(site.layout, "n2", {"tradeapi::break": True})
    with site.with_services(tmp_path, lambda described: described.update(waves=["100%"])):
        played = site.deploy(new, nodes=["n1", "n2", "n3"])
        assert played.rc != 0
        assert "n2" in played.output
        assert_held(site, "puppet", "n1", "n2")
        assert touched(site) == {"n1", "n2"}

        agents.clear_node_data(site.layout, "n2")
        again = site.deploy(new, nodes=["n1", "n2", "n3"])
    assert again.rc == 0, again.output
    assert site.deployment().attempt == 2
    assert all(set(online) == set(NODES) for online in site.facts().online.values())
    serving = site.facts().serving
    assert {serving[node] for node in ("n1", "n2", "n3")} == {new}


def test_a_node_that_becomes_unreachable_holds_the_rollout(site: Site) -> None:
    new = site.other_version("n1", "n2", "n3")
    process = site.start_deploy(new, nodes=["n1", "n2", "n3"])
    site.await_event(has(Step.PUPPET, Outcome.STARTED, "n1"), process)
    control.stop_sshd(site.layout, "n2")
    played = finished(process)
    assert played.rc != 0
    assert "n2" in played.output
    facts = site.facts()
    assert facts.outcome == "held"
    assert all(set(online) == set(NODES) for online in facts.online.values()), "n2 was never taken out"
    assert "n3" not in touched(site)
    assert facts.serving["n1"] == new


@pytest.mark.slow
def test_a_load_balancer_that_stops_answering_midway(site: Site) -> None:
    new = site.other_version(*TWO)
    process = site.start_deploy(new, nodes=TWO)
    site.await_event(has(Step.PUPPET, Outcome.STARTED, "n1"), process)
    control.hang_admin_socket(site.layout, "lb2")
    try:
        played = finished(process)
    finally:
        control.thaw_haproxy(site.layout, "lb2")
    assert played.rc != 0
    assert "lb2" in played.output
    assert touched(site) == {"n1"}
    servers = site.servers()
    assert servers["lb1 tradeapi_online/n1"] == servers["lb2 tradeapi_online/n1"] == "admin 1"

    again = site.deploy(new, nodes=TWO)
    assert again.rc == 0, again.output
    assert all(set(online) == set(NODES) for online in site.facts().online.values())


@pytest.mark.slow
@pytest.mark.parametrize("step", [Step.LEAVE, Step.PUPPET, Step.JOIN])
def test_a_killed_controller_makes_no_further_effect_and_the_next_run_completes(site: Site, step: Step) -> None:
    new = site.other_version("n1")
    process = site.start_deploy(new, nodes=["n1"])
    site.await_event(has(step, Outcome.STARTED, "n1"), process)
    family = _family(process)
    assert len(family) > 1, "the playbook has a worker at this moment"
    kill(process)
    until(lambda: not _survivors(family), "all of it has ended")
    # What had been sent when the kill came may still arrive; from then on nothing moves.
    time.sleep(2)
    events, servers, pins = len(site.events()), site.servers(), site.pins()
    time.sleep(6)
    assert (len(site.events()), site.servers(), site.pins()) == (events, servers, pins)

    again = site.deploy(new, nodes=["n1"])
    assert again.rc == 0, again.output
    facts = site.facts()
    assert facts.serving["n1"] == new
    assert all(set(online) == set(NODES) for online in facts.online.values())
    assert site.deployment().attempt == 2
    assert not site.frozen()
    assert not site.locks.held()


@pytest.mark.slow
def test_a_dropped_controller_does_not_end_the_nodes_puppet_run(site: Site) -> None:
    new = site.other_version("n1")
    process = site.start_deploy(new, nodes=["n1"])
    site.await_event(has(Step.PUPPET, Outcome.STARTED, "n1"), process)
    jobs = site.layout.host("n1").tidegate_state / "jobs"
    until(lambda: any(jobs.glob(f"{site.deployment().id}*")), "the run has a job")
    kill(process)
    until(lambda: site.facts().serving["n1"] == new, "the run goes on to its end", DEPLOYMENT_S, 0.2)
    assert all("n1" not in online for online in site.facts().online.values())

    again = site.deploy(new, nodes=["n1"])
    assert again.rc == 0, again.output
    runs = [event for event in site.events(site.deployment().id) if event.step is Step.PUPPET and event.outcome.good]
    assert len(runs) == 1


@pytest.mark.slow
def test_customers_do_not_notice_a_reboot_while_puppet_runs_nor_one_that_was_asked_for(
    site: Site, tmp_path: Path
) -> None:
    new, host = site.other_version("n1"), site.layout.host("n1")
    with (
        site.with_services(tmp_path, lambda described: described["deploy"].update(reboot="if_pending")),
        unnoticed(site, "reboot", 200),
    ):
        process = site.start_deploy(new, nodes=["n1"])
        site.await_event(has(Step.PUPPET, Outcome.STARTED, "n1"), process)
        jobs = host.tidegate_state / "jobs"
        until(lambda: any(jobs.glob(f"{site.deployment().id}.*/command")), "the run's job has begun", of=process)
        boot.reboot(site.layout, "n1")
        played = finished(process)
        assert played.rc != 0
        assert "The node was rebooted while Puppet ran" in played.output
        assert_held(site, "puppet", "n1")

        boot.reboot_required(host).write_text("")
        before = boot.boot_id(host).read_text()
        again = site.deploy(new, nodes=["n1"])
    assert again.rc == 0, again.output
    assert boot.boot_id(host).read_text() != before
    done = [event for event in site.events(site.deployment().id) if event.attempt == 2 and event.outcome.good]
    assert [event.step for event in done if event.step in (Step.PUPPET, Step.REBOOT)] == [
        Step.PUPPET,
        Step.REBOOT,
        Step.PUPPET,
    ]
    facts = site.facts()
    assert facts.serving["n1"] == new
    assert all(set(online) == set(NODES) for online in facts.online.values())


@pytest.mark.slow
@pytest.mark.parametrize("node", ["n1", "n4"])
def test_a_controller_that_is_killed_while_it_reboots_a_node(site: Site, tmp_path: Path, node: str) -> None:
    new, host = site.other_version(node), site.layout.host(node)
    machine = Machine(Drive(host.drive))
    log = site.layout.log / f"{node}-boot.log"
    log.unlink(missing_ok=True)
    if host.windows_like:
        machine.key(PENDING_KEYS[0]).mkdir(parents=True)
    else:
        boot.reboot_required(host).write_text("")
    with site.with_services(tmp_path, lambda described: described["deploy"].update(reboot="if_pending")):
        process = site.start_deploy(new, nodes=[node])
        site.await_event(has(Step.REBOOT, Outcome.STARTED, node), process)
        until(machine.asked.exists if host.windows_like else log.exists, "the node was asked to reboot", of=process)
        kill(process)
        again = site.deploy(new, nodes=[node])
    assert again.rc == 0, again.output
    assert f"{node}, which an earlier attempt was rebooting: it is back" in again.output
    events = site.events(site.deployment().id)
    begun, *more = [event for event in events if event.step is Step.REBOOT]
    assert begun.details["boot_before"]
    assert not more, "it was rebooted once"
    assert [event.attempt for event in events if event.step is Step.PUPPET and event.outcome.good] == [1, 2]
    facts = site.facts()
    assert facts.serving[node] == new
    assert all(set(online) == set(NODES) for online in facts.online.values())


def _family(playbook: subprocess.Popen[str]) -> list[processes.Process]:
    """The playbook and all below it. Its workers call setsid: the kill of its group doesn't reach them."""
    table = processes.snapshot()
    return [table[pid] for pid in processes.with_descendants(table, [playbook.pid]) if pid in table]


def _survivors(family: list[processes.Process]) -> list[str]:
    """Those of the family that still live, but ssh: a shared connection stays (ControlPersist) and makes no effect."""
    now = [(each, processes.read(each.pid)) for each in family if each.name != "ssh"]
    return [each.title for each, there in now if there and there.started == each.started and there.state not in "ZX"]
