"""What an event of one's own may have, and what is told of what it may not."""

from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.own_event import own_event


def test_what_fits_is_sent_as_it_is() -> None:
    fields = {"service": "a", "days": 3, "share": 0.5, "good": True, "names": ["n1", "\u202e"], "text": "x" * 2000}
    assert own_event("renewed", fields) == {"event": "renewed", **fields}


@pytest.mark.parametrize(
    "value",
    [{"password": "CANARY"}, ["CANARY", 1], None, float("nan"), 2**53, "CANARY" * 400, ["CANARY" * 400], [["CANARY"]]],
)
def test_what_does_not_fit_is_told_by_its_name_and_not_quoted(value: object) -> None:
    with pytest.raises(BadInput, match="does not fit") as told:
        own_event("renewed", {"field": value})
    assert told.value.where == "fields.field"
    assert "CANARY" not in str(told.value)


@pytest.mark.parametrize("name", ["id", "at", "event", "a b", "", "1a", "a" * 101, "\u00fc"])
def test_what_can_name_no_field(name: str) -> None:
    with pytest.raises(BadInput, match="can't name a field"):
        own_event("renewed", {name: 1})


@pytest.mark.parametrize("event", ["", "x" * 201])
def test_an_event_needs_a_word(event: str) -> None:
    with pytest.raises(BadInput, match="characters, of 1 to 200"):
        own_event(event, {})
