"""All of it at once: two services' chains of kills side by side, customers' load on both, a witness at the pools."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from lab.accesslog import AccessLog, LogCounts
from lab.customers import Customer, Kind, customers_of
from lab.layout import PRICEFEED, PROJECT, TRADEAPI, Layout, Service
from lab.load import Load
from lab.sampler import Sampler, SamplerResult
from lab.tally import LoadResult
from tests.chaos.chain import Chain, Fell
from tests.chaos.kills import By, Kill, Place

# The chains share no node: only then may they run side by side.
NODES = {TRADEAPI.name: ("n1", "n2"), PRICEFEED.name: ("p1",)}
RATE = 60.0
_FEED_RATE = 10.0
_MAX_SECONDS = 6 * 3600.0
# A chain that fails again and again has nothing more to tell.
_MOST_FAILURES = 3


@dataclass(frozen=True, slots=True)
class Siege:
    """What came of it: every kill, and what customers and witness saw meanwhile."""

    fell: tuple[Fell, ...]
    load: LoadResult
    log: LogCounts
    seen: SamplerResult


def lay(layout: Layout, kills: Sequence[Kill], folder: Path) -> Siege:
    """Make the kills, each service's in their order and both services' at once; files go to `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    inventory = _inventory(folder)
    label = f"kills-{secrets.token_hex(3)}"
    log = AccessLog(layout)
    chains = [Chain(layout, each, NODES[each.name], inventory, folder / each.name) for each in (TRADEAPI, PRICEFEED)]
    with contextlib.ExitStack() as stack:
        sampler = Sampler(layout, "sampler", folder, _MAX_SECONDS)
        load = Load(layout, label, RATE, _customers(layout), folder, _MAX_SECONDS)
        stack.callback(sampler.kill)
        stack.callback(load.kill)
        sampler.start()
        load.start()
        with ThreadPoolExecutor(len(chains)) as pool, _stopped_early(chains):
            fell = [each for part in pool.map(lambda chain: _suffer(chain, kills), chains) for each in part]
        customers, seen = load.stop(), sampler.stop()
    return Siege(tuple(fell), customers, log.counts(label, customers.requests_written), seen)


@contextlib.contextmanager
def _stopped_early(chains: Sequence[Chain]) -> Iterator[None]:
    """Whoever interrupts the test doesn't wait for the rest of the kills."""
    try:
        yield
    except BaseException:
        for chain in chains:
            chain.stopped.set()
        raise


def _suffer(chain: Chain, kills: Sequence[Kill]) -> list[Fell]:
    fell: list[Fell] = []
    with _back_in_the_end(chain), (chain.folder / "kills.jsonl").open("w") as record:
        for kill in kills:
            beyond = kill.place is Place.INSIDE and kill.step in chain.exhausted
            if chain.stopped.is_set():
                break
            if kill.service != chain.service.name or beyond:
                continue
            fell.append(chain.suffer(kill))
            record.write(json.dumps(asdict(fell[-1])) + "\n")
            record.flush()
            if len([each for each in fell if each.problems]) >= _MOST_FAILURES:
                break
    return fell


@contextlib.contextmanager
def _back_in_the_end(chain: Chain) -> Iterator[None]:
    """Other tests expect the releases that were there; also of the nodes that the common values concern."""
    version = chain.looker.serving()
    yield
    if chain.looker.serving() != version:
        chain.run(chain.command(By.HAND, "deploy", version))


def _customers(layout: Layout) -> list[Customer]:
    """The usual mix, with more customers' requests to the second service than they would make."""
    return [replace(each, rate=_FEED_RATE) if each.kind is Kind.FEED else each for each in customers_of(layout, RATE)]


def _inventory(folder: Path) -> Path:
    """The lab's services on nodes that they don't share, as an inventory beside the lab's."""
    services = folder / "services"
    services.mkdir(parents=True, exist_ok=True)
    for service in (TRADEAPI, PRICEFEED):
        described = yaml.safe_load((PROJECT / "services" / f"{service.name}.yml").read_text())
        (services / f"{service.name}.yml").write_text(yaml.safe_dump(_alone(service, described)))
    groups: dict[str, Any] = {_group(name): {"hosts": {node: {} for node in nodes}} for name, nodes in NODES.items()}
    inventory = {"all": {"hosts": {"localhost": {"tidegate_services": str(services)}}, "children": groups}}
    path = folder / "inventory.yml"
    path.write_text(yaml.safe_dump(inventory))
    return path


def _alone(service: Service, described: dict[str, Any]) -> dict[str, Any]:
    sites = [{**site, "nodes": _group(service.name)} for site in described["sites"]]
    # Every step of the flow, for both services.
    warmup = {"urls": ["/quotes"], "until": {"p95": "500ms"}, "timeout": "1m"}
    # Only a node that asks for it is rebooted.
    deploy = {**described["deploy"], "reboot": "if_pending"}
    return {
        **described,
        "sites": sites,
        "moves_with": [],
        "deploy": deploy,
        "verify": {**described["verify"], "warmup": warmup},
    }


def _group(name: str) -> str:
    return f"alone_{name}"
