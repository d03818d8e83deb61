"""One Graphite for all of these tests: each has an environment of its own in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from lab.graphite.faults import Faults
from lab.graphite.server import Graphite, running
from tests.impatience import hurry
from tidegate.shipping import worker


@pytest.fixture(scope="session")
def one_graphite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graphite]:
    with running(tmp_path_factory.mktemp("graphite")) as made:
        yield made


@pytest.fixture
def graphite(one_graphite: Graphite) -> Iterator[Graphite]:
    yield one_graphite
    one_graphite.set_faults(Faults())
    if one_graphite.carbon is None:
        one_graphite.start_carbon()


@pytest.fixture
def environment() -> str:
    return f"lab-{uuid4().hex[:8]}"


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.sqlite"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches and short pauses: the rules are the same."""
    hurry(monkeypatch)
    monkeypatch.setattr(worker, "LOOK_S", 0.2)
