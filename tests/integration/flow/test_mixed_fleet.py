"""Deployments to the lab's Windows-like node beside the others, and what WinRM does meanwhile.

All other tests of whole deployments go through this mixed fleet, too: n4 is reached over WinRM.
"""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from ansible.playbook.play_context import PlayContext

from ansible_collections.tidegate.delivery.plugins.module_utils.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.windows_node import WindowsNode
from ansible_collections.tidegate.delivery.plugins.module_utils.windows_services import ServiceState, status
from ansible_collections.tidegate.delivery.plugins.plugin_utils.connections import WINRM, connect
from lab import control
from lab.accesslog import AccessLog
from lab.layout import WINRM_PORT
from lab.load import Load
from lab.windows_like import USER
from tests.integration.flow.canaries import Processes, files_with_the_mark
from tests.integration.flow.lab_site import Site, finished, kill
from tests.integration.flow.test_faults import assert_held, has
from tests.integration.windows.findable import make_findable
from tests.integration.windows.relay import Relay

pytestmark = pytest.mark.lab
WINDOWS = "n4"
MIXED = ("n3", WINDOWS)


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


def puppet_events(site: Site) -> list[Event]:
    own = site.events(site.deployment().id)
    return [event for event in own if event.step is Step.PUPPET and WINDOWS in event.nodes]


def in_the_middle_of_its_puppet_run(site: Site, process: subprocess.Popen[str]) -> Path:
    """Wait until the agent on the node works; its run lock."""
    lock = site.layout.host(WINDOWS).puppet_vardir / "state" / "agent_catalog_run.lock"
    site.await_event(has(Step.PUPPET, Outcome.STARTED, WINDOWS), process, 300)
    eventually(lambda: lock.exists() and lock.read_text().strip() != "", process)
    return lock


def eventually(seen: Callable[[], bool], process: subprocess.Popen[str] | None = None, limit_s: float = 120) -> None:
    deadline = time.monotonic() + limit_s
    while not seen():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, "the playbook ended before"
        time.sleep(0.05)


def test_a_winrm_connection_that_is_cut_in_the_middle_of_a_puppet_run_costs_no_request_and_tells_no_password(
    even_site: Site, tmp_path: Path, relay: Relay
) -> None:
    """A Linux node and a Windows-like one in one wave, with -vvv, which shows all that was said to them."""
    site = even_site
    password = (site.layout.host(WINDOWS).winrm / "password").read_text()
    version, processes, log = site.other_version(), Processes(password), AccessLog(site.layout)
    with (
        site.with_services(tmp_path, lambda service: service.update(waves=["100%"])),
        processes.watched(),
        Load(site.layout, "mixed", 200) as load,
    ):
        process = site.start_deploy(version, MIXED, "-vvv", *by_way_of(relay, tmp_path))
        # It says more than a pipe holds.
        with ThreadPoolExecutor(1) as reader:
            ended = reader.submit(finished, process)
            lock = in_the_middle_of_its_puppet_run(site, process)
            assert relay.cut(for_good=False) > 0, "a connection was open"
            assert lock.exists(), "the run goes on"
            played = ended.result()
    assert played.rc == 0, played.output
    customers = load.result
    assert customers is not None
    assert customers.requests_total > 1_000
    assert customers.requests_failed == 0, customers
    logged = log.counts("mixed", customers.requests_written)
    assert (logged.total, logged.failed, logged.retried, logged.redispatched) == (customers.requests_total, 0, 0, 0)
    assert {site.facts().serving[node] for node in MIXED} == {version}
    assert [event.outcome for event in puppet_events(site)] == [Outcome.STARTED, Outcome.CHANGED]
    assert not site.frozen()

    assert processes.looks > 20
    assert not processes.seen
    assert password not in played.output
    assert base64.b64encode(f"deploy:{password}".encode()).decode() not in played.output
    # What the node itself is given.
    assert {path.parts[:3] for path in files_with_the_mark(site.layout.state, password)} == {
        ("hosts", WINDOWS, "winrm")
    }


@pytest.mark.slow
def test_a_node_whose_winrm_starts_anew_in_the_middle_of_a_puppet_run_holds_its_wave(even_site: Site) -> None:
    """The shell is lost, and the run with it. The next attempt runs again."""
    site = even_site
    version = site.other_version()
    process = site.start_deploy(version, [WINDOWS])
    in_the_middle_of_its_puppet_run(site, process)
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
def test_a_node_that_stays_away_in_the_middle_of_a_puppet_run_holds_its_wave(even_site: Site) -> None:
    site = even_site
    version = site.other_version()
    process = site.start_deploy(version, [WINDOWS])
    in_the_middle_of_its_puppet_run(site, process)
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
def test_what_a_killed_controller_left_running_is_waited_for_and_run_again(even_site: Site) -> None:
    site = even_site
    version = site.other_version()
    process = site.start_deploy(version, [WINDOWS])
    in_the_middle_of_its_puppet_run(site, process)
    kill(process)
    again = site.deploy(version, nodes=[WINDOWS])
    assert again.rc == 0, again.output
    assert site.facts().serving[WINDOWS] == version
    assert site.deployment().attempt == 2
    assert not site.frozen()


@pytest.fixture
def node(site: Site) -> Iterator[WindowsNode]:
    make_findable()
    host = site.layout.host(WINDOWS)
    variables = {
        "ansible_connection": WINRM,
        "ansible_host": host.address,
        "ansible_port": WINRM_PORT,
        "ansible_user": USER,
        "ansible_password": (host.winrm / "password").read_text(),
        "ansible_winrm_transport": ["ntlm"],
        "ansible_winrm_ca_trust_path": str(host.winrm / "winrm.pem"),
    }
    with ExitStack() as closing:
        found = connect(WINDOWS, {WINDOWS: variables}, PlayContext(), False, closing)
        assert isinstance(found, WindowsNode)
        yield found


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
