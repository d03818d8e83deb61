"""A call for several nodes: what each node's part does to the one result, and what is recorded."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Refused, Stopped, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import AtStop
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction, _NotPermitted
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.parts import together
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping import stop
from tests.waiting import PATIENCE_S, until

GOOD = {"changed": True, "outcome": "frozen", "msg": "n1: frozen", "own_s": 1.0}
BAD = {"failed": True, "changed": False, "msg": "n2: unreachable", "reason": "unreachable", "where": "n2"}
ASKED = {"failed": True, "changed": False, "msg": "n3: stopped", "reason": "stopped"}


def test_one_part_is_told_as_it_is() -> None:
    assert together([("n1", GOOD)]) == {**GOOD, "nodes": {"n1": GOOD}}


def test_several_good_ones_are_told_by_outcome_and_the_slowest_counts() -> None:
    slow = {**GOOD, "changed": False, "own_s": 3.0}
    result = together([("n1", GOOD), ("n2", slow), ("n3", {**GOOD, "outcome": "thawed"})])
    assert result["msg"] == "n1, n2: frozen; n3: thawed"
    assert (result["changed"], result["own_s"]) == (True, 3.0)
    assert "failed" not in result


def test_a_failure_is_the_results_and_a_stop_is_none_beside_another() -> None:
    result = together([("n1", GOOD), ("n3", ASKED), ("n2", BAD)])
    assert (result["failed"], result["reason"], result["where"]) == (True, "unreachable", "n2")
    assert result["msg"] == "n3: stopped; n2: unreachable"
    assert [name for name, own in result["nodes"].items() if own.get("failed")] == ["n3", "n2"]
    assert together([("n1", GOOD), ("n3", ASKED)])["reason"] == "stopped"


def test_of_many_failures_three_are_told_and_the_others_named() -> None:
    names = [f"n{number}" for number in range(1, 6)]
    result = together([(name, {**BAD, "msg": f"{name}: no"}) for name in names])
    assert result["msg"] == "n1: no; n2: no; n3: no; n4, n5 failed too"


def test_of_a_node_with_several_services_the_failure_counts() -> None:
    result = together([("n1", BAD), ("n1", GOOD), ("n2", GOOD)])
    assert result["nodes"] == {"n1": BAD, "n2": GOOD}


def test_every_change_has_its_diff() -> None:
    result = together([("n1", {**GOOD, "diff": {"before": "a"}}), ("n2", {**GOOD, "diff": {"before": "b"}})])
    assert result["diff"] == [{"before": "a"}, {"before": "b"}]
    assert "diff" not in result["nodes"]["n1"]


def test_a_plan_that_has_nothing_for_these_nodes_is_no_failure() -> None:
    assert together([])["outcome"] == "nothing_planned"


class Freezing(DomainAction):
    """An effect on several nodes; `will` says what becomes of each."""

    EFFECT = True
    STEP = "freeze"
    RECORDED = ("outcome",)

    def will(self, **ends: Any) -> Freezing:
        self.ends = ends
        return self

    def at_stop(self, call: Call) -> AtStop:
        return AtStop.GIVE_UP

    def act(self, call: Call) -> dict[str, Any]:
        end = self.ends[call.host]
        if isinstance(end, Exception):
            raise end
        return dict(end() if callable(end) else end)


class Recording:
    """Stands in for the ledger."""

    def __init__(self) -> None:
        self.appended: list[list[Any]] = []
        self.fails = False

    def append(self, events: Iterator[Any]) -> None:
        if self.fails:
            raise Refused("the ledger is gone")
        self.appended.append(list(events))

    def __getattr__(self, name: str) -> Any:
        return lambda *_args: None


class Part:
    """Stands in for a call, whole or part."""

    check, deployment_id, redactor, started = False, "d1", None, 0.0

    def __init__(self, host: str, ledger: Recording) -> None:
        self.host, self.ledger, self.args = host, ledger, {"nodes": ["n1"]}
        self.elapsed_s: float | None = None
        self.permits: list[float] = []
        self.unfit: DomainError | None = None
        self.lost: dict[str, DomainError] = {}

    def require_permit(self, deadline: float, _doing: str, *, in_wave: bool) -> None:
        self.permits.append(deadline)

    def record(self, *_args: object, details: object = None) -> None:
        """The beginning."""

    def end_event(self, step: str, result: dict[str, Any], recorded: Sequence[str], *, effect: bool) -> Any:
        return self.host, step, bool(result.get("failed")), [result.get(name) for name in recorded], self.elapsed_s

    def in_parallel(self, work: Any, names: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        threads = [threading.Thread(target=lambda name=name: found.update({name: work(name)})) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {name: found[name] for name in names} | self.lost

    def redact(self, value: Any) -> Any:
        return value


@pytest.fixture
def ledger() -> Recording:
    return Recording()


def freeze(ledger: Recording, *hosts: str, **ends: Any) -> tuple[dict[str, Any], Any]:
    whole: Any = Part(hosts[0], ledger)
    parts: Any = [Part(host, ledger) for host in hosts]
    return object.__new__(Freezing).will(**ends)._permitted(whole, parts), whole


def test_each_end_is_an_event_of_its_own_written_together(ledger: Recording) -> None:
    result, whole = freeze(ledger, "n1", "n2", n1=GOOD, n2=Unreachable("gone"))
    assert result["failed"]
    (written,) = ledger.appended
    assert sorted(event[:4] for event in written) == [
        ("n1", "freeze", False, ["frozen"]),
        ("n2", "freeze", True, [None]),
    ]
    assert all(event[4] is not None for event in written)
    assert whole.permits == [DomainAction.DEADLINE]


def test_all_nodes_at_once_and_one_nodes_parts_in_turn_up_to_a_failure(ledger: Recording) -> None:
    at_once = threading.Barrier(2, timeout=PATIENCE_S)

    def together_now() -> dict[str, Any]:
        at_once.wait()
        return GOOD

    result, whole = freeze(ledger, "n1", "n2", n1=together_now, n2=together_now)
    assert "failed" not in result
    result, whole = freeze(ledger, "n1", "n1", "n2", n1=Refused("no"), n2=GOOD)
    assert sorted(event[0] for event in ledger.appended[-1]) == ["n1", "n2"]
    assert whole.permits == [2 * DomainAction.DEADLINE], "the lock lasts for the node that may take the longest"


def test_a_fault_of_ours_on_one_node_hides_no_other_nodes_end(ledger: Recording) -> None:
    result, _whole = freeze(ledger, "n1", "n2", n1=ValueError("oops"), n2=GOOD)
    assert result["msg"] == "n1: internal error: ValueError: oops"
    assert "Traceback" in result["exception"]
    assert sorted(event[0] for event in ledger.appended[0]) == ["n1", "n2"]


def test_ends_that_can_not_be_recorded_fail_the_task(ledger: Recording) -> None:
    ledger.fails = True
    result, _whole = freeze(ledger, "n1", n1=GOOD)
    assert (result["failed"], result["msg"]) == (True, "the ledger is gone.")


def test_time_counts_until_a_parts_own_end(ledger: Recording) -> None:
    parts: Any = [Part("n1", ledger), Part("n2", ledger)]

    def slow() -> dict[str, Any]:
        _has_ended(parts[0])
        time.sleep(0.3)
        return GOOD

    object.__new__(Freezing).will(n1=GOOD, n2=slow)._permitted(parts[0], parts)
    took = {event[0]: event[4] for event in ledger.appended[0]}
    assert took["n1"] + 0.3 <= took["n2"]


def _has_ended(part: Any) -> None:
    until(lambda: part.elapsed_s is not None, "its own end")


def test_a_node_that_can_not_be_acted_on_keeps_no_other_from_it(ledger: Recording) -> None:
    whole: Any = Part("n1", ledger)
    parts: Any = [Part("n1", ledger), Part("n2", ledger)]
    parts[0].unfit = Refused("no such connection")
    result = object.__new__(Freezing).will(n2=GOOD)._permitted(whole, parts)
    assert sorted(event[:3] for event in ledger.appended[0]) == [("n1", "freeze", True), ("n2", "freeze", False)]
    assert result["failed"] and not result["nodes"]["n2"].get("failed")


def test_what_got_lost_on_the_way_is_a_failure(ledger: Recording) -> None:
    whole: Any = Part("n1", ledger)
    parts: Any = [Part("n1", ledger), Part("n2", ledger)]
    whole.lost = {"n2": Refused("lost")}
    assert object.__new__(Freezing).will(n1=GOOD, n2=GOOD)._permitted(whole, parts)["failed"]


def test_ends_are_recorded_as_they_came_so_that_the_first_failure_is_the_cause(ledger: Recording) -> None:
    parts: Any = [Part("n1", ledger), Part("n2", ledger)]

    def later() -> dict[str, Any]:
        _has_ended(parts[1])
        time.sleep(0.2)
        raise Stopped("asked to stop")

    result = object.__new__(Freezing).will(n1=later, n2=Refused("ill"))._permitted(parts[0], parts)
    assert [event[0] for event in ledger.appended[0]] == ["n2", "n1"]
    assert result["reason"] == "refused"


def test_after_a_stop_no_further_node_begins(ledger: Recording) -> None:
    whole: Any = Part("n1", ledger)
    parts: Any = [Part("n1", ledger)]
    began: list[str] = []

    def begin() -> dict[str, Any]:
        began.append("n1")
        return GOOD

    action = object.__new__(Freezing).will(n1=begin)
    stop.request_stop(signal.SIGTERM)
    ((_part, result),) = action._in_turn(parts)
    assert (result["reason"], began) == ("stopped", [])
    assert whole.permits == []


def test_a_plan_without_such_checks_needs_no_permit_and_leaves_no_event(ledger: Recording) -> None:
    whole: Any = Part("n1", ledger)
    result = object.__new__(Freezing)._permitted(whole, [])
    assert (result["outcome"], whole.permits, ledger.appended) == ("nothing_planned", [], [])


@pytest.mark.parametrize(("nodes", "rounds"), [(1, 1), (64, 1), (65, 2), (200, 4)])
def test_the_lock_lasts_for_all_rounds_that_many_nodes_need(ledger: Recording, nodes: int, rounds: int) -> None:
    names = [f"n{number}" for number in range(nodes)]
    _result, whole = freeze(ledger, *names, **dict.fromkeys(names, GOOD))
    assert whole.permits == [rounds * DomainAction.DEADLINE]


def test_a_refusal_before_there_are_parts_is_no_end_of_a_step() -> None:
    class Unknown(Freezing):
        def parts(self, call: Call) -> list[Call] | None:
            raise Refused("n9 is not in the plan")

    action, call = object.__new__(Unknown), Part("n1", Recording())
    with pytest.raises(_NotPermitted, match="n9 is not in the plan"):
        action._divided(call)  # type: ignore[arg-type]


def test_a_stop_meanwhile_is_each_parts_own_end(ledger: Recording) -> None:
    result, _whole = freeze(ledger, "n1", "n2", n1=GOOD, n2=Stopped("asked to stop"))
    assert (result["failed"], result["reason"]) == (True, "stopped")
    assert sorted(event[:3:2] for event in ledger.appended[0]) == [("n1", False), ("n2", True)]
