from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import (
    Admin,
    LoadBalancerState,
    OldWorker,
    ServerKey,
    ServerRow,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.checks import other_ways, problems
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


K = RefusalKind


@pytest.mark.parametrize(
    ("backend", "change", "kinds"),
    [
        (ONLINE, {"agent": True}, [K.AGENT_CHECK]),
        (MAINTENANCE, {"agent": True}, [K.AGENT_CHECK]),
        (ONLINE, {"tracks": "x/y", "checked": False}, [K.TRACKS]),
        (ONLINE, {"checked": False}, [K.UNCHECKED]),
        (MAINTENANCE, {"checked": False}, [K.UNCHECKED]),
        (ONLINE, {"checked": False, "check_off": True}, [K.CHECK_OFF]),
        (ONLINE, {"backup": True}, [K.BACKUP]),
        (MAINTENANCE, {"backup": True}, []),
        (ONLINE, {"weight": 0}, [K.NO_WEIGHT]),
        (MAINTENANCE, {"weight": 0}, []),
        (ONLINE, {"admin": Admin.RESOLUTION_MAINT}, [K.UNRESOLVED]),
        (MAINTENANCE, {"admin": Admin.RESOLUTION_MAINT | Admin.FORCED_MAINT}, [K.UNRESOLVED]),
        (ONLINE, {"agent": True, "backup": True, "checked": False}, [K.AGENT_CHECK, K.UNCHECKED, K.BACKUP]),
    ],
)
def test_each_kind_of_server_that_can_not_be_moved(
    backend: str, change: dict[str, Any], kinds: list[RefusalKind]
) -> None:
    states = site("lb1")
    spoilt = replace(states["lb1"].servers[backend, "n1"], **change)
    states["lb1"] = replace(states["lb1"], servers={**states["lb1"].servers, spoilt.key: spoilt})
    found = problems(states, [pool("n1")])
    assert [problem.kind for problem in found] == kinds
    assert all(f"{backend}/n1" in problem.reason for problem in found)
    allowed = problems(states, [replace(pool("n1"), unchecked=True)])
    assert [problem.kind for problem in allowed] == [kind for kind in kinds if kind is not K.UNCHECKED]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"level": "operator"}, K.LEVEL),
        ({"level": "user"}, K.LEVEL),
        ({"failed_reloads": 1}, K.FAILED_RELOAD),
        ({"old_workers": (OldWorker(42, None),)}, K.OLD_WORKER),
    ],
)
def test_each_reason_not_to_move_anything_on_a_load_balancer(change: dict[str, Any], kind: RefusalKind) -> None:
    states = site()
    states["lb2"] = replace(states["lb2"], **change)
    [problem] = problems(states, [pool("n1")])
    assert problem.kind is kind
    assert problem.reason.startswith("load balancer lb2: ")


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


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (("lb2", ONLINE), f"{ONLINE}/n1 on lb1 has the address n1.test:8080, and so has {ONLINE}/n2 on lb2"),
        (("lb1", MAINTENANCE), f"{ONLINE}/n1 on lb1 has the address n1.test:8080, and so has {MAINTENANCE}/n2 on lb1"),
        (("lb1", ONLINE), f"{ONLINE}/n1 on lb1 has the address n1.test:8080, and so has {ONLINE}/n2 on lb1"),
    ],
)
def test_a_node_that_is_reached_under_another_name_too(where: tuple[str, str], told: str) -> None:
    states, (host, backend) = site(), where
    crossed = replace(states[host].servers[backend, "n2"], address="n1.test:8080")
    states[host] = replace(states[host], servers={**states[host].servers, crossed.key: crossed})
    assert reasons(states) == [f"{told}: a node under two names"]


def test_a_node_may_have_several_addresses() -> None:
    states = site()
    other = replace(states["lb2"].servers[ONLINE, "n1"], address="192.0.2.9:81")
    states["lb2"] = replace(states["lb2"], servers={**states["lb2"].servers, other.key: other})
    assert reasons(states) == []


def test_backends_of_no_descriptor_that_have_several_of_the_nodes_are_told_by_a_check_alone() -> None:
    states = site("lb1")
    theirs = [row(name, backend="legacy", address=f"{node}.test:8080") for name, node in (("a", "n1"), ("b", "n2"))]
    one = row("n1", backend="n1_testers")
    other = row("n1", backend="admin", address="n1.test:9090")
    servers = {**states["lb1"].servers, **{each.key: each for each in (*theirs, one, other)}}
    states["lb1"] = replace(states["lb1"], servers=servers)
    both = pool("n1", "n2")
    assert problems(states, [both]) == []
    [told] = other_ways(states, both, both.backends)
    assert told.reason.startswith(f"load balancer lb1: legacy has n1, n2 of {ONLINE} too")
    assert other_ways(states, both, (*both.backends, "legacy")) == []


@pytest.mark.parametrize("address", ["", "unix", "0.0.0.0:80", "[::]:80"])
def test_what_is_no_address_of_a_machine_is_nobodys(address: str) -> None:
    states = site()
    for host, each in states.items():
        servers = {key: replace(server, address=address) for key, server in each.servers.items()}
        states[host] = replace(each, servers=servers)
    assert reasons(states) == []


def test_an_old_worker_that_does_not_answer_refuses_and_one_that_does_is_fine() -> None:
    states = site("lb1")
    states["lb1"] = replace(states["lb1"], old_workers=(OldWorker(41, {}), OldWorker(42, None)))
    assert reasons(states) == ["load balancer lb1: old worker 42 still lives and can't be asked for its sessions"]


class _Counted(dict[ServerKey, ServerRow]):
    """Counts how often all servers were gone through."""

    passes = 0

    def values(self) -> Any:
        type(self).passes += 1
        return super().values()


def test_checking_many_nodes_goes_through_the_servers_as_often_as_checking_one() -> None:
    passes = []
    for count in (1, 40):
        names = [f"n{number}" for number in range(count)]
        made = state("lb1", dict.fromkeys(names, shown.ON))
        _Counted.passes = 0
        assert problems({"lb1": replace(made, servers=_Counted(made.servers))}, [pool(*names)]) == []
        passes.append(_Counted.passes)
    assert passes[0] == passes[1] > 0
