"""How the lab stands, asked of everyone who knows: the ledger, each load balancer, each node."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from lab.haproxy_socket import ask
from lab.layout import Host, Layout, Service
from lab.sampler import Row, parse
from tidegate.ledger import SqlLedger
from tidegate.store import Store

ENVIRONMENT = "lab"
_PATIENCE_S = 5.0
_ANSWER_LIMIT = 64 * 1024
_NEWEST = 5
_BAD = (Outcome.FAILED, Outcome.REFUSED, Outcome.UNREACHABLE, Outcome.INCONCLUSIVE)
# Loopback is never behind the proxy that the environment may name.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Facts:
    """One service as it stands.

    `outcome` is the newest deployment's by the ledger, `version` what it was to bring and `failures` what failed in it,
    as (step, message); `online` and `maintenance` are
    the nodes that are UP in each pool by load balancer, `serving` is the version that each node's /health tells, empty
    if it tells none.
    """

    outcome: str
    version: str
    online: Mapping[str, tuple[str, ...]]
    maintenance: Mapping[str, tuple[str, ...]]
    serving: Mapping[str, str]
    failures: tuple[tuple[str, str], ...] = ()


def read_facts(layout: Layout, service: Service) -> Facts:
    """Ask them all now; who doesn't answer has nothing to show. Raises DomainError if the ledger can't be read."""
    newest = newest_deployment(layout, service)
    rows = {host.name: _rows(host) for host in layout.load_balancers}
    with ThreadPoolExecutor(len(service.nodes)) as pool:
        versions = pool.map(lambda node: _version(layout.host(node), service), service.nodes)
    return Facts(
        outcome=outcome_of(newest),
        version=newest.version if newest else "",
        online={name: _up(each, service.online) for name, each in rows.items()},
        maintenance={name: _up(each, service.maintenance) for name, each in rows.items()},
        serving=dict(zip(service.nodes, versions, strict=True)),
        failures=_failures(layout, newest),
    )


def outcome_of(deployment: Deployment | None) -> str:
    """`done`, `held` or `rolled_back` in the summary's words; anything else as the ledger has it."""
    if deployment is None:
        return "nothing in the ledger"
    if deployment.kind is Kind.ROLLBACK and deployment.state is State.DONE:
        return "rolled_back"
    return str(deployment.state)


def newest_deployment(layout: Layout, service: Service) -> Deployment | None:
    """The newest deploy or rollback, moves by hand left out. Raises DomainError."""
    if not layout.ledger.exists():
        return None
    newest = _ledger(layout).deployments(service.name, ENVIRONMENT, _NEWEST)
    return next((each for each in newest if each.kind is not Kind.HAND), None)


def _ledger(layout: Layout) -> SqlLedger:
    return SqlLedger(Store(f"sqlite:///{layout.ledger}"))


def _failures(layout: Layout, deployment: Deployment | None) -> tuple[tuple[str, str], ...]:
    if deployment is None:
        return ()
    events = (entry.event for entry in _ledger(layout).entries(ENVIRONMENT, deployment.id))
    return tuple((str(event.step), str(event.details.get("msg", ""))) for event in events if event.outcome in _BAD)


def online_now(layout: Layout, service: Service) -> str:
    """How many nodes are online, for a progress line: `5 of 6 online`."""
    counts = [len(_up(_rows(host), service.online)) for host in layout.load_balancers]
    return f"{min(counts)} of {len(service.nodes)} nodes online"


def _rows(host: Host) -> list[Row]:
    try:
        return parse(ask(host.haproxy_socket, "show stat -1 4 -1"))
    except (OSError, ValueError):
        return []


def _up(rows: list[Row], backend: str) -> tuple[str, ...]:
    return tuple(sorted(row.server for row in rows if row.backend == backend and row.usable))


def _version(host: Host, service: Service) -> str:
    try:
        with _DIRECT.open(f"http://{host.address}:{service.port}/health", timeout=_PATIENCE_S) as answer:
            told = json.loads(answer.read(_ANSWER_LIMIT))
    except (OSError, ValueError):
        return ""
    return str(told.get("version", "")) if isinstance(told, dict) else ""
