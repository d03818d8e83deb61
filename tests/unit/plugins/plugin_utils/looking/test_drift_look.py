"""Who moves nodes while drift is looked for: a place read before a move and a ledger read after it don't fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import node_lock
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.record import Record
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.drift_look import Movers

NODES = ("n1", "n2", "n3")


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(f"sqlite:///{tmp_path}/ledger.sqlite", "lab", "d1")


def movers(record: Record) -> Movers:
    call: Any = SimpleNamespace(ledger=record)
    return Movers(call)


def write(record: Record, step: Step, node: str) -> None:
    record.ledger.append(
        Event(
            service="s",
            environment="lab",
            deployment="d1",
            attempt=1,
            step=step,
            outcome=Outcome.CHANGED,
            nodes=(node,),
        )
    )


def lock(record: Record, node: str) -> Callable[[], object]:
    lease = record.locks.acquire([node_lock("lab", node)], record.holder(), 300)
    return lambda: record.locks.release(lease)


def test_what_was_moved_before_is_judged(record: Record) -> None:
    write(record, Step.LEAVE, "n1")
    assert movers(record).moving(NODES) == frozenset()


@pytest.mark.parametrize(
    ("step", "moving"), [(Step.LEAVE, {"n1"}), (Step.JOIN, {"n1"}), (Step.REPAIR, {"n1"}), (Step.HEALTH, set())]
)
def test_what_was_moved_meanwhile_is_not(record: Record, step: Step, moving: set[str]) -> None:
    watching = movers(record)
    write(record, step, "n1")
    assert watching.moving(NODES) == moving


def test_what_was_locked_before_or_is_locked_now_is_not(record: Record) -> None:
    release = lock(record, "n1")
    watching = movers(record)
    release()
    lock(record, "n3")
    assert watching.moving(NODES) == {"n1", "n3"}
