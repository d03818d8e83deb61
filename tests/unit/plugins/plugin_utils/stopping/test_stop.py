"""The flag that all processes of one ansible-playbook share."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    BadInput,
    DomainError,
    Locked,
    Refused,
    Stopped,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_report import Stuck
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping import stop
from tests.waiting import PATIENCE_S


@pytest.fixture(autouse=True)
def nobody_asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SUDO_USER", "alice")
    stop.forget_stop()
    yield
    stop.forget_stop()


def test_as_long_as_nobody_asks_everything_goes_on() -> None:
    stop.require_going_on("here")
    assert stop.stop_requested() is None
    assert not stop.signalled_since(0)


def test_a_worker_that_hears_of_it_tells_all() -> None:
    context = multiprocessing.get_context("fork")
    worker = context.Process(target=stop.request_stop, args=(signal.SIGTERM,))
    worker.start()
    worker.join(PATIENCE_S)
    with pytest.raises(Stopped, match=r"stopped by alice \(SIGTERM\) while draining") as raised:
        stop.require_going_on("while draining")
    assert raised.value.reason == "stopped"


def test_the_first_signal_is_the_one_that_is_told() -> None:
    stop.request_stop(signal.SIGINT)
    between = time.monotonic()
    stop.request_stop(signal.SIGTERM)
    assert str(stop.stop_requested()) == "alice (SIGINT)"
    assert stop.signalled_since(between)
    assert not stop.signalled_since(time.monotonic())


@pytest.mark.parametrize("error", [Unreachable("the answer broke off"), Refused("n5 can't be reached")])
def test_what_the_signal_did_to_our_connections_is_the_stop(error: DomainError) -> None:
    assert stop.explained(error, "here") is error
    stop.request_stop(signal.SIGTERM)
    assert str(stop.explained(error, "here")) == "stopped by alice (SIGTERM) here."


@pytest.mark.parametrize("error", [BadInput("no"), Locked("no"), Stuck("no"), DomainError("no"), Stopped("no")])
def test_no_stop_hides_what_it_did_not_cause(error: DomainError) -> None:
    stop.request_stop(signal.SIGTERM)
    assert stop.explained(error, "here") is error
