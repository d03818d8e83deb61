from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.left import Whose
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.freeze import Freeze, reason_text
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.left_frozen import (
    Frozen,
    frozen_table,
    judge_freeze,
    left_count,
    silent,
    to_thaw,
)

OURS = Freeze(reason_text("d1", "shop", "ann"))


def judged(freeze: Freeze, state: State | None = None, kind: Kind = Kind.DEPLOY, node: str = "n1") -> Frozen:
    known = Deployment(id="d1", kind=kind, service="shop", environment="prod", state=state) if state else None
    return judge_freeze(node, ["shop", "feed"], freeze, known)


@pytest.mark.parametrize(
    ("found", "whose", "why", "way"),
    [
        (judged(Freeze("patching, Ann")), Whose.FOREIGN, "not ours", "ask whoever did it; it is theirs"),
        (judged(OURS), Whose.UNKNOWN, "this ledger doesn't know", "thaw.yml -e service=shop -e nodes=n1"),
        (judged(OURS, State.OPEN), Whose.OPEN, "is open", "resume.yml -e service=shop"),
        (judged(OURS, State.OPEN, Kind.HAND), Whose.OPEN, "is open", "status.yml -e service=shop"),
        (judged(OURS, State.HELD), Whose.LEFT, "that deployment is held", "thaw.yml -e service=shop"),
        (judged(OURS, State.DONE), Whose.LEFT, "that deployment is done", "thaw.yml -e service=shop"),
        (judged(OURS, State.SUPERSEDED), Whose.LEFT, "is superseded", "thaw.yml -e service=shop"),
        (judged(OURS, State.ROLLED_BACK), Whose.LEFT, "is rolled_back", "thaw.yml -e service=shop"),
    ],
)
def test_whose_a_freeze_is_and_what_leads_on(found: Frozen, whose: Whose, why: str, way: str) -> None:
    assert found.whose is whose
    assert why in found.why
    assert found.next.endswith(way)
    assert found.values()["whose"] == whose


def test_only_what_nobody_thaws_any_more_is_thawed_and_the_unknown_only_by_name() -> None:
    found = [
        judged(OURS, State.DONE, node="left"),
        judged(OURS, State.OPEN, node="open"),
        judged(OURS, node="unknown"),
        judged(Freeze("Ann"), node="foreign"),
        silent("mute", ["shop"], "no route"),
    ]
    everyone = [each.node for each in found]
    assert [each.node for each in to_thaw(found, ())] == ["left"]
    assert [each.node for each in to_thaw(found, ["unknown"])] == ["unknown"]
    assert [each.node for each in to_thaw(found, everyone)] == ["left", "unknown"]
    assert [each.node for each in to_thaw(found, everyone, ["left"])] == ["unknown"], (
        "Puppet may change a service there"
    )
    assert left_count(found) == "left frozen on 1 node: left"
    assert left_count(found[1:2]) == ""


def test_the_table() -> None:
    assert frozen_table([]) == ["Puppet is disabled nowhere"]
    assert frozen_table([judged(Freeze("patching, Ann")), silent("n2", ["shop"], "no route")]) == [
        "n1 (shop, feed): patching, Ann",
        "  not ours",
        "  next: ask whoever did it; it is theirs",
        "n2: can't be asked: no route",
    ]
