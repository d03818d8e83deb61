"""The witness on real load balancers: it sees what customers could use, and every way in which that can shrink."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.sampler import Sampler, SamplerResult, main, parse, usable
from tests.integration.lab.bench import Bench, bench
from tests.waiting import until

# It has looked by then, ten times on an idle machine.
LOOKED_S = 1.5


@pytest.fixture(scope="module")
def running() -> Iterator[Bench]:
    with bench() as made:
        yield made


@pytest.fixture(autouse=True)
def as_it_was(running: Bench) -> Iterator[None]:
    yield
    for node in ("n1", "n2"):
        running.tell_all(f"set server tradeapi_maintenance/{node} state maint")
        running.tell_all(f"set weight tradeapi_online/{node} 1")
        running.tell_all(f"set server tradeapi_online/{node} state ready")
    until(running.all_up, "all are up")


def least(result: SamplerResult, balancer: str) -> int | None:
    return result.balancers[balancer].services["tradeapi"].min_online


def test_it_samples_ten_times_a_second_without_a_gap(running: Bench, tmp_path: Path) -> None:
    # On a busy machine there may be a gap that is not the sampler's fault, but not always.
    for _ in range(10):
        with Sampler(running.layout, folder=tmp_path) as sampler:
            time.sleep(2)
        assert sampler.result is not None
        seen = sampler.result.balancers.values()
        if all(17 <= each.samples <= 24 and (each.missed, each.gaps) == (0, []) for each in seen):
            break
    else:
        pytest.fail(f"{seen}")
    assert sampler.result.min_online("tradeapi") == 6
    assert sampler.result.min_online("pricefeed") == 2


@pytest.mark.parametrize(
    "out",
    [
        "set server tradeapi_online/n1 state drain",
        "set server tradeapi_online/n1 state maint",
        "set server tradeapi_online/n1 health down",
        "set weight tradeapi_online/n1 0",
    ],
)
def test_it_sees_each_way_out_of_the_pool_on_the_one_balancer(running: Bench, tmp_path: Path, out: str) -> None:
    with Sampler(running.layout, folder=tmp_path) as sampler:
        running.tell("lb2", out)
        time.sleep(LOOKED_S)
    assert sampler.result is not None
    assert (least(sampler.result, "lb1"), least(sampler.result, "lb2")) == (6, 5)
    assert sampler.result.min_online("tradeapi") == 5
    changes = sampler.result.balancers["lb2"].services["tradeapi"].changes
    assert any(names == ["n2", "n3", "n4", "n5", "n6"] for _, names in changes)


def test_a_server_that_has_not_passed_its_checks_does_not_count(running: Bench, tmp_path: Path) -> None:
    # MAINT to ready is `UP 1/2` until the checks have passed: customers get there, but it is not to be relied on.
    running.tell("lb1", "set server tradeapi_online/n1 state maint")
    time.sleep(0.3)
    with Sampler(running.layout, folder=tmp_path) as sampler:
        time.sleep(0.2)
        # In one breath: before HAProxy checks it.
        shown = running.tell("lb1", "set server tradeapi_online/n1 state ready; show stat -1 4 -1")
        assert len(usable(parse(shown.lstrip()), "tradeapi_online")) == 5
        until(running.all_up, "all are up")
        time.sleep(LOOKED_S)
    assert sampler.result is not None
    changes = sampler.result.balancers["lb1"].services["tradeapi"].changes
    assert [len(names) for _, names in changes] == [5, 6]


def test_a_node_in_both_pools_is_a_violation(running: Bench, tmp_path: Path) -> None:
    with Sampler(running.layout, folder=tmp_path) as sampler:
        running.tell("lb1", "set server tradeapi_maintenance/n2 state ready")
        time.sleep(LOOKED_S)
    assert sampler.result is not None
    assert sampler.result.both_pools >= 2
    seen = sampler.result.balancers["lb1"].services["tradeapi"]
    assert seen.both_pools_first[0][1] == ["n2"]
    assert sampler.result.balancers["lb2"].services["tradeapi"].both_pools == 0


def test_a_node_that_moved_to_maintenance_is_no_violation(running: Bench, tmp_path: Path) -> None:
    running.tell_all("set server tradeapi_online/n2 state maint")
    with Sampler(running.layout, folder=tmp_path) as sampler:
        running.tell_all("set server tradeapi_maintenance/n2 state ready")
        time.sleep(0.5)
    assert sampler.result is not None
    assert (sampler.result.both_pools, sampler.result.min_online("tradeapi")) == (0, 5)


def test_a_balancer_that_stops_answering_is_a_gap(running: Bench, tmp_path: Path) -> None:
    worker = int(running.tell("lb1", "show info").split("\nPid: ")[1].split()[0])
    with Sampler(running.layout, folder=tmp_path) as sampler:
        time.sleep(0.3)
        os.kill(worker, signal.SIGSTOP)
        time.sleep(3)
        os.kill(worker, signal.SIGCONT)
        time.sleep(LOOKED_S)
    assert sampler.result is not None
    lb1, lb2 = sampler.result.balancers["lb1"], sampler.result.balancers["lb2"]
    # Shorter ones are a busy machine's.
    assert [seconds <= 10.0 for _, seconds in lb1.gaps if seconds > 2.5] == [True]
    assert lb1.missed >= 2 and lb1.last_error
    assert not [seconds for _, seconds in lb2.gaps if seconds > 2.5]
    assert sampler.result.gaps >= 1


def test_a_balancer_that_is_not_there_gives_no_minimum(running: Bench, tmp_path: Path) -> None:
    socket = running.layout.host("lb2").haproxy_socket
    away = socket.with_name("away.sock")
    socket.rename(away)
    try:
        with Sampler(running.layout, folder=tmp_path) as sampler:
            time.sleep(LOOKED_S)
    finally:
        away.rename(socket)
    assert sampler.result is not None
    assert sampler.result.min_online("tradeapi") is None
    assert sampler.result.balancers["lb2"].gaps


def test_by_hand(running: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seconds", "2", "--net", running.layout.net, "--state", str(running.layout.state)]) == 0
    assert '"min_online": 6' in capsys.readouterr().out
