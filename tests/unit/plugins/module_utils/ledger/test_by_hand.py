"""What the events of a deployment's beginning and end tell of it by themselves."""

from __future__ import annotations

import json

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.by_hand import purpose
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind


def deployment(kind: Kind, version: str = "", plan: str = "{}") -> Deployment:
    return Deployment(id="s-1", kind=kind, service="s", environment="lab", version=version, plan=plan)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (deployment(Kind.DEPLOY, "1.2.0"), {"kind": "deploy", "version": "1.2.0"}),
        (deployment(Kind.ROLLBACK, "1.1.0", json.dumps({"intent": "x"})), {"kind": "rollback", "version": "1.1.0"}),
        (deployment(Kind.HAND, plan=json.dumps({"intent": "leave"})), {"kind": "hand", "intent": "leave"}),
        (deployment(Kind.HAND, plan="no plan"), {"kind": "hand"}),
    ],
)
def test_purpose(made: Deployment, told: dict[str, str]) -> None:
    assert purpose(made) == told
