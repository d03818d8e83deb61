"""Deployments to the lab's Windows-like node beside the others, and what WinRM does meanwhile.

All other tests of whole deployments go through this mixed fleet, too: n4 is reached over WinRM.
"""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.services import ServiceState, status
from lab import control
from lab.layout import WINRM_PORT
from tests.integration.flow.canaries import CANARIES, MARK, Processes, files_with_the_mark, write_inventory
from tests.integration.flow.lab_site import Site, finished, kill
from tests.integration.flow.test_faults import assert_held, has
from tests.integration.flow.unnoticed import unnoticed
from tests.integration.windows.findable import over_winrm
from tests.integration.windows.relay import Relay
from tests.waiting import until

pytestmark = pytest.mark.lab
WINDOWS = "n4"
MIXED = ("n3", WINDOWS)
# To which version, and the playbook.
UnderWay = tuple[str, subprocess.Popen[str]]


@pytest.fixture
def relay(site: Site) -> Iterator[Relay]:
    """On the way to the node's WinRM, for whoever takes it."""
    relay = Relay(WINRM_PORT, site.layout.host(WINDOWS).address)
    yield relay
    relay.close()


def by_way_of(relay: Relay, folder: Path) -> list[str]:
    """What makes a playbook take that way."""
    inventory = folder / "relay.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {WINDOWS: {"ansible_port": relay.port}}}}))
    return ["-i", str(inventory)]


@pytest.fixture
def under_way(even_site: Site) -> Iterator[UnderWay]:
    """A deployment to the node alone, in the middle of its Puppet run."""
    version = even_site.other_version()
    process = even_site.start_deploy(version, [WINDOWS])
    try:
        in_the_middle_of_its_puppet_run(even_site, process)
        yield version, process
    finally:
        if process.poll() is None:
            kill(process)


def puppet_events(site: Site) -> list[Event]:
    own = site.events(site.deployment().id)
    return [event for event in own if event.step is Step.PUPPET and WINDOWS in event.nodes]


def in_the_middle_of_its_puppet_run(site: Site, process: subprocess.Popen[str]) -> Path:
    """Wait until the agent on the node works; its run lock."""
    lock = site.layout.host(WINDOWS).puppet_vardir / "state" / "agent_catalog_run.lock"
    site.await_event(has(Step.PUPPET, Outcome.STARTED, WINDOWS), process)
    until(lambda: lock.exists() and _lives(lock.read_text()), "the agent works", of=process)
    return lock


def _lives(agent: str) -> bool:
    """Whether that is the number of a process: a run that was killed has left its lock."""
    return agent.strip().isdigit() and psutil.pid_exists(int(agent))


def test_a_winrm_connection_that_is_cut_in_the_middle_of_a_puppet_run_costs_no_request_and_tells_no_secret(
    site: Site, tmp_path: Path, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Linux node and a Windows-like one in one wave, with -vvv, which shows all that was said to them.

    Every secret of a deployment is in it at once: the inventory's, the environment's, WinRM's password, the tests'
    token and the keys for ssh and Puppet.
    """
    monkeypatch.setenv("FOO_SECRET", CANARIES["environment"])
    theirs = secrets_of(site)
    version, processes = site.other_version(*MIXED), Processes(MARK, *theirs)
    inventories = ["-i", str(write_inventory(tmp_path)), *by_way_of(relay, tmp_path)]
    with (
        site.with_services(tmp_path, in_one_wave_with_a_token),
        processes.watched(),
        unnoticed(site, "mixed", 200),
    ):
        process = site.start_deploy(version, MIXED, "-vvv", *inventories)
        # It says more than a pipe holds.
        with ThreadPoolExecutor(1) as reader:
            ended = reader.submit(finished, process)
            lock = in_the_middle_of_its_puppet_run(site, process)
            # Between two questions there may be none.
            until(lambda: relay.cut(for_good=False) > 0, "a connection was cut", of=process)
            assert lock.exists(), "the run goes on"
            played = ended.result()
    assert played.rc == 0, played.output
    assert {site.facts().serving[node] for node in MIXED} == {version}
    assert [event.outcome for event in puppet_events(site)] == [Outcome.STARTED, Outcome.CHANGED]
    assert not site.frozen()

    assert processes.looks > 20
    assert not processes.seen
    password = next(iter(theirs))
    assert base64.b64encode(f"deploy:{password}".encode()).decode() not in played.output
    # Whose a secret is, and whom it is given to, has it in a file; nobody else.
    for mark, places in {MARK: (), **theirs}.items():
        assert mark not in played.output
        assert files_with_the_mark(site.layout.state, mark) <= {Path(place) for place in places}, places


def secrets_of(site: Site) -> dict[str, tuple[str, ...]]:
    """By secret, or a line of it, the files that hold it below the lab's folder; the first is WinRM's password."""
    windows, linux = (site.layout.host(node) for node in (WINDOWS, MIXED[0]))
    kept = {
        windows.winrm / "password": (windows.winrm / "config.json", windows.winrm / "ntlm-users"),
        site.layout.ssh_key: (),
        linux.puppet_ssldir / "private_keys" / f"{linux.certname}.pem": (),
    }
    return {
        (lines := path.read_text().splitlines())[len(lines) // 2]: tuple(
            str(each.relative_to(site.layout.state)) for each in (path, *others)
        )
        for path, others in kept.items()
    }


def in_one_wave_with_a_token(service: dict[str, Any]) -> None:
    """Its tests get a variable of the inventory's."""
    service.update(waves=["100%"])
    service["verify"]["nunit"]["secrets"] = {"TRADE_TOKEN": "trade_test_token"}


@pytest.mark.slow
def test_a_node_whose_winrm_starts_anew_in_the_middle_of_a_puppet_run_holds_its_wave(
    even_site: Site, under_way: UnderWay
) -> None:
    """The shell is lost, and the run with it. The next attempt runs again."""
    site, (version, process) = even_site, under_way
    control.stop_winrm(site.layout, WINDOWS)
    control.start_access(site.layout, WINDOWS)
    played = finished(process)
    assert played.rc != 0
    assert "The WinRM shell that owned the Puppet run is gone, and the run with it" in played.output
    assert_held(site, "puppet", WINDOWS)
    assert puppet_events(site)[-1].details["outcome"] == "shell_lost"

    again = site.deploy(version, nodes=[WINDOWS])
    assert again.rc == 0, again.output
    assert site.facts().serving[WINDOWS] == version
    assert site.deployment().attempt == 2


@pytest.mark.slow
def test_a_node_that_stays_away_in_the_middle_of_a_puppet_run_holds_its_wave(
    even_site: Site, under_way: UnderWay
) -> None:
    site, (version, process) = even_site, under_way
    control.stop_winrm(site.layout, WINDOWS)
    played = finished(process)
    assert played.rc != 0
    assert "run the same deployment again" in played.output
    assert site.facts().outcome == "held"
    assert all(WINDOWS not in online for online in site.facts().online.values())

    control.start_access(site.layout, WINDOWS)
    again = site.deploy(version, nodes=[WINDOWS])
    assert again.rc == 0, again.output
    assert site.facts().serving[WINDOWS] == version


@pytest.mark.slow
def test_what_a_killed_controller_left_running_is_waited_for_and_run_again(
    even_site: Site, under_way: UnderWay
) -> None:
    site, (version, process) = even_site, under_way
    kill(process)
    again = site.deploy(version, nodes=[WINDOWS])
    assert again.rc == 0, again.output
    assert site.facts().serving[WINDOWS] == version
    assert site.deployment().attempt == 2
    assert not site.frozen()


@pytest.fixture
def node(site: Site) -> Iterator[WindowsNode]:
    with ExitStack() as closing:
        yield over_winrm(site.layout.host(WINDOWS), closing)


def test_a_services_state_is_what_the_nodes_supervisor_says(node: WindowsNode) -> None:
    found = status(node, "tradeapi")
    assert found is not None
    assert (found.state, found.exit_code) == (ServiceState.RUNNING, 0)
    assert found.pid is not None and "mono" in Path(f"/proc/{found.pid}/cmdline").read_text()
    assert status(node, "no-such-service") is None


@pytest.mark.slow
def test_a_freeze_of_somebody_elses_on_a_windows_node_is_skipped(even_site: Site) -> None:
    site = even_site
    site.freeze_as_somebody_else(WINDOWS)
    played = site.deploy(site.other_version(), nodes=[WINDOWS])
    assert "Puppet is disabled there by somebody else: patching, ask Ann" in played.output
    assert site.frozen() == [WINDOWS]
