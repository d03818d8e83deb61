from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.status_table import status_table

LOCK = {"name": "service:lab/s", "holder": "ann on ctl (process 7)", "since": "10:00", "doing": "wave 1"}


def node(**seen: Any) -> dict[str, Any]:
    plain = {"version": "1.0.0", "pools": {"lb1": "online", "lb2": "online"}}
    return {**plain, "taken_by": "", "frozen_by": "", "beside": [], "problem": "", **seen}


def service(**told: Any) -> dict[str, Any]:
    return {"nodes": {}, "silent_load_balancers": {}, "under_way": {}, "last_done": {}, **told}


def test_columns_have_one_width_for_all_services() -> None:
    services = {
        "a": service(nodes={"n1": node(version="")}),
        "b": service(nodes={"a-long-name": node(version="1.10.0", beside=["c"])}),
    }
    assert status_table(services, []) == [
        "a: no deployment on record",
        "  n1           online  ?",
        "b: no deployment on record",
        "  a-long-name  online  1.10.0  with c",
    ]


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"problem": "its descriptor is broken"}, "s: its descriptor is broken"),
        (
            {"last_done": {"kind": "deploy", "version": "1.1.0", "closed_at": "10:00"}},
            "s: deploy to 1.1.0 was done at 10:00",
        ),
        (
            {"last_done": {"kind": "deploy", "version": "1.1.0", "revision": "3f1c2ab4d5e60718", "closed_at": "10:00"}},
            "s: deploy to 1.1.0 (configuration 3f1c2ab4d5e6) was done at 10:00",
        ),
        ({"nodes": {"n1": node(revision="3f1c2ab")}}, "  n1  online  1.0.0 (configuration 3f1c2ab)"),
        (
            {"under_way": {"kind": "rollback", "version": "1.0.0", "state": "held", "id": "s-1"}},
            "s: rollback to 1.0.0 is held (s-1)",
        ),
        ({"silent_load_balancers": {"lb1": "no route"}}, "  lb1 did not answer: no route"),
        (
            {"nodes": {"n1": node(pools={"lb1": "online", "lb2": "out (MAINT)"}, taken_by="ann", frozen_by="bob")}},
            "  n1  lb1: online, lb2: out (MAINT)  1.0.0  taken out by ann; Puppet disabled: bob",
        ),
        ({"nodes": {"n1": node(problem="no answer")}}, "  n1  online  1.0.0  no answer"),
    ],
)
def test_a_service_is_told_with_all_that_matters(told: dict[str, Any], line: str) -> None:
    assert line in status_table({"s": service(**told)}, [])


@pytest.mark.parametrize(
    ("gone", "more"), [(False, ""), (True, "; that process is gone: the next run takes the lock over")]
)
def test_locks_are_told_with_their_holder(gone: bool, more: str) -> None:
    [line] = status_table({}, [{**LOCK, "gone": gone}])
    assert line == "locked: service:lab/s by ann on ctl (process 7) since 10:00, doing wave 1" + more
