"""The outcome in the summary's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from lab.demo import allowed_minima
from lab.facts import newest_deployment, outcome_of
from lab.layout import TRADEAPI, Layout


@pytest.mark.parametrize(
    ("kind", "state", "outcome"),
    [
        (Kind.DEPLOY, State.DONE, "done"),
        (Kind.DEPLOY, State.HELD, "held"),
        (Kind.DEPLOY, State.OPEN, "open"),
        (Kind.DEPLOY, State.ROLLED_BACK, "rolled_back"),
        (Kind.ROLLBACK, State.DONE, "rolled_back"),
        (Kind.ROLLBACK, State.HELD, "held"),
    ],
)
def test_outcomes(kind: Kind, state: State, outcome: str) -> None:
    assert outcome_of(Deployment(id="x", kind=kind, service="tradeapi", environment="lab", state=state)) == outcome


def test_no_deployment_is_no_outcome(tmp_path: Path) -> None:
    layout = Layout("127.20", tmp_path)
    assert newest_deployment(layout, TRADEAPI) is None
    assert outcome_of(None) == "nothing in the ledger"
    assert not layout.ledger.exists(), "looking must not create a ledger"


def test_the_floors_are_the_descriptors() -> None:
    assert allowed_minima(Layout("127.20", Path("/tmp/lab"))) == {"tradeapi": 4, "pricefeed": 1}
