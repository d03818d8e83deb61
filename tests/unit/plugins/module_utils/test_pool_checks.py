from __future__ import annotations

from dataclasses import replace

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy_state import LoadBalancerState, OldWorker
from ansible_collections.tidegate.delivery.plugins.module_utils.pool_checks import problems
from tests.unit.plugins.module_utils import haproxy_rows as shown
from tests.unit.plugins.module_utils.haproxy_rows import MAINTENANCE, ONLINE, pool, row, state


def site(*names: str) -> dict[str, LoadBalancerState]:
    return {name: state(name, {"n1": shown.ON, "n2": shown.ON}) for name in names or ("lb1", "lb2")}


def reasons(states: dict[str, LoadBalancerState]) -> list[str]:
    found = problems(states, [pool("n1")])
    assert all(problem.remedy for problem in found)
    return [problem.reason for problem in found]


def test_a_site_as_it_should_be_has_no_problems() -> None:
    assert reasons(site()) == []


def test_a_server_that_another_one_tracks_is_found_wherever_that_is() -> None:
    states = site("lb1")
    follower = row("x", backend="elsewhere", tracks=f"{ONLINE}/n1")
    states["lb1"] = replace(states["lb1"], servers={**states["lb1"].servers, follower.key: follower})
    assert reasons(states) == [f"load balancer lb1: {ONLINE}/n1 is tracked by elsewhere/x, which moves with it"]


def test_trouble_of_a_node_that_stays_is_not_the_waves() -> None:
    states = site("lb1")
    agent = replace(states["lb1"].servers[ONLINE, "n2"], agent=True)
    states["lb1"] = replace(states["lb1"], servers={**states["lb1"].servers, agent.key: agent})
    assert reasons(states) == []


def test_a_missing_backend_is_told_once() -> None:
    states = site("lb1", "lb2")
    only_online = {key: each for key, each in states["lb2"].servers.items() if key[0] == ONLINE}
    states["lb2"] = replace(states["lb2"], servers=only_online)
    assert reasons(states) == [f"load balancer lb2 has no backend {MAINTENANCE}"]


def test_an_old_worker_that_does_not_answer_refuses_and_one_that_does_is_fine() -> None:
    states = site("lb1")
    states["lb1"] = replace(states["lb1"], old_workers=(OldWorker(41, {}), OldWorker(42, None)))
    assert reasons(states) == ["load balancer lb1: old worker 42 still lives and can't be asked for its sessions"]
