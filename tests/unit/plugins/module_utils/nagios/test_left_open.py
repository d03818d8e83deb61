from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.left import Whose
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios import server
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.downtime import Owner
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.left_open import (
    Judged,
    OpenDowntime,
    downtime_table,
    judge_downtime,
    left_open_count,
    open_downtimes_of,
    silent_server,
    to_end,
)

UNTIL = 1_795_896_000
OURS = Owner("d1", "shop").comment


def downtime(host: str, service: str = "", comment: str = OURS, end: int = UNTIL) -> server.Downtime:
    return server.Downtime(host, service, 0, end, "ann", comment)


def judged(state: State | None = None, *, out: bool = False, kind: Kind = Kind.DEPLOY, node: str = "n1") -> Judged:
    known = Deployment(id="d1", kind=kind, service="shop", environment="prod", state=state) if state else None
    one = OpenDowntime(node=node, host="web1", service="shop", deployment="d1", covers=("host", "disk"), until=UNTIL)
    return judge_downtime("monitoring", one, known, out=out)


def test_each_deployments_downtimes_of_a_node_are_one_and_nobody_elses_are_told() -> None:
    state = server.State(
        0,
        {},
        (
            downtime("web1", "disk", end=UNTIL + 60),
            downtime("web1"),
            downtime("web1", comment=Owner("d0", "shop").comment),
            downtime("web1", comment=Owner("d2", "feed").comment),
            downtime("web1", comment="Ann swaps a disk"),
            downtime("other"),
        ),
    )
    found = open_downtimes_of(state, "shop", {"web1": "n1"})
    assert [(each.node, each.deployment, each.covers, each.until) for each in found] == [
        ("n1", "d1", ("host", "disk"), UNTIL + 60),
        ("n1", "d0", ("host",), UNTIL),
    ]


@pytest.mark.parametrize(
    ("found", "whose", "why", "way"),
    [
        (judged(), Whose.UNKNOWN, "this ledger doesn't know", "thaw.yml -e service=shop -e nodes=n1"),
        (judged(out=True), Whose.UNKNOWN, "this ledger doesn't know", "thaw.yml -e service=shop -e nodes=n1"),
        (judged(State.OPEN), Whose.OPEN, "is open", "resume.yml -e service=shop"),
        (judged(State.OPEN, kind=Kind.HAND), Whose.OPEN, "is open", "status.yml -e service=shop"),
        (judged(State.HELD), Whose.OPEN, "is held", "resume.yml -e service=shop"),
        (judged(State.HELD, out=True), Whose.OPEN, "is held", "resume.yml -e service=shop"),
        (judged(State.DONE, out=True), Whose.OUT, "when it joins", "status.yml -e service=shop"),
        (judged(State.DONE), Whose.LEFT, "is done, and the node is not out", "thaw.yml -e service=shop"),
        (judged(State.SUPERSEDED), Whose.LEFT, "is superseded", "thaw.yml -e service=shop"),
        (judged(State.ROLLED_BACK), Whose.LEFT, "is rolled_back", "thaw.yml -e service=shop"),
    ],
)
def test_whose_a_downtime_is_and_what_leads_on(found: Judged, whose: Whose, why: str, way: str) -> None:
    assert found.whose is whose
    assert why in found.why
    assert found.next.endswith(way)
    assert found.values()["whose"] == whose


def test_only_what_nobody_ends_any_more_is_ended_and_the_unknown_only_by_name() -> None:
    found = [
        judged(State.DONE, node="left"),
        judged(State.OPEN, node="open"),
        judged(State.DONE, node="out", out=True),
        judged(node="unknown"),
        silent_server("monitoring", "it does not run"),
    ]
    assert [each.node for each in to_end(found, ())] == ["left"]
    assert [each.node for each in to_end(found, ["unknown", "open", "out"])] == ["unknown"]
    assert left_open_count(found) == "left in downtime: 1 node: left"
    assert left_open_count(found[1:3]) == ""


def test_the_table() -> None:
    assert downtime_table([]) == []
    assert downtime_table([judged(State.DONE), silent_server("monitoring", "it does not run")]) == [
        "n1 (shop): in downtime in Nagios until 2026-11-28 20:00 UTC (host, disk), by deployment d1",
        "  that deployment is done, and the node is not out",
        "  next: ansible-playbook playbooks/thaw.yml -e service=shop",
        "Nagios on monitoring can't be asked for downtimes: it does not run",
    ]
    assert silent_server("monitoring", "why").values()["node"] == ""
