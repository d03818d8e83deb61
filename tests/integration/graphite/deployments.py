"""Deployments as a ledger has them, and what Graphite must have of them."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from lab.graphite.server import Graphite
from tests.waiting import until
from tidegate.ledger import SqlLedger
from tidegate.shipping.graphite.names import part
from tidegate.store import Store

KIND = {"kind": "deploy", "version": "1.2.0"}


def recorded(ledger: str, environment: str, *events: dict[str, Any]) -> list[Event]:
    """These events of one service's deployment, written to its ledger."""
    known: dict[str, Any] = {"service": "tradeapi", "environment": environment, "deployment": "d1", "attempt": 1}
    made = [Event(**known, by="ann", **event) for event in events]
    SqlLedger(Store(ledger)).append_all(made)
    return made


def deploy(ledger: str, environment: str, nodes: int = 3, **details: Any) -> list[Event]:
    """A deployment of one wave, which is held: its plan, a health check of each node, and the hold."""

    names = tuple(f"n{number}" for number in range(nodes))
    plan = {"step": Step.PLAN, "outcome": Outcome.OK, "nodes": names, "details": {**KIND, **details}}
    looks = [
        {"step": Step.HEALTH, "outcome": Outcome.OK, "nodes": (name,), "duration_ms": 100 * (place + 1)}
        for place, name in enumerate(names)
    ]
    hold = {
        "step": Step.HOLD,
        "outcome": Outcome.HELD,
        "nodes": names,
        "details": {**KIND, "stopped": False, **details},
    }
    return recorded(ledger, environment, plan, *looks, hold)


def expected(*events: Event, prefix: str) -> dict[str, float]:
    """The sums of all that these events' metrics have, without `max`."""
    found: Counter[str] = Counter()
    for event in events:
        name = ".".join([prefix, *map(part, (event.environment, event.service, event.step, event.outcome))])
        found[f"{name}.count"] += 1
        if event.duration_ms is not None:
            found[f"{name}.duration_ms.count"] += 1
            found[f"{name}.duration_ms.sum"] += event.duration_ms
    return dict(found)


def told(graphite: Graphite, environment: str, prefix: str = "tidegate") -> dict[str, float]:
    """The same as graphite-web has it."""
    now = time.time()
    levels = ("*.*.*.count", "*.*.*.duration_ms.count", "*.*.*.duration_ms.sum")
    found: dict[str, float] = {}
    for level in levels:
        found |= graphite.sums(f"{prefix}.{part(environment)}.{level}", now - 3600, now + 120)
    return found


def await_told(graphite: Graphite, environment: str, *events: Event, prefix: str = "tidegate") -> None:
    """Wait until carbon's writer has made the files: only then graphite-web finds the metrics."""
    wanted = expected(*events, prefix=prefix)
    until(lambda: told(graphite, environment, prefix) == wanted, f"{wanted}", every=0.2)


def lines(graphite: Graphite, environment: str) -> list[str]:
    """What the environment's markers say, oldest first."""
    markers = graphite.markers("tidegate", f"environment:{part(environment)}")
    return [marker["what"] for marker in markers]
