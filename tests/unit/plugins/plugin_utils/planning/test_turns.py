"""Waiting for a service that shares nodes: for whom, how long, and what is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Locked, Stopped
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, Stopping
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning import turns
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.turns import Turn

NAME = "service:lab/pricefeed"
NEIGHBOUR = "tradeapi-20260131-142501-7f3a"
OWN = "pricefeed-20260131-142501-7f3a"


def locked(deployment: str = NEIGHBOUR) -> Locked:
    return Locked(f"{NAME} is locked for {deployment}", where=NAME, deployment=deployment)


def live(*seen: frozenset[str]) -> Callable[[], frozenset[str]]:
    """The locks at each look, one look after the other."""
    looks: Iterator[frozenset[str]] = iter(seen)
    return lambda: next(looks)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(turns, "_LOOK_AGAIN", 0.0)
    return []


def test_a_neighbours_deployment_is_waited_for_and_named_once(told: list[str]) -> None:
    turn = Turn("pricefeed", 60, told.append, NEVER)
    held = frozenset({NAME, "node:lab/n6"})
    turn.wait(locked(), live(held, held, frozenset({"node:lab/n6"})))
    turn.wait(locked(), live(frozenset()))
    assert told == [f"waiting for its turn, since they share nodes: {NAME} is locked for {NEIGHBOUR}"]


@pytest.mark.parametrize(("deployment", "wait_s"), [(OWN, 60), ("", 60), (NEIGHBOUR, 0)])
def test_the_services_own_somebody_unknown_and_without_patience_nobody_is_waited_for(
    told: list[str], deployment: str, wait_s: float
) -> None:
    turn = Turn("pricefeed", wait_s, told.append, NEVER)
    with pytest.raises(Locked, match="is locked for"):
        turn.wait(locked(deployment), live())
    assert not told


def test_a_neighbour_that_stays_is_told_as_it_was(told: list[str]) -> None:
    turn = Turn("pricefeed", 0.1, told.append, NEVER)
    with pytest.raises(Locked, match=NEIGHBOUR):
        turn.wait(locked(), lambda: frozenset({NAME}))
    assert told and not turn.patient


def test_no_wait_is_without_a_pause(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_LOOK_AGAIN", 0.05)
    turn, rounds = Turn("pricefeed", 0.3, told.append, NEVER), 0
    with pytest.raises(Locked):
        while True:
            turn.wait(locked(), frozenset)
            rounds += 1
    assert 0 < rounds <= 7


def test_a_stop_ends_the_wait(told: list[str]) -> None:
    def look(where: str) -> None:
        raise Stopped(f"stopped by alice {where}")

    with pytest.raises(Stopped, match="nothing was opened"):
        Turn("pricefeed", 60, told.append, Stopping(look)).wait(locked(), lambda: frozenset({NAME}))
