"""What an action does when somebody asks to stop: before it begins, in its middle, when its connections are hit."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Refused, Stopped, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import AtStop
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction, _NotPermitted
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping import stop

LOST = Unreachable("the answer broke off")
DONE = {"changed": True, "msg": "done"}


class Waiting(DomainAction):
    """An effect whose `act` does one thing after the other."""

    EFFECT = True
    STEP = "puppet"

    def will(self, at_stop: AtStop, *things: Callable[[], dict[str, Any]]) -> Waiting:
        self.how, self.things = at_stop, list(things)
        return self

    def at_stop(self, call: Call) -> AtStop:
        return self.how

    def act(self, call: Call) -> dict[str, Any]:
        return self.things.pop(0)()

    def require_planned(self, call: Call) -> None:
        pass


class Calling:
    """Stands in for a call of a deployment; what is recorded is kept."""

    check, deployment_id = False, "d1"

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.recorded: list[str] = []

    def require_permit(self, _deadline: float, _doing: str, *, in_wave: bool) -> None:
        self.recorded.append("permit")

    def record(self, step: str, outcome: str, details: object) -> None:
        assert details is None
        self.recorded.append(f"{step} {outcome}")

    def record_end(self, step: str, result: dict[str, Any], _recorded: object, *, effect: bool) -> None:
        self.recorded.append(f"{step} {result['msg']}")

    def __getattr__(self, name: str) -> Any:
        return lambda value: value


@pytest.fixture
def call() -> Any:
    return Calling()


@pytest.fixture
def action() -> Waiting:
    return object.__new__(Waiting)


def fails(error: DomainError, *, asked: bool) -> Callable[[], dict[str, Any]]:
    """Somebody asks meanwhile, or nobody does, and then it fails."""

    def act() -> dict[str, Any]:
        if asked:
            stop.request_stop(signal.SIGTERM)
        raise error

    return act


def succeeds() -> dict[str, Any]:
    return dict(DONE)


@pytest.mark.parametrize("how", [AtStop.COMPLETE, AtStop.GIVE_UP])
def test_after_a_stop_an_effect_does_not_begin(action: Waiting, call: Any, how: AtStop) -> None:
    stop.request_stop(signal.SIGTERM)
    with pytest.raises(_NotPermitted, match=r"\(SIGTERM\) before Puppet ran"):
        action.will(how, succeeds)._permitted(call)
    assert call.recorded == []


def test_what_leads_to_a_safe_point_begins_all_the_same(action: Waiting, call: Any) -> None:
    stop.request_stop(signal.SIGTERM)
    assert action.will(AtStop.FINISH, succeeds)._permitted(call) == DONE
    assert call.recorded == ["permit", "puppet started", "puppet done"]


@pytest.mark.parametrize("how", [AtStop.FINISH, AtStop.COMPLETE])
def test_what_is_brought_to_its_end_is_tried_again_when_a_signal_hit_its_connections(
    action: Waiting, call: Any, how: AtStop
) -> None:
    assert action.will(how, fails(LOST, asked=True), succeeds)._permitted(call) == DONE


def test_what_is_given_up_was_stopped_when_a_signal_hit_its_connections(action: Waiting, call: Any) -> None:
    with pytest.raises(Stopped, match="in step puppet"):
        action.will(AtStop.GIVE_UP, fails(LOST, asked=True))._permitted(call)


@pytest.mark.parametrize("how", AtStop)
@pytest.mark.parametrize("error", [LOST, Refused("somebody else's")])
def test_without_a_signal_a_failure_is_a_failure(action: Waiting, call: Any, how: AtStop, error: DomainError) -> None:
    with pytest.raises(type(error)):
        action.will(how, fails(error, asked=False))._permitted(call)


def test_a_second_failure_counts(action: Waiting, call: Any) -> None:
    with pytest.raises(Unreachable):
        action.will(AtStop.FINISH, fails(LOST, asked=True), fails(LOST, asked=False))._permitted(call)


RAW, SHOWN = "by \x1b[31meve\r", "by \\x1b[31meve\\r"


def test_what_others_wrote_is_printable_in_result_and_record(action: Waiting, call: Any) -> None:
    found = {"changed": False, "msg": RAW, "table": [RAW], "frozen": [{"reason": RAW}], "ansible_facts": {"raw": RAW}}
    outcome = action.will(AtStop.FINISH, lambda: dict(found))._permitted(call)
    assert (outcome["msg"], outcome["table"], outcome["frozen"]) == (SHOWN, [SHOWN], [{"reason": SHOWN}])
    assert outcome["ansible_facts"] == {"raw": RAW}, "what later tasks work with"
    assert call.recorded == ["permit", "puppet started", f"puppet {SHOWN}"]
