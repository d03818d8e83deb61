"""The faults of a test: which request they befall, and their way through a file."""

from __future__ import annotations

import pytest

from lab.splunk.faults import Faults, FaultState, Kind


def test_all_requests_of_an_endpoint() -> None:
    state = FaultState()
    state.set(Faults(kind=Kind.BUSY))
    assert [state.of_next_request(to)[1] for to in ("event", "ack", "event")] == [Kind.BUSY, None, Kind.BUSY]


def test_only_the_second_and_the_third_and_counted_anew() -> None:
    state = FaultState()
    state.of_next_request("event")
    state.set(Faults(kind=Kind.RESET, requests=(2, 3)))
    assert [state.of_next_request("event")[1] for _ in range(4)] == [None, Kind.RESET, Kind.RESET, None]


def test_who_waits_hears_of_the_change() -> None:
    state = FaultState()
    _, _, changed = state.of_next_request("event")
    state.set(Faults())
    assert changed.is_set()
    assert not state.of_next_request("event")[2].is_set()


def test_through_a_file() -> None:
    faults = Faults(latency_s=0.2, kind=Kind.SILENT, requests=(1,), to=("event", "ack"), acks_after_s=None)
    assert Faults.of_json(faults.to_json()) == faults


@pytest.mark.parametrize("text", ["", "{}x", '{"kind": "gone"}', '{"what": 1}'])
def test_what_is_no_fault(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        Faults.of_json(text)
