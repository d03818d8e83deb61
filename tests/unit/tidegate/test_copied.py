"""The ledger that cleans and copies: whatever writes events, no way leads past either."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from tidegate.copied import CopiedLedger
from tidegate.ledger import PAGE
from tidegate.store import Store


def event(deployment: str = "d1", msg: str = "hunter22") -> Event:
    return Event(
        service="s",
        environment="lab",
        deployment=deployment,
        attempt=1,
        step=Step.HEALTH,
        outcome=Outcome.OK,
        details={"msg": msg},
    )


def deployment(id: str) -> Deployment:
    return Deployment(id=id, kind=Kind.DEPLOY, service="s", environment="lab", nodes=("n1",))


def clean(dirty: Event) -> Event:
    return replace(dirty, details={"msg": "***"})


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def ledger(tmp_path: Path, told: list[str]) -> CopiedLedger:
    return CopiedLedger(Store(f"sqlite:///{tmp_path}/ledger.sqlite"), clean, told.append)


def test_every_way_to_write_is_cleaned_and_told(ledger: CopiedLedger, told: list[str]) -> None:
    ledger.open(deployment("d1"), event("d1"))
    ledger.append(event("d1"))
    ledger.new_attempt("d1", "{}", ("n1",), event("d1"))
    ledger.update_state("d1", State.HELD, event("d1"))
    ledger.open(deployment("d2"), event("d2"), supersedes=("d1", event("d1")))
    assert told == ["d1", "d1", "d1", "d1", "d1", "d2"]
    entries = list(ledger.entries("lab"))
    assert [entry.event.details for entry in entries] == [{"msg": "***"}] * 6
    assert ledger.verify("lab").intact


def test_what_failed_is_not_told(ledger: CopiedLedger, told: list[str]) -> None:
    same = event()
    ledger.append(same)
    with pytest.raises(Exception, match="in the ledger already"):
        ledger.append(same)
    assert told == ["d1"]


def test_the_bodies_are_the_stored_bytes_of_one_deployment(ledger: CopiedLedger, tmp_path: Path) -> None:
    for number in range(6):
        ledger.append(event("d1" if number % 2 else "d2"))
    with Store(f"sqlite:///{tmp_path}/ledger.sqlite").read() as connection:
        stored = connection.exec_driver_sql("SELECT body FROM entries WHERE deployment = 'd1' ORDER BY seq").scalars()
        bodies = list(stored)
    assert len(bodies) == 3
    assert list(ledger.bodies("lab", "d1")) == bodies
    assert list(ledger.bodies("lab", "d1", since=2)) == bodies[1:]
    assert list(ledger.bodies("lab", "d1", since=6)) == []


def test_more_bodies_than_a_page(ledger: CopiedLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.copied.PAGE", 3)
    for _ in range(7):
        ledger.append(event())
    assert PAGE > 7
    assert len(list(ledger.bodies("lab", "d1"))) == 7
