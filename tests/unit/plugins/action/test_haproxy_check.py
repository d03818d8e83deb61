"""What a look at existing configurations says of what it found."""

from __future__ import annotations

from ansible_collections.tidegate.delivery.plugins.action.haproxy_check import told_of
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Refuse

MISSING = Refuse.of(RefusalKind.NO_BACKEND, host="lb1", backend="shop_online")
SILENT = Refuse("load balancer lb2: no answer", "See why", kind=None)
MEANT = Refuse.of(RefusalKind.ELSEWHERE, host="lb1", backend="testers", nodes="n1, n2", pool="shop_online")


def test_nothing_found_is_fit_for_moves() -> None:
    told = told_of([], "1 service")
    assert told == {"msg": "1 service: fit for moves", "problems": [], "remarks": [], "table": [told["msg"]]}


def test_what_may_be_meant_as_it_is_is_shown_and_is_no_problem() -> None:
    told = told_of([MEANT], "1 service")
    assert (told["msg"], told["problems"]) == ("1 service: fit for moves, 1 remark", [])
    assert [each["kind"] for each in told["remarks"]] == ["elsewhere"]
    assert told["table"] == [MEANT.reason, f"  {MEANT.remedy}", told["msg"]]


def test_problems_and_remarks_are_counted_apart() -> None:
    told = told_of([SILENT, MEANT, MISSING], "1 service")
    assert told["msg"] == "1 service: 2 problems, 1 remark"
    assert [each["kind"] for each in told["problems"]] == ["", "no_backend"]
    assert told["table"][0::2] == [SILENT.reason, MISSING.reason, MEANT.reason, told["msg"]]
