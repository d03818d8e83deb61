"""A ledger's entry as it leaves."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import (
    Event,
    Outcome,
    Step,
    canonical,
    digest,
    genesis,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.shipped import epoch_s, shipped, shipped_schema


def entry(nodes: tuple[str, ...] = ("n1",), duration_ms: int | None = 1500) -> tuple[str, str]:
    event = Event(
        service="tradeapi",
        environment="lab",
        deployment="d1",
        attempt=1,
        step=Step.PUPPET,
        outcome=Outcome.CHANGED,
        at="2026-01-31T14:25:01.250Z",
        nodes=nodes,
        duration_ms=duration_ms,
        details={"changed": ["one", "two"], "msg": "changed ü"},
    )
    body = canonical(event, 1, genesis("lab"))
    return body, digest(1, genesis("lab"), body)


@pytest.mark.parametrize("nodes", [(), ("n1",), ("n1", "n2")])
@pytest.mark.parametrize("duration_ms", [None, 0, 1500])
def test_it_is_what_the_schema_says(nodes: tuple[str, ...], duration_ms: int | None) -> None:
    told = shipped(*entry(nodes, duration_ms))
    Draft202012Validator(shipped_schema()).validate(told)
    assert (told.get("node"), told["nodes"]) == (nodes[0] if len(nodes) == 1 else None, list(nodes))


def test_it_began_before_it_ended_and_carries_the_ledgers_hash() -> None:
    body, hash_ = entry()
    told = shipped(body, hash_)
    assert (told["start"], told["at"]) == ("2026-01-31T14:24:59.750Z", "2026-01-31T14:25:01.250Z")
    assert told["hash"] == hash_
    assert shipped(*entry(duration_ms=None))["start"] == told["at"]
    assert epoch_s(told["at"]) == 1769869501.25
    assert {key: told[key] for key in json.loads(body)} == json.loads(body)


def test_what_may_be_long_stands_at_its_end() -> None:
    told = shipped(*entry())
    assert (list(told)[-1], list(told["details"])) == ("details", ["msg", "changed"])


@pytest.mark.parametrize("body", ["", "x", "[]", "{}", '{"at": 1, "duration_ms": "y", "nodes": []}', "[" * 100_000])
def test_what_is_no_event_is_said_to_be_none(body: str) -> None:
    with pytest.raises(BadInput, match="no event"):
        shipped(body, "ab" * 32)
