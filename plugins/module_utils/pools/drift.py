# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the load balancers and the ledger disagree: what, where, why it most likely is, and what to run next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.history import Absence
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import (
    TAKES_CUSTOMERS,
    Cell,
    classify,
    oddity,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.places import PoolSeen
from ansible_collections.tidegate.delivery.plugins.module_utils.values import counted

# HAProxy tells whole seconds of its uptime, and the answer takes a moment.
_SLACK = timedelta(seconds=2)


class What(StrEnum):
    """How a node's place differs from what the ledger explains."""

    # Ours: we took it out and did not bring it back.
    RETURNED = "returned"  # customers reach it
    DISPLACED = "displaced"  # out, and not where a leave ends
    HALF_LEFT = "half_left"  # a leave whose run is dead
    HALF_JOINED = "half_joined"  # a join whose run is dead
    FORGOTTEN = "forgotten"  # its deployment ended without it
    UNPROVEN = "unproven"  # online at the target release without evidence
    # Nobody's of ours.
    FOREIGN = "foreign"  # out on every load balancer
    NEW = "new"  # the same, and no move of ours ever named it
    DIFFERS = "differs"  # out on some load balancers only
    # Anybody's.
    DRAINED = "drained"  # drained and left so
    BOTH = "both"  # in both pools
    ODD = "odd"  # in a state that no move makes


_SAID = {
    What.RETURNED: "came back online",
    What.DISPLACED: "is not where its leave ended",
    What.HALF_LEFT: "has half left",
    What.HALF_JOINED: "has half joined",
    What.FORGOTTEN: "is out, and its deployment ended without it",
    What.UNPROVEN: "is online without our evidence",
    What.FOREIGN: "is out, and nobody of ours took it",
    What.NEW: "is out, and was never moved by Tidegate",
    What.DIFFERS: "is out here and online elsewhere",
    What.DRAINED: "was drained and left so",
    What.BOTH: "is in both pools",
    What.ODD: "is in a state that no move makes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One node of one pool that is not where the ledger explains it to be, on these load balancers.

    `next` is the command to run. `repairable`: a repair takes the node out, since it is out by our doing.
    """

    what: What
    service: str
    site: str
    pool: str
    node: str
    load_balancers: tuple[str, ...]
    why: str
    next: str
    taken_by: str = ""
    repairable: bool = False

    @property
    def where(self) -> str:
        """Pool and load balancers, in words."""
        return f"in {self.pool} on {', '.join(self.load_balancers)}"

    def values(self) -> dict[str, Any]:
        """The drift as plain values."""
        return {
            "what": str(self.what),
            "service": self.service,
            "site": self.site,
            "pool": self.pool,
            "node": self.node,
            "load_balancers": list(self.load_balancers),
            "why": self.why,
            "next": self.next,
            "taken_by": self.taken_by,
            "repairable": self.repairable,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the ledger says of a service's nodes.

    `moving` are nodes that somebody moves right now: they are not judged. `named`: those that a move of ours ever
    named. `unproven`: online nodes that serve the open deployment's release without having joined with it, by node.
    `last` is the version that was brought last; `open`: whether a deployment is under way. `now`: when it was looked.
    """

    now: datetime
    absent: Mapping[str, Absence] = field(default_factory=dict)
    moving: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    unproven: Mapping[str, str] = field(default_factory=dict)
    last: str = ""
    open: bool = False


Cells = Mapping[str, Cell]
States = Mapping[str, LoadBalancerState]


def find_drift(pool: PoolSeen, answers: Mapping[str, LoadBalancerState | DomainError], known: Known) -> list[Drift]:
    """Every drift of a pool's nodes on the load balancers that answered; one that lacks a node has no place for it."""
    states = {host: state for host, state in answers.items() if isinstance(state, LoadBalancerState)}
    found: list[Drift] = []
    for node in pool.nodes:
        if node in known.moving:
            continue
        cells = dict(_cells(pool, states, node))
        about = _Node(pool, node, cells, states, known)
        found += _merged(about.ours(known.absent[node]) if node in known.absent else about.not_ours())
    return found


def drift_table(found: Sequence[Drift], silent: bool, moving: Iterable[str] = ()) -> list[str]:
    """Three lines a drift: what and where, why, what to run next."""
    lines = [line for drift in found for line in _told(drift)]
    if not lines:
        lines = ["no drift" + (" on the load balancers that answered" if silent else "")]
    names = ", ".join(sorted(moving))
    return [*lines, *([f"not judged, since somebody moves it right now: {names}"] if names else [])]


def to_repair(found: Sequence[Drift]) -> list[str]:
    """The nodes that a repair takes out: out by our doing, and nowhere in a state that no leave could end."""
    kept = {drift.node for drift in found if not drift.repairable}
    return list(dict.fromkeys(drift.node for drift in found if drift.repairable and drift.node not in kept))


def drift_count(found: Sequence[Drift]) -> str:
    """How much there is, in words; empty when there is none."""
    nodes = sorted({drift.node for drift in found})
    return f"drift of {counted(len(nodes), 'node')}: {', '.join(nodes)}" if nodes else ""


def _told(drift: Drift) -> list[str]:
    return [f"drift: {drift.node} {drift.where} {_SAID[drift.what]}", f"  {drift.why}", f"  next: {drift.next}"]


def _cells(pool: PoolSeen, states: States, node: str) -> Iterator[tuple[str, Cell]]:
    for host, state in states.items():
        online, maintenance = (state.servers.get((name, node)) for name in (pool.online, pool.maintenance))
        if online is not None and maintenance is not None:
            yield host, classify(online, maintenance, unchecked=pool.unchecked)


def _merged(found: Iterable[Drift]) -> list[Drift]:
    """The same on several load balancers, told once."""
    merged: dict[Drift, list[str]] = {}
    for drift in found:
        merged.setdefault(replace(drift, load_balancers=()), []).extend(drift.load_balancers)
    return [replace(drift, load_balancers=tuple(hosts)) for drift, hosts in merged.items()]


@dataclass(frozen=True, slots=True)
class _Node:
    """One node of one pool, as the load balancers that answered show it."""

    pool: PoolSeen
    name: str
    cells: Cells
    states: States
    known: Known

    # Out by our doing

    def ours(self, absence: Absence) -> Iterator[Drift]:
        left = {host: cell for host, cell in self.cells.items() if cell is not Cell.TEST}
        if absence.begun is Step.JOIN and left:
            yield self._drift(What.HALF_JOINED, left, _cut_off(absence), self._way_on(absence), absence)
            return
        for host, cell in left.items():
            what = _what_of_ours(cell, absence)
            repairable = what is not What.ODD
            way = advice.repair(self.pool.service) if repairable else advice.pools(self.pool.service)
            if what is What.HALF_LEFT and self._goes_on(absence):
                way = self._way_on(absence)
            yield self._drift(what, [host], self._why(what, host, absence), way, absence, repairable=repairable)
        if not left and self.cells and absence.over and not absence.adopted and not self.known.open:
            way = advice.deploy(self.pool.service, self.known.last or "VERSION")
            why = f"taken out by {absence}; nothing that is open brings it back"
            yield self._drift(What.FORGOTTEN, self.cells, why, way, absence)

    def _goes_on(self, absence: Absence) -> bool:
        """Whether a deployment is open that finishes what was begun."""
        return absence.kind is not Kind.HAND and not absence.over

    def _way_on(self, absence: Absence) -> str:
        if self._goes_on(absence):
            return advice.resume(absence.service)
        if absence.kind is Kind.HAND:
            return advice.join(absence.service, self.name)
        return advice.deploy(absence.service, self.known.last or "VERSION")

    def _why(self, what: What, host: str, absence: Absence) -> str:
        if what is What.HALF_LEFT:
            return _cut_off(absence)
        if what is What.ODD:
            return f"taken out by {absence}; {self._oddity(host)}"
        started = self.known.now - timedelta(seconds=self.states[host].uptime)
        if started > datetime.fromisoformat(absence.at) + _SLACK:
            cause = "without its saved state, or somebody made it ready since"
            why = f"HAProxy there started at {_clock(started)}, after that: {cause}"
        elif what is What.RETURNED:
            why = "somebody made it ready there since, or a move that failed could not put it back"
        else:
            why = "somebody changed it there since, or a move that failed could not put it back"
        return f"taken out by {absence}; {why}"

    # Not out by our doing

    def not_ours(self) -> Iterator[Drift]:
        out = {host: cell for host, cell in self.cells.items() if cell not in TAKES_CUSTOMERS}
        if not out:
            yield from self._unproven()
            return
        for what, hosts in self._kinds(out).items():
            why, way = self._theirs(what, hosts), advice.adopt(self.pool.service, self.name)
            yield self._drift(what, hosts, why, advice.pools(self.pool.service) if what is What.ODD else way)

    def _kinds(self, out: Cells) -> dict[What, list[str]]:
        kinds: dict[What, list[str]] = {}
        for host, cell in out.items():
            kinds.setdefault(self._kind(cell, len(out)), []).append(host)
        return kinds

    def _kind(self, cell: Cell, out: int) -> What:
        if cell in _BY_ITSELF:
            return _BY_ITSELF[cell]
        if out < len(self.cells):
            return What.DIFFERS
        return What.FOREIGN if self.name in self.known.named else What.NEW

    def _theirs(self, what: What, hosts: Sequence[str]) -> str:
        shown = ", ".join(dict.fromkeys(str(self.cells[host]) for host in hosts))
        adopt = "whoever took it out brings it back; or take it over on your word"
        if what is What.ODD:
            return "; ".join(dict.fromkeys(self._oddity(host) for host in hosts))
        if what is What.NEW:
            return f"{shown}; the ledger has no move of it: it is new here, or somebody else took it out; {adopt}"
        if what is What.DRAINED:
            sessions = sum(self._sessions(host) for host in hosts)
            kept = f", {counted(sessions, 'session')}" if sessions else ""
            return f"clients with a cookie still reach it{kept}; the ledger has no move that explains it; {adopt}"
        return f"{shown}; the ledger has no move that explains it; {adopt}"

    def _sessions(self, host: str) -> int:
        return self.states[host].sessions((self.pool.online, self.name))

    def _oddity(self, host: str) -> str:
        servers, pool = self.states[host].servers, self.pool
        return oddity(servers[pool.online, self.name], servers[pool.maintenance, self.name])

    def _unproven(self) -> Iterator[Drift]:
        version = self.known.unproven.get(self.name)
        if version is not None and self.cells:
            why = f"it serves {version}, and no join of ours with it is on record: it was not tested by this deployment"
            yield self._drift(What.UNPROVEN, self.cells, why, advice.resume(self.pool.service))

    def _drift(
        self,
        what: What,
        hosts: Iterable[str],
        why: str,
        way: str,
        absence: Absence | None = None,
        *,
        repairable: bool = False,
    ) -> Drift:
        return Drift(
            what=what,
            service=self.pool.service,
            site=self.pool.site,
            pool=self.pool.online,
            node=self.name,
            load_balancers=tuple(hosts),
            why=why,
            next=way,
            taken_by=str(absence or ""),
            repairable=repairable,
        )


_BY_ITSELF = {Cell.ODD: What.ODD, Cell.BOTH: What.BOTH, Cell.DRAIN: What.DRAINED}


def _what_of_ours(cell: Cell, absence: Absence) -> What:
    if absence.begun is Step.LEAVE and cell is not Cell.ODD:
        return What.HALF_LEFT
    if cell in TAKES_CUSTOMERS:
        return What.RETURNED
    return _BY_ITSELF.get(cell, What.DISPLACED)


def _cut_off(absence: Absence) -> str:
    return f"a {absence.begun} was begun and has no end: its run was killed. Taken out by {absence}"


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
