"""What customers got, from HAProxy's own counters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.customers import Moment, common_backends, sample
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import (
    LoadBalancerState,
    Traffic,
    parse_stat,
    traffic_counts,
)

# Cut from `show stat` of 2.6.12.
STAT = """\
# pxname,svname,qcur,scur,stot,econ,eresp,wretr,wredis,status,bck,tracked,type,hrsp_5xx,req_tot,srv_abrt,qtime,ctime,\
rtime,ttime,addr,mode,
shop,BACKEND,0,0,81,3,4,2,1,UP,0,,1,7,80,1,2,1,9,11,,http,
mail,BACKEND,0,0,40,2,3,5,0,UP,0,,1,,,9,0,4,0,700,,tcp,
shop,n1,0,0,70,1,4,2,1,UP,0,,2,4,70,1,0,1,8,9,127.0.0.2:8080,http,"""


def state(text: str = STAT) -> LoadBalancerState:
    found = traffic_counts(parse_stat("lb1", text))
    return LoadBalancerState("lb1", "2.8", 42, 1, {}, {}, traffic=found, began="1795934933")


def test_of_each_backend_its_own_row_is_counted_and_what_failed_once() -> None:
    assert state().traffic == {
        "shop": Traffic(80, 8, 7, 1, 2, 1, 2, 1, 9, 11),
        # Without HTTP there are no requests: sessions are what customers have.
        "mail": Traffic(40, 5, 0, 0, 5, 0, 0, 4, 0, 700),
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [(",req_tot,", ",req_all,"), (",mode,\n", ",kind,\n"), (",7,80,1,", ",,80,1,"), (",7,80,1,", ",7,80,-1,")],
)
def test_one_that_does_not_tell_its_counters_has_none_and_is_no_error(old: str, new: str) -> None:
    found = state(STAT.replace(old, new))
    assert "shop" not in found.traffic
    assert sample(found, ["shop"], Moment.BEFORE) is None


def test_a_sample_adds_up_the_backends_and_names_the_worker() -> None:
    assert sample(state(), ["shop", "mail"], Moment.JOINED) == {
        "load_balancer": "lb1",
        "at_moment": "joined",
        "worker": "42:1795934933",
        "requests": 120,
        "failed": 13,
        "hrsp_5xx": 7,
        "cut": 1,
        "retried": 7,
        "redispatched": 1,
        "queue_ms": 2,
        "connect_ms": 4,
        "response_ms": 9,
        "total_ms": 700,
        "pools": ["mail", "shop"],
    }


def test_what_is_down_or_does_not_have_all_of_them_tells_nothing() -> None:
    assert sample(replace(state(), proof="no process"), ["shop"], Moment.BEFORE) is None
    assert sample(state(), ["shop", "other"], Moment.BEFORE) is None
    assert sample(state(), [], Moment.BEFORE) is None


def wave(*online: str, load_balancers: tuple[str, ...] = ("lb1",), without: tuple[str, ...] = ()) -> dict[str, Any]:
    pools = [{"online": name} for name in online]
    return {"load_balancers": [*load_balancers], "without": [*without], "pools": pools}


@pytest.mark.parametrize(
    ("waves", "backends"),
    [
        ([], {}),
        ([wave("shop", "mail"), wave("shop", "mail")], {"lb1": ["shop", "mail"]}),
        # A service that stands beside on some nodes only: its failures of long ago would look like new ones.
        ([wave("shop", "mail"), wave("shop"), wave("shop", "mail")], {"lb1": ["shop"]}),
        ([wave("shop"), wave("shop", "mail")], {"lb1": ["shop"]}),
        ([wave("shop"), wave("far", load_balancers=("lb2",))], {"lb1": ["shop"], "lb2": ["far"]}),
        ([wave("shop", load_balancers=("lb1", "lb2"), without=("lb2",))], {"lb1": ["shop"]}),
    ],
)
def test_the_same_backends_are_added_up_each_time(waves: list[dict[str, Any]], backends: dict[str, list[str]]) -> None:
    assert common_backends(waves) == backends
