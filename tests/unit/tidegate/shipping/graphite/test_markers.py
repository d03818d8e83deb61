"""Which events have a marker, and what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step
from tidegate.shipping.graphite.markers import MAX_WHAT, happened, marker

ID = "0123456789abcdef0123456789abcdef"


def event(step: str, outcome: str = "ok", details: dict[str, Any] | None = None, **other: Any) -> dict[str, Any]:
    plain = {
        "id": ID,
        "service": "tradeapi",
        "environment": "lab",
        "deployment": "tradeapi-20260131-142501-7f3a",
        "attempt": 1,
        "site": "",
        "wave": None,
        "nodes": [],
        "by": "ann",
        "start": "2026-01-31T14:25:01.123Z",
        "duration_ms": None,
    }
    return {**plain, "step": step, "outcome": outcome, "details": details or {}, **other}


DEPLOY = {"kind": "deploy", "version": "1.2.0"}
ROLLBACK = {"kind": "rollback", "version": "1.1.0"}
LEAVE = {"kind": "hand", "intent": "leave"}


@pytest.mark.parametrize(
    ("told", "what", "line"),
    [
        (event("plan", details=DEPLOY), "begun", "tradeapi 1.2.0 begun in lab"),
        (event("plan", details=DEPLOY, attempt=2), "resumed", "tradeapi 1.2.0 begun again in lab"),
        (event("plan", details=ROLLBACK), "begun", "tradeapi rollback to 1.1.0 begun in lab"),
        (
            event("wave", details={"outcome": "joined", "version": "1.2.0"}, wave=2),
            "joined",
            "tradeapi 1.2.0 wave 2 joined in lab",
        ),
        (event("hold", "held", {**DEPLOY, "stopped": False}), "held", "tradeapi 1.2.0 held in lab"),
        (event("hold", "held", {**DEPLOY, "stopped": True}), "stopped", "tradeapi 1.2.0 stopped in lab"),
        (event("hold", "held", ROLLBACK), "held", "tradeapi rollback to 1.1.0 held in lab"),
        (event("close", details=DEPLOY), "done", "tradeapi 1.2.0 done in lab"),
        (event("close", details=ROLLBACK), "rolled_back", "tradeapi rolled back to 1.1.0 in lab"),
        (
            event("close", details={**DEPLOY, "superseded_by": "x"}),
            "superseded",
            "tradeapi 1.2.0 superseded in lab",
        ),
        (event("close", details={**LEAVE, "intent": "join"}), "done", "tradeapi join by hand done in lab"),
        (event("plan", details=LEAVE), "begun", "tradeapi leave by hand begun in lab"),
        (event("pool", details={"outcome": "left"}), "left", "tradeapi left by hand in lab"),
        (
            event("refuse", "refused", {"intent": "deploy", "reason": "locked"}, deployment="", attempt=0),
            "refused",
            "tradeapi deploy refused in lab",
        ),
        (
            event("refuse", "stopped", {"intent": "deploy", "reason": "stopped"}, deployment="", attempt=0),
            "stopped",
            "tradeapi deploy stopped in lab",
        ),
        # Written before events told their deployment's kind.
        (event("close"), "done", "tradeapi done in lab"),
    ],
)
def test_a_marker(told: dict[str, Any], what: str, line: str) -> None:
    made = marker(told, 1_800_000_000.9)
    assert made is not None
    assert (made.what, made.when) == (line, 1_800_000_000)
    step = told["step"]
    assert made.tags == (
        *("tidegate", "environment:lab", "service:tradeapi", f"step:{step}", f"outcome:{what}"),
        f"id:{ID}",
    )


@pytest.mark.parametrize(
    "told",
    [
        event("plan", "started"),
        event("wave", details={"outcome": "begun"}),
        event("refuse", "refused", {"of": "health"}),
        event("pool", details={"outcome": "repaired"}),
        *(event(step, "failed") for step in Step if step != "hold" and step != "close"),
        *(event("health", outcome) for outcome in Outcome),
    ],
)
def test_all_else_has_none(told: dict[str, Any]) -> None:
    assert happened(told) is None
    assert marker(told, 1.0) is None


def test_what_is_told_is_chosen() -> None:
    secret = "canary"
    details = {**DEPLOY, "msg": secret, "cause": secret, "step": secret, "decisions": [secret], "digest": secret}
    made = marker(event("hold", "held", details, nodes=[secret, "n2"], node=secret, wave=3), 1.0)
    assert made is not None
    assert secret not in made.body().decode()
    assert json.loads(made.data) == {
        "deployment": "tradeapi-20260131-142501-7f3a",
        "attempt": 1,
        "wave": 3,
        "by": "ann",
        "start": "2026-01-31T14:25:01.123Z",
        "kind": "deploy",
        "version": "1.2.0",
        "nodes": 2,
    }


@pytest.mark.parametrize("name", ["a b", "a,b", '"quoted"', "x\ny\x00", "ü" * 200, "z" * 200, "\u202eevil", "<b>"])
def test_it_fits_whatever_names_there_are(name: str) -> None:
    made = marker(event("close", details={**DEPLOY, "version": name}, service=name, environment=name), 1.0)
    assert made is not None
    assert len(made.what) <= MAX_WHAT and made.what.isprintable()
    assert len(" ".join(made.tags)) <= MAX_WHAT
    for tag in made.tags:
        assert len(tag) <= 50
        assert tag.replace(":", "").replace("-", "").replace("_", "").isalnum() and tag.isascii()
    assert made.id_tag == f"id:{ID}"
