"""Each way to aim at one node, and HAProxy's own log as the proof: real nunit-console through a real HAProxy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box_order import BoxRun
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.gate import NUnitOutcome, Rules
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.log import Account, Served
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.run import NUnitResult, run_nunit
from tests.integration.nunit.balancer import AIM, BACKENDS, HOSTS, Balancer, balancing
from tests.integration.nunit.servers import Site, serving
from tests.integration.nunit.test_nunit_run import BOX, EXPECTED, TODAY, order


@pytest.fixture(scope="module")
def balancer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balancer]:
    with balancing(tmp_path_factory.mktemp("balancer")) as balancer:
        yield balancer


@pytest.fixture(scope="module")
def artifacts() -> Iterator[Site]:
    with serving(Site()) as site:
        yield site


def aimed(site: Site, work: Path, url: str, aim: tuple[str, str] | None, kind: str = "PASSING") -> BoxRun:
    """A run at n1 through the front end at `url`."""
    run = replace(order(site, work, (kind,)), probe_url=f"{url}/health", aim=aim, marked=True)
    told = {"TIDEGATE_URL": url, "TIDEGATE_RUN": run.id, "TIDEGATE_RUN_HEADER": "X-Tidegate-Run"}
    told |= dict(zip(("TIDEGATE_AIM_HEADER", "TIDEGATE_AIM_VALUE"), aim or ("", ""), strict=True))
    return replace(run, settings={**run.settings, **told})


def account(log: Path, **options: Any) -> Account:
    lb = PosixNode("lb1", LocalShell())
    return Account({"lb1": str(log)}, {"lb1": lb}, BACKENDS, **{"required": True, "by_id": False} | options)


def judged(run: BoxRun, log: Account) -> NUnitResult:
    return run_nunit(BOX, run, EXPECTED, Rules(), today=TODAY, account=log)


@pytest.mark.parametrize("by", ["header", "host", "port"])
def test_tests_reach_the_node_by_each_aim_and_the_log_proves_it(
    balancer: Balancer, artifacts: Site, tmp_path: Path, by: str
) -> None:
    aim = {"header": (AIM, "n1"), "host": ("Host", HOSTS["n1"]), "port": None}[by]
    url = balancer.port_of("n1") if by == "port" else balancer.url
    done = judged(aimed(artifacts, tmp_path, url, aim), account(balancer.log, by_id=by == "host"))
    assert done.verdict.outcome is NUnitOutcome.PASSED, done.verdict.sentence
    assert done.proof is not None
    assert (done.proof.served, done.proof.requests) == (Served.BY_THE_NODE, 1)
    assert done.report.source.startswith("127.")


def test_a_test_that_asked_another_node_is_no_evidence(balancer: Balancer, artifacts: Site, tmp_path: Path) -> None:
    """Its cases passed, and both probes named the aimed node."""
    log = account(balancer.log, required=False)
    done = judged(aimed(artifacts, tmp_path, balancer.url, (AIM, "n1"), "STRAYING"), log)
    assert done.verdict.outcome is NUnitOutcome.STRAYED
    assert "of 2 requests of the tests 1 by trade_maintenance/n2, not by n1" in done.verdict.sentence


def test_tests_that_asked_nobody_are_no_evidence(balancer: Balancer, artifacts: Site, tmp_path: Path) -> None:
    done = judged(aimed(artifacts, tmp_path, balancer.url, (AIM, "n1"), "SORTED"), account(balancer.log))
    assert done.verdict.outcome is NUnitOutcome.STRAYED
    assert "n1 served no request of the tests" in done.verdict.sentence


def test_a_log_that_is_required_and_not_there_ends_it_before_any_test(
    balancer: Balancer, artifacts: Site, tmp_path: Path
) -> None:
    run = aimed(artifacts, tmp_path, balancer.url, (AIM, "n1"))
    done = judged(run, account(tmp_path / "gone.log"))
    assert done.verdict.outcome is NUnitOutcome.UNPROVED
    assert "HAProxy's log can't be read" in done.verdict.sentence
    assert not (tmp_path / "runs").exists()


def test_a_log_that_was_rotated_meanwhile_is_read_on(balancer: Balancer, tmp_path: Path) -> None:
    log, lines = tmp_path / "haproxy.log", _lines(tmp_path.name)
    log.write_bytes(b"before\n")
    read = account(log)
    assert read.begin() == ""
    with log.open("ab") as file:
        file.write(lines[0])
    log.rename(tmp_path / "haproxy.log.1")
    log.write_bytes(b"".join(lines[1:]))
    assert read.proof(tmp_path.name, "n1", "127.0.0.1").served is Served.BY_THE_NODE
    # Cut to nothing in place: what was there is lost.
    cut = account(log)
    assert cut.begin() == ""
    log.write_bytes(b"")
    proof = cut.proof(tmp_path.name, "n1", "127.0.0.1")
    assert (proof.served, "it was cut meanwhile" in proof.sentence) == (Served.UNKNOWN, True)


def test_a_log_that_was_rotated_twice_meanwhile_is_incomplete(tmp_path: Path) -> None:
    log, lines = tmp_path / "haproxy.log", _lines(tmp_path.name)
    log.write_bytes(b"before\n")
    read = account(log)
    assert read.begin() == ""
    with log.open("ab") as file:
        file.write(lines[0])
    os.utime(log, (0, 0))
    log.rename(tmp_path / "haproxy.log-20260131")
    # What strayed is in the one between them.
    log.write_bytes(lines[1].replace(b"/n1", b"/n2"))
    log.rename(tmp_path / "haproxy.log-20260131-1")
    log.write_bytes(b"".join(lines[1:]))
    proof = read.proof(tmp_path.name, "n1", "127.0.0.1")
    assert (proof.served, "rotated more than once" in proof.sentence) == (Served.UNKNOWN, True)


def test_what_ssh_says_of_its_own_does_not_spoil_a_log(tmp_path: Path) -> None:
    class Noisy(LocalShell):
        def __call__(self, command: str, stdin: bytes | None, timeout: float) -> Completed:
            done = super().__call__(command, stdin, timeout)
            return replace(done, stderr=b"Warning: Permanently added 'lb1' to the list of known hosts.\n" + done.stderr)

    log = tmp_path / "haproxy.log"
    log.touch()
    read = Account({"lb1": str(log)}, {"lb1": PosixNode("lb1", Noisy())}, BACKENDS, required=True, by_id=False)
    assert read.begin() == ""
    log.write_bytes(b"".join(_lines(tmp_path.name)))
    assert read.proof(tmp_path.name, "n1", "127.0.0.1").served is Served.BY_THE_NODE
    log.unlink()
    assert "No such file" in read.proof(tmp_path.name, "n1", "127.0.0.1").sentence


def _lines(run: str) -> list[bytes]:
    uris = (f"/health?tidegate-run={run}-before", "/quotes", f"/health?tidegate-run={run}-after")
    how = '127.0.0.1:7 [d] t trade_maintenance/n1 0/0/0/0/0 200 5 - - ---- 1/1/0/0/0 0/0 "GET {} HTTP/1.1"\n'
    return [how.format(uri).encode() for uri in uris]
