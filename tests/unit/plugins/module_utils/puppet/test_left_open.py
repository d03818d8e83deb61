from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.left import Whose
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import HieraFile, read_hiera, with_pins
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.left_open import (
    LeftOpen,
    judge_open,
    nobody_told,
    open_count,
    open_table,
    opened_by_us,
)

KEY = "shop::deployment"
PATH = "ps1: /rollout/nodes/n1.yaml"


def opened(by: str = "d1") -> HieraFile:
    values = {"shop::version": "2", KEY: by}
    text = with_pins(HieraFile(PATH), values, by, lambda _id: True)
    return read_hiera(PATH, text.encode())


def judged(file: HieraFile, state: State | None = None) -> LeftOpen | None:
    known = Deployment(id="d1", kind=Kind.DEPLOY, service="shop", environment="prod", state=state) if state else None
    return judge_open("n1", "shop", KEY, file, known)


@pytest.mark.parametrize(
    ("state", "whose", "why", "way"),
    [
        (State.OPEN, Whose.OPEN, "deployment d1 is open", "resume.yml -e service=shop"),
        (State.HELD, Whose.LEFT, "deployment d1 is held", "resume.yml -e service=shop"),
        (State.SUPERSEDED, Whose.LEFT, "deployment d1 is superseded", "next deployment of the service takes it back"),
        (State.DONE, Whose.LEFT, "deployment d1 is done", "next deployment of the service takes it back"),
        (None, Whose.UNKNOWN, "doesn't know deployment d1", f"take that line out of {PATH}"),
    ],
)
def test_who_left_a_service_open_and_what_leads_on(state: State | None, whose: Whose, why: str, way: str) -> None:
    found = judged(opened(), state)
    assert found is not None
    assert (found.whose, found.deployment, found.where) == (whose, "d1", PATH)
    assert why in found.why
    assert way in found.next
    assert found.values()["whose"] == whose


def test_what_a_person_wrote_is_theirs() -> None:
    found = judged(read_hiera(PATH, f"{KEY}: mine\n".encode()))
    assert found is not None and (found.whose, found.why) == (Whose.FOREIGN, "not ours")


@pytest.mark.parametrize(
    "text", [None, b"shop::version: '2'\n", f"{KEY}: ''\n".encode(), f"{KEY}: [a]\n".encode(), f"{KEY}:\n".encode()]
)
def test_a_service_that_is_shut(text: bytes | None) -> None:
    assert judged(read_hiera(PATH, text)) is None


def test_a_node_on_which_we_opened_a_service_is_one_whoever_of_us_did_it() -> None:
    ours = [judged(opened(), state) for state in (State.OPEN, State.HELD, None)]
    for each in ours:
        assert each is not None and opened_by_us([each]) == {"n1"}
    theirs = judged(read_hiera(PATH, f"{KEY}: mine\n".encode()))
    assert theirs is not None and opened_by_us([theirs, nobody_told("shop", KEY, "ps2", "no route")]) == frozenset()


def test_the_table_and_the_count() -> None:
    left, under_way = judged(opened(), State.DONE), judged(opened(), State.OPEN)
    silent = nobody_told("shop", KEY, "ps2", "no route")
    assert left is not None and under_way is not None
    assert open_count([left, left, under_way, silent]) == "left open to Puppet on 1 node: n1"
    assert open_count([under_way, silent]) == ""
    other = judged(opened())
    assert other is not None and open_count([other]) == "", "another ledger's may be under way"
    assert open_table([left, silent]) == [
        f"n1 (shop): Puppet may change it at any time: {KEY} is set in {PATH}",
        "  deployment d1 is done",
        "  next: the next deployment of the service takes it back, on nodes that are left out as well",
        f"ps2: nobody can tell where {KEY} is left: no route",
    ]
