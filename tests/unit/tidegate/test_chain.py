from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import (
    Event,
    Outcome,
    Step,
    canonical,
    digest,
    genesis,
)
from tidegate.chain import Row, verify_rows


def chain(length: int, name: str = "lab") -> list[Row]:
    rows: list[Row] = []
    prev = genesis(name)
    for seq in range(1, length + 1):
        event = Event(
            service="tradeapi",
            environment=name,
            deployment="d1",
            attempt=1,
            step=Step.HEALTH,
            outcome=Outcome.OK,
            id=f"event{seq}",
        )
        body = canonical(event, seq, prev).encode()
        rows.append(Row(seq, prev, digest(seq, prev, body), event.id, "d1", body))
        prev = rows[-1].hash
    return rows


ROWS = chain(8)


def test_an_unbroken_chain_is_intact() -> None:
    verdict = verify_rows(ROWS, "lab")
    assert (verdict.intact, verdict.upto, verdict.head, verdict.anchored) == (True, 8, ROWS[-1].hash, False)


def test_an_empty_chain_is_intact_up_to_nothing() -> None:
    verdict = verify_rows([], "lab")
    assert (verdict.intact, verdict.upto, verdict.head) == (True, 0, genesis("lab"))


@pytest.mark.parametrize("seq", range(1, 9))
def test_every_entry_is_an_anchor(seq: int) -> None:
    verdict = verify_rows(ROWS, "lab", (seq, ROWS[seq - 1].hash))
    assert (verdict.intact, verdict.anchored) == (True, True)


def test_the_anchor_of_an_empty_chain_holds_for_every_longer_one() -> None:
    assert verify_rows(ROWS, "lab", (0, genesis("lab"))).intact
    assert not verify_rows(ROWS, "lab", (0, genesis("prod"))).intact


def test_entries_cut_off_are_found_with_an_anchor_and_only_with_one() -> None:
    short = ROWS[:5]
    assert verify_rows(short, "lab").intact
    verdict = verify_rows(short, "lab", (8, ROWS[-1].hash))
    assert str(verdict) == "broken after entry 5: the entries up to 8, which the anchor names, are missing"


def test_a_chain_written_anew_is_found_with_an_anchor() -> None:
    anew = chain(3)
    other = replace(anew[2], body=anew[2].body.replace(b"health", b"puppet"))
    anew[2] = replace(other, hash=digest(3, other.prev, other.body))
    assert verify_rows(anew, "lab").intact
    verdict = verify_rows(anew, "lab", (3, ROWS[2].hash))
    assert str(verdict) == "broken after entry 2: entry 3 is not the one that the anchor names"


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("seq", 9, "entry 4 is missing; 9 stands in its place"),
        ("seq", "4", "entry 4 is missing; 4 stands in its place"),
        ("prev", "0" * 64, "entry 4 does not name the entry before it"),
        ("hash", "0" * 64, "entry 4 is not what was written"),
        ("body", b"{}", "entry 4 is not what was written"),
        ("body", b"\xff\xfe", "entry 4 is not what was written"),
        ("event", "other", "entry 4 is filed under another id than it says"),
        ("deployment", "d2", "entry 4 is filed under another deployment than it says"),
    ],
)
def test_a_changed_column_is_found_at_its_entry(field: str, value: object, told: str) -> None:
    rows = [*ROWS]
    rows[3] = replace(rows[3], **{field: value})  # type: ignore[arg-type]
    verdict = verify_rows(rows, "lab")
    assert verdict.upto == 3
    assert verdict.problem.startswith(told)


@pytest.mark.parametrize("body", [b"not json", b"[]", b"7", b"{}"])
def test_a_body_that_is_no_event_is_found_though_its_hash_fits(body: bytes) -> None:
    row = Row(1, genesis("lab"), digest(1, genesis("lab"), body), "e", "d", body)
    assert verify_rows([row], "lab").problem == "entry 1 is not an event"


def test_another_environments_chain_does_not_pass_for_this_one() -> None:
    assert verify_rows(chain(3, "qa"), "prod").problem == "entry 1 does not name the entry before it"


@given(st.permutations(range(8)))
def test_any_other_order_is_found(order: list[int]) -> None:
    verdict = verify_rows([ROWS[index] for index in order], "lab")
    assert verdict.intact is (order == sorted(order))


@given(st.sets(st.integers(0, 7), min_size=1))
def test_any_loss_is_found_with_an_anchor(lost: set[int]) -> None:
    rest = [row for index, row in enumerate(ROWS) if index not in lost]
    verdict = verify_rows(rest, "lab", (8, ROWS[-1].hash))
    assert not verdict.intact
    assert verdict.upto == min(lost)


@given(st.integers(0, 7), st.data())
def test_any_changed_byte_is_found(index: int, data: st.DataObject) -> None:
    body = ROWS[index].body
    at = data.draw(st.integers(0, len(body) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != body[at]))
    rows = [*ROWS]
    rows[index] = replace(rows[index], body=body[:at] + bytes([other]) + body[at + 1 :])
    assert verify_rows(rows, "lab").upto == index
