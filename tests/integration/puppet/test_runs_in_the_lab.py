"""Runs, pins and freezes on a node of the lab, over its real sshd, against the real puppetserver."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.node import jobs
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import Phase
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs_script import POLL
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent import look
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.freeze import (
    freeze,
    reason_text,
    thaw,
    wait_for_run,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import node_file, with_pins, without_pins
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.pins import Edit, change
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.result import Request, Result
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.run import run
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.taken import Expected, compared
from lab import build
from lab.agents import clear_node_data, run_agent, set_node_data
from lab.layout import SSH_PORT, Host, Layout
from tests.integration.puppet.agent_home import AgentHome
from tests.puppet_start import start_run
from tests.waiting import until

pytestmark = pytest.mark.lab

NODE = "n3"
NEW = "1.1.0"
OURS = reason_text("d1", "tradeapi", "ann")


class Ssh:
    """An `Execute` over ssh to a lab host, as Ansible makes it: no terminal, a client that can be killed."""

    def __init__(self, layout: Layout, host: Host) -> None:
        known = f"UserKnownHostsFile={layout.known_hosts}"
        self._argv = ["ssh", "-F", "none", "-T", "-p", str(SSH_PORT), "-i", str(layout.ssh_key), "-o", known]
        self._argv += ["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", f"root@{host.address}"]
        self.client: subprocess.Popen[bytes] | None = None
        self.command = ""

    def __call__(self, command: str, stdin: bytes | None, timeout: float) -> Completed:
        with subprocess.Popen(
            [*self._argv, command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as client:
            self.client, self.command = client, command
            stdout, stderr = client.communicate(stdin, timeout=timeout)
        if client.returncode < 0:
            raise Unreachable("the ssh client was killed", where=NODE)
        return Completed(client.returncode, stdout, stderr)


class Deployed:
    """The node under test and deployment d1 on it."""

    def __init__(self, layout: Layout, home: Path) -> None:
        self.layout, self.host = layout, layout.host(NODE)
        self.ssh = Ssh(layout, self.host)
        self.node = PosixNode(NODE, self.ssh)
        self.confdir = str(self.host.puppet_confdir)
        self.folder = str(home / "jobs")
        self._settings = str(home / "settings")
        self._attempt = 0

    def request(self, *, again: bool = False, **changes: float | str) -> Request:
        self._attempt += 0 if again else 1
        fixed: dict[str, float | str] = {"timeout": 600.0, "wait_for_lock": 0.0, "interval": 1.0}
        return Request(
            folder=self.folder,
            run_id=f"d1.{NODE}.{self._attempt}",
            family=f"d1.{NODE}.",
            confdir=self.confdir,
            settings_cache=self._settings,
            **{**fixed, **changes},  # type: ignore[arg-type]
        )

    def run(self, *, again: bool = False, **changes: float | str) -> Result:
        return run(self.node, self.request(again=again, **changes), lambda _line: None)

    def start(self) -> Request:
        request = self.request()
        start_run(self.node, request)
        return request

    def edit_pins(self, edit: Edit) -> None:
        folder = str(self.layout.rollout_dir)
        server = {"puppet": PosixNode("puppet", Ssh(self.layout, self.layout.puppet))}
        change(server, {"puppet": folder}, {"puppet": {node_file(folder, self.host.certname): edit}})

    def pin(self, version: str) -> None:
        values = {"tradeapi::version": version, "tradeapi::digest": build.digest(self.layout, "tradeapi", version)}
        self.edit_pins(partial(with_pins, values=values, deployment="d1", is_open=lambda _id: False))

    def unpin(self) -> None:
        keys = ["tradeapi::version", "tradeapi::digest"]
        self.edit_pins(partial(without_pins, keys=keys, deployment="d1", is_open=lambda _id: False))

    @property
    def installed(self) -> str:
        return (self.host.releases / "tradeapi" / "current").readlink().name


@pytest.fixture
def deployed(lab: Layout, tmp_path: Path) -> Iterator[Deployed]:
    """A node that a test may change; it is brought back to what it ran before."""
    made = Deployed(lab, tmp_path)
    before = made.installed
    yield made
    clear_node_data(lab, NODE)
    thaw(made.node, made.confdir, "d1")
    made.unpin()
    if made.installed != before:
        assert run_agent(lab, NODE).exit_code in (0, 2)
    assert made.installed == before


def test_a_pinned_and_frozen_node_is_deployed_and_a_second_run_changes_nothing(deployed: Deployed) -> None:
    deployed.pin(NEW)
    freeze(deployed.node, deployed.confdir, OURS)
    result = deployed.run()
    assert (result.outcome, result.exit_code, result.adopted) == (PuppetOutcome.CHANGED, 2, False), result
    assert result.report is not None and result.report.job_id == f"d1.{NODE}.1"
    assert deployed.installed == NEW
    assert look(deployed.node, deployed.confdir).disabled == OURS, "the node stays frozen"
    periodic = run_agent(deployed.layout, NODE)
    assert periodic.exit_code == 1 and "administratively disabled" in periodic.output
    same = deployed.run(again=True)
    assert (same.outcome, same.adopted) == (PuppetOutcome.CHANGED, True), "judged by the report that was kept"
    second = deployed.run()
    assert (second.outcome, second.adopted) == (PuppetOutcome.UNCHANGED, False)


def test_a_failed_resource_is_named_with_its_place(deployed: Deployed) -> None:
    set_node_data(deployed.layout, NODE, {"tradeapi::break": True})
    deployed.pin(NEW)
    result = deployed.run()
    assert result.outcome is PuppetOutcome.FAILED_RESOURCES
    assert result.report is not None
    failed = result.report.failed[0]
    assert failed.resource == "Exec[tradeapi cannot be installed]"
    assert "monoservice/manifests/instance.pp:" in failed.place
    assert "returned 1" in failed.message


def test_a_catalog_that_does_not_compile_is_not_replaced_by_the_cached_one(deployed: Deployed) -> None:
    set_node_data(deployed.layout, NODE, {"tradeapi::port": "not a port"})
    result = deployed.run()
    assert (result.outcome, result.exit_code) == (PuppetOutcome.CATALOG_FAILURE, 1)
    assert "parameter 'port' expects an Integer" in result.verdict.detail


def test_an_environment_that_the_server_does_not_have(deployed: Deployed) -> None:
    result = deployed.run(environment="nosuch")
    assert result.outcome is PuppetOutcome.WRONG_ENVIRONMENT
    assert "'nosuch'" in result.verdict.detail


def expecting(deployed: Deployed, *, pinned: Mapping[str, str] | None = None, opened: Sequence[str] = ()) -> Expected:
    ledger = f"sqlite:///{deployed.layout.ledger}"
    return Expected(service="tradeapi", pinned=pinned or {}, opened=opened, environment="lab", ledger=ledger)


def test_what_the_code_took_is_compared_with_the_pin(deployed: Deployed) -> None:
    version = deployed.installed
    result = deployed.run()
    pin = {"tradeapi::version": version, "tradeapi::digest": build.digest(deployed.layout, "tradeapi", version)}
    expected = expecting(deployed, pinned=pin)
    assert compared(result, expected) == result and result.outcome.ok
    for typo in ({"tradeapi::verison": version}, {"tradeapi::version": NEW}):
        assert compared(result, replace(expected, pinned=typo)).outcome is PuppetOutcome.PIN_NOT_TAKEN
    for elsewhere in (replace(expected, environment="prod"), replace(expected, ledger="postgresql://ledger/tidegate")):
        assert compared(result, elsewhere).outcome is PuppetOutcome.WRONG_TARGET


def test_a_service_that_stayed_in_noop_is_not_deployed(deployed: Deployed) -> None:
    set_node_data(deployed.layout, NODE, {"tradeapi::quiet": True})
    deployed.pin(NEW)
    result = deployed.run()
    assert result.outcome is PuppetOutcome.UNCHANGED
    for key in ("tradeapi::deployment", "tradeapi::typo"):
        assert compared(result, expecting(deployed, opened=[key])).outcome is PuppetOutcome.NOT_OPENED


def test_a_killed_controller_and_connection_do_not_end_the_run(deployed: Deployed) -> None:
    deployed.pin(NEW)
    request = deployed.start()
    controller = os.fork()
    if controller == 0:
        os.setsid()
        run(PosixNode(NODE, Ssh(deployed.layout, deployed.host)), request, lambda _line: None)
        os._exit(0)
    time.sleep(1)
    os.killpg(controller, signal.SIGKILL)
    os.waitpid(controller, 0)
    assert jobs.poll(deployed.node, deployed.folder, request.run_id).phase is Phase.RUNNING
    result = deployed.run()
    assert (result.outcome, result.adopted, result.job_id) == (PuppetOutcome.CHANGED, True, request.run_id)
    assert deployed.installed == NEW


def test_a_connection_that_is_lost_meanwhile(deployed: Deployed) -> None:
    """The very client that waits is killed: the run goes on, is found again and judged by its report."""
    deployed.pin(NEW)
    request = deployed.start()
    waiting = Thread(target=_kill_the_poll, args=(deployed.ssh,))
    waiting.start()
    result = run(deployed.node, replace(request, interval=60.0), lambda _line: None)
    waiting.join()
    assert (result.outcome, result.job_id, result.reconnected) == (PuppetOutcome.CHANGED, request.run_id, 1)
    assert deployed.installed == NEW


def _kill_the_poll(ssh: Ssh) -> None:
    """The client of the command that returns at the run's end."""
    until(lambda: ssh.client is not None and POLL.splitlines()[-2] in ssh.command, "the run is polled")
    assert ssh.client is not None
    ssh.client.kill()


@contextmanager
def somebodys_run(deployed: Deployed, home: Path) -> Iterator[None]:
    """A process that Puppet takes for one of its own, and that holds the node's run lock."""
    shell = home / "puppet-agent"
    shell.symlink_to("/bin/sh")
    lock = deployed.host.puppet_vardir / "state" / "agent_catalog_run.lock"
    with subprocess.Popen([shell, "-c", "sleep 900; :"], start_new_session=True) as process:
        try:
            lock.write_text(str(process.pid))
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_somebodys_run_is_waited_for_and_then_ours_is_run(deployed: Deployed, tmp_path: Path) -> None:
    with somebodys_run(deployed, tmp_path):
        assert deployed.run().outcome is PuppetOutcome.ALREADY_RUNNING
        with pytest.raises(DeadlineExceeded, match="still goes on"):
            wait_for_run(deployed.node, deployed.confdir, 1, lambda _pid: None)
        request = deployed.request(wait_for_lock=600.0)
        start_run(deployed.node, request)
        output = Path(deployed.folder, request.run_id, "out")
        until(lambda: "Another puppet instance is already running" in output.read_text(), "ours waits")
    result = run(deployed.node, request, lambda _line: None)
    assert (result.outcome, result.adopted) == (PuppetOutcome.UNCHANGED, True)


def _says(file: Path, text: str) -> bool:
    return text in file.read_text()


def test_a_run_ended_from_outside_exits_0_and_is_no_success(deployed: Deployed) -> None:
    deployed.pin(NEW)
    lock = deployed.host.puppet_vardir / "state" / "agent_catalog_run.lock"
    for _ in range(5):
        request = deployed.start()
        until(lambda: lock.exists() and lock.read_text() != "", "the run has the lock")
        applying = Path(deployed.folder, request.run_id, "out")
        until(partial(_says, applying, "Applying configuration version"), "the catalog is applied")
        os.kill(int(lock.read_text()), signal.SIGTERM)
        result = deployed.run(again=True)
        # On a busy machine the signal can meet a download: that resource has failed, then.
        if result.outcome is not PuppetOutcome.FAILED_RESOURCES:
            break
    assert result.outcome is PuppetOutcome.TERMINATED, result
    assert not result.outcome.ok


def test_a_certificate_that_nobody_signed(lab: Layout, tmp_path: Path) -> None:
    stranger = AgentHome(tmp_path, server=lab.puppet.address, certname="stranger.example.org")
    assert stranger.run().outcome is PuppetOutcome.CERTIFICATE_UNSIGNED


def test_local_and_remote_shells_see_the_same(deployed: Deployed) -> None:
    assert look(PosixNode("here", LocalShell()), deployed.confdir) == look(deployed.node, deployed.confdir)
