"""Ways that a run can end which no node of the lab needs to be broken for: a real agent with a folder of its own, in an
environment of the lab's puppetserver that is made for the test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.node import jobs
from ansible_collections.tidegate.delivery.plugins.module_utils.node.boot import OnPending
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import Limits, Phase
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.judge import AGENT_ENV, agent_argv
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.result import Request, Result
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import Configuration, ask_revision
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.run import run
from lab.control_repository import ControlRepository
from lab.layout import Layout
from lab.programs import program
from lab.witness import wait_until
from tests.integration.puppet.agent_home import AgentHome
from tests.small_disk import small_disk
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.lab

ENVIRONMENT = "outcomes"
SLEEPS = "exec { '/bin/sleep 600': timeout => 0 }"


class Node:
    """An agent with a signed certificate, and an environment whose manifest a test writes."""

    def __init__(self, layout: Layout, home: Path) -> None:
        self.layout = layout
        # The CA of a lab that is kept knows those of earlier sessions.
        self.agent = AgentHome(home, server=layout.puppet.address, certname=f"outcomes-{uuid.uuid4().hex[:12]}.lab")
        self._manifest = layout.puppet_code_dir / "environments" / ENVIRONMENT / "manifests" / "site.pp"
        self._manifest.parent.mkdir(parents=True, exist_ok=True)
        self.catalog("")
        assert self.run().outcome is PuppetOutcome.UNCHANGED

    def catalog(self, manifest: str) -> None:
        """What the server compiles from now on."""
        self._manifest.write_text(manifest + "\n")

    def run(self, manifest: str | None = None, **changes: float | str) -> Result:
        """A run of its own."""
        if manifest is not None:
            self.catalog(manifest)
        return self.judged(self.agent.next_request(environment=ENVIRONMENT, **changes))

    def start(self, manifest: str) -> Request:
        """Begin a run of it, and wait until it applies the catalog."""
        self.catalog(manifest)
        request = self.agent.start(environment=ENVIRONMENT)
        job = self.agent.job(request)

        def applies() -> bool:
            return "Applying configuration version" in (job / "out").read_text()

        if not wait_until(lambda: applies() or (job / "rc").exists(), PATIENCE_S) or not applies():
            pytest.fail(f"it doesn't apply its catalog; it said: {(job / 'out').read_text()}", pytrace=False)
        return request

    def judged(self, request: Request) -> Result:
        """A run that may have been started before."""
        return run(self.agent.node, request, lambda _line: None)

    def kill(self, request: Request, *who: str, number: int = signal.SIGKILL) -> None:
        """End processes of the run's job. Who was killed is gone afterwards."""
        pids = [int((self.agent.job(request) / each).read_text().split()[0]) for each in who]
        for pid in pids:
            os.kill(pid, number)
        if number == signal.SIGKILL:
            # Until it is reaped, ps calls it puppet, and Puppet takes the lock that it left for a running agent's.
            until(lambda: not any(Path("/proc", str(pid)).exists() for pid in pids), "the killed are reaped")


@pytest.fixture(scope="module")
def the_node(lab: Layout, tmp_path_factory: pytest.TempPathFactory) -> Node:
    return Node(lab, tmp_path_factory.mktemp("outcomes"))


@pytest.fixture
def node(the_node: Node) -> Iterator[Node]:
    """One agent for all tests; what a test leaves running ends with it."""
    yield the_node
    request = the_node.agent.request()
    for id, state in jobs.find(the_node.agent.node, request.folder, request.family).items():
        if state.phase is Phase.RUNNING:
            jobs.stop(the_node.agent.node, request.folder, id, grace=5)
    (the_node.agent.root / "run" / "reboot-required").unlink(missing_ok=True)


def test_a_service_that_changed_and_could_not_be_restarted(node: Node) -> None:
    result = node.run("exec { '/bin/true': } ~> exec { 'refreshed': command => '/bin/false', refreshonly => true }")
    assert (result.outcome, result.exit_code) == (PuppetOutcome.FAILED_RESTART, 6)
    assert result.verdict.detail.startswith("Exec[refreshed]")


def test_a_catalog_of_another_configuration(node: Node) -> None:
    folder = node.layout.puppet_code_dir / "environments" / ENVIRONMENT
    server, confdir = PosixNode("puppet", LocalShell()), str(node.layout.puppet.puppet_confdir)
    node.catalog("")
    repository = ControlRepository(folder)
    with repository.checked_out() as planned:
        assert ask_revision(server, ENVIRONMENT, confdir) == Configuration(planned)
        merged = repository.commit()
        result = node.run(revision=planned)
    assert result.outcome is PuppetOutcome.OTHER_REVISION
    assert result.verdict.detail == f"it is {merged[:12]} in environment '{ENVIRONMENT}', not {planned[:12]}"
    assert ask_revision(server, ENVIRONMENT, confdir).why.startswith("config_version is not set in")


def test_a_catalog_with_a_cycle(node: Node) -> None:
    result = node.run("notify { 'a': require => Notify['b'] } notify { 'b': require => Notify['a'] }")
    assert result.outcome is PuppetOutcome.CATALOG_UNUSABLE
    assert "Found 1 dependency cycle: (Notify[a] => Notify[b] => Notify[a])" in result.verdict.detail


def test_a_catalog_from_the_cache_is_told_whoever_asked_for_it(node: Node) -> None:
    request = node.agent.next_request()
    argv = agent_argv(program("puppet"), request.run_id, confdir=request.confdir)
    argv[argv.index("--no-use_cached_catalog")] = "--use_cached_catalog"
    jobs.start(node.agent.node, request.folder, request.run_id, argv, Limits(request.limit), AGENT_ENV)
    result = node.judged(request)
    assert (result.outcome, result.adopted) == (PuppetOutcome.CACHED_CATALOG, True)
    assert result.verdict.detail == "cached_catalog_status is explicitly_requested"


def test_a_node_in_noop_mode(node: Node) -> None:
    with node.agent.settings("noop = true"):
        result = node.run("notify { 'would be said': }")
    assert (result.outcome, result.exit_code) == (PuppetOutcome.NOOP_PENDING, 0)


def test_a_node_that_asks_for_what_is_another_ones(node: Node) -> None:
    with node.agent.settings("node_name_value = n1.lab"):
        result = node.run("")
    assert result.outcome is PuppetOutcome.SERVER_REFUSED
    assert "Error 403 on SERVER: Forbidden request: /puppet/v3/catalog/n1.lab" in result.verdict.detail


def test_a_certificate_of_another_key(lab: Layout, tmp_path: Path) -> None:
    result = AgentHome(tmp_path, server=lab.puppet.address, certname="n1.lab").run()
    assert result.outcome is PuppetOutcome.CERTIFICATE_INVALID
    assert result.verdict.detail == "The certificate for 'CN=n1.lab' does not match its private key"


def test_a_command_that_puppet_conf_wants_before_each_run(node: Node) -> None:
    with node.agent.settings("prerun_command = /bin/false"):
        result = node.run("")
    assert result.outcome is PuppetOutcome.HOOK_FAILED
    assert "Could not run command from prerun_command: Execution of '/bin/false' returned 1" in result.verdict.detail


def test_a_run_beyond_its_time(node: Node) -> None:
    assert node.run(SLEEPS, timeout=2.0).outcome is PuppetOutcome.TIMED_OUT


def test_a_run_that_is_gone_without_a_word(node: Node) -> None:
    request = node.start(SLEEPS)
    node.kill(request, "supervisor", "command")
    assert node.judged(request).outcome is PuppetOutcome.LOST


def test_a_node_that_was_rebooted_while_puppet_ran(node: Node) -> None:
    """As a shutdown does: everybody gets TERM, the agent writes a report of what it did, the node comes back."""
    request = node.start(SLEEPS)
    node.kill(request, "command", number=signal.SIGTERM)
    until(lambda: (node.agent.job(request) / "rc").exists(), "the run has ended")
    node.agent.boot()
    result = node.judged(request)
    assert (result.outcome, result.exit_code, result.rebooted) == (PuppetOutcome.REBOOTED, 0, True)


def test_a_run_after_which_the_node_is_to_be_rebooted(node: Node) -> None:
    marker = node.agent.root / "run" / "reboot-required"
    marker.parent.mkdir(exist_ok=True)
    result = node.run(f"file {{ '{marker}': ensure => file }}", reboot=OnPending.HOLD)
    assert (result.outcome, result.exit_code) == (PuppetOutcome.REBOOT_PENDING, 2)
    assert "/run/reboot-required" in result.verdict.detail


def test_a_report_that_can_not_be_written(node: Node) -> None:
    report = node.agent.vardir / "state" / "last_run_report.yaml"
    try:
        result = node.run(f"exec {{ '/bin/sh -c \"rm -f {report}; mkdir -p {report}/in-the-way\"': }}")
    finally:
        shutil.rmtree(report, ignore_errors=True)
    assert (result.outcome, result.exit_code) == (PuppetOutcome.NO_REPORT, 2)
    assert str(report) in result.verdict.detail


def test_a_disk_that_is_full_at_the_end(node: Node) -> None:
    with on_small_disk(node.agent.vardir / "state", node) as inside:
        result = inside.run(
            f"exec {{ '/bin/sh -c \"cat /dev/zero >{node.agent.vardir}/state/fill 2>/dev/null; :\"': }}"
        )
    assert result.outcome is PuppetOutcome.DISK_FULL
    assert "No space left on device" in result.verdict.detail


def test_a_wrapper_that_loses_puppets_exit_code(node: Node, tmp_path: Path) -> None:
    wrapper = tmp_path / "puppet"
    wrapper.write_text(f'#!/bin/sh\n{program("puppet")} "$@"; exit 0\n')
    wrapper.chmod(0o755)
    request = node.agent.next_request(environment=ENVIRONMENT)
    node.catalog("notify { 'said': }")
    argv = agent_argv(str(wrapper), request.run_id, confdir=request.confdir, environment=ENVIRONMENT)
    jobs.start(node.agent.node, request.folder, request.run_id, argv, Limits(request.limit), AGENT_ENV)
    result = node.judged(request)
    assert result.outcome is PuppetOutcome.UNKNOWN
    assert result.verdict.detail == "exit code 0 does not fit a report with status 'changed'"


def test_a_server_that_is_not_ready(lab: Layout, node: Node, tmp_path: Path) -> None:
    """A load balancer before Puppet servers of which none is up: a real HAProxy with the real server's certificate."""
    with haproxy_without_servers(lab, tmp_path) as port, node.agent.settings(f"serverport = {port}"):
        result = node.run("")
    assert result.outcome is PuppetOutcome.SERVER_UNAVAILABLE
    assert "Error 503 on SERVER" in result.verdict.detail


@contextmanager
def haproxy_without_servers(lab: Layout, home: Path) -> Iterator[int]:
    port, ssl = 18140, lab.puppet.puppet_ssldir
    pem = home / "server.pem"
    pem.write_text("".join((ssl / kind / "puppet.lab.pem").read_text() for kind in ("certs", "private_keys")))
    config = home / "haproxy.cfg"
    config.write_text(
        "defaults\n mode http\n timeout client 60s\n timeout server 60s\n timeout connect 5s\n"
        f"frontend puppet\n bind {lab.puppet.address}:{port} ssl crt {pem}\n default_backend none\nbackend none\n"
    )
    with subprocess.Popen([program("haproxy"), "-db", "-f", str(config)]) as haproxy:
        try:
            yield port
        finally:
            haproxy.kill()


@contextmanager
def on_small_disk(folder: Path, node: Node) -> Iterator[Node]:
    """`folder` is a disk of half a megabyte for all commands of the node."""
    kept = node.agent.node
    with small_disk(folder, "512k") as disk:
        shell = LocalShell({**os.environ, "TIDEGATE_NODE_ROOT": str(node.agent.root)})
        inside = " ".join(disk.inside)
        node.agent.node = PosixNode(
            "here", lambda command, stdin, timeout: shell(f"{inside} {command}", stdin, timeout)
        )
        try:
            yield node
        finally:
            node.agent.node = kept
