"""A pair of load balancers whose address moves in the middle of a leave."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from tests.integration.haproxy.haproxy_site import ONLINE
from tests.integration.haproxy.keepalived_pair import Pair, pair
from tests.waiting import PATIENCE_S, until


@pytest.fixture
def edge() -> Iterator[Pair]:
    with pair() as made:
        made.site.await_cells("n1", Cell.ON)
        yield made


def lower(edge: Pair) -> None:
    edge.moved("lb2", lambda: edge.prefer("lb1", yes=False))


def kill_and_come_back(edge: Pair) -> None:
    """With HAProxy gone the address goes too, and it comes back with it."""
    balancer = edge.site.load_balancers["lb1"]
    edge.moved("lb2", balancer.kill)
    edge.moved("lb1", balancer.start)


WAYS = {"priority": lower, "kill": kill_and_come_back}


def hold_n1(edge: Pair) -> None:
    edge.hold(8)
    until(lambda: edge.site.load_balancers["lb1"].read().sessions((ONLINE, "n1")) > 0, "n1 serves a customer")


@pytest.mark.parametrize("way", WAYS)
def test_a_node_that_leaves_gets_no_customer_wherever_the_address_is(edge: Pair, way: str) -> None:
    nodes = edge.site.backends
    move = edge.site.move(["n1"])
    with edge.customers(), ThreadPoolExecutor(1) as pool:
        hold_n1(edge)
        assert move.preview(Intent.LEAVE, ours=())
        leaving = pool.submit(move.run, Intent.LEAVE)
        edge.site.await_cells("n1", Cell.DRAIN)
        drained = time.monotonic()
        WAYS[way](edge)
        edge.release()
        leaving.result(PATIENCE_S)
        served = nodes["n1"].customers
        time.sleep(0.5)
    assert edge.site.cells("n1") == [Cell.TEST, Cell.TEST]
    assert nodes["n1"].customers == served
    later = [request for request in edge.requests if request.opened > drained and not request.error]
    assert later
    assert [request for request in later if request.node == "n1"] == []
    assert edge.unexplained() == []


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_without_a_leave_the_same_connections_break_when_the_address_moves(edge: Pair, way: str) -> None:
    """The control: what was open on the load balancer that lost the address ends, whatever the pools do."""
    with edge.customers():
        hold_n1(edge)
        WAYS[way](edge)
        edge.release()
        # Those who wait for an answer notice when their patience is over.
        until(lambda: any(request.error for request in edge.requests), "the move breaks connections")
    assert edge.unexplained() == []
