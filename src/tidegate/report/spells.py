"""Each node's way through the pools over time, told from the deployment's events; one picture for each attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.ownership import took_nothing

# Shorter than this, what stood between two phases is counted to the first: Ansible's way from one task to the next.
_GAP = timedelta(seconds=2)
BAD = (Outcome.FAILED, Outcome.REFUSED, Outcome.UNREACHABLE, Outcome.STOPPED)


class Phase(StrEnum):
    """What a node was doing, as people are told it."""

    ONLINE = "online"
    DRAINING = "draining"
    OUT = "maintenance"
    DEPLOYING = "deploying"
    TESTING = "testing"
    JOINING = "joining"
    JOINED = "joined"

    @property
    def reached(self) -> bool:
        """Whether customers' new requests come to a node in this phase."""
        return self in (Phase.ONLINE, Phase.JOINED)

    @property
    def between(self) -> bool:
        """Whether it is on its way from one pool to the other: who ends there may be in either."""
        return self in (Phase.DRAINING, Phase.JOINING)


_BEGINS = {
    Step.LEAVE: Phase.DRAINING,
    Step.PUPPET: Phase.DEPLOYING,
    Step.REBOOT: Phase.DEPLOYING,
    Step.RELEASE: Phase.TESTING,
    Step.HEALTH: Phase.TESTING,
    Step.NUNIT: Phase.TESTING,
    Step.WARMUP: Phase.TESTING,
    Step.JOIN: Phase.JOINING,
}


@dataclass(frozen=True, slots=True)
class Spell:
    """A node in one phase, from one moment to another."""

    phase: Phase
    begin: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """How long."""
        return (self.end - self.begin).total_seconds()


@dataclass(frozen=True, slots=True)
class Mark:
    """A step that went wrong on a node."""

    at: datetime
    step: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Track:
    """One node's row: its spells without a gap, and what went wrong on it."""

    node: str
    wave: int | None
    spells: tuple[Spell, ...]
    marks: tuple[Mark, ...] = ()

    @property
    def moved(self) -> bool:
        """Whether it was in more than one phase, or something went wrong on it."""
        return len(self.spells) > 1 or bool(self.marks)

    def seconds(self, phase: Phase) -> float:
        """How long it was in that phase, all spells together."""
        return sum(spell.seconds for spell in self.spells if spell.phase is phase)

    @property
    def last(self) -> Phase:
        """Where it was at the end."""
        return self.spells[-1].phase


@dataclass(frozen=True, slots=True)
class Band:
    """A wave's time, from its beginning until it was confirmed, held, or last heard of."""

    number: int
    site: str
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt: who began it, when, until when, every node's track and the waves."""

    number: int
    by: str
    begin: datetime
    end: datetime
    tracks: tuple[Track, ...]
    bands: tuple[Band, ...]

    @property
    def span(self) -> float:
        """Its seconds; never 0."""
        return max(0.001, (self.end - self.begin).total_seconds())

    def share(self, moment: datetime) -> float:
        """Where a moment is between its beginning (0) and its end (1)."""
        return min(1.0, max(0.0, (moment - self.begin).total_seconds() / self.span))


def at(event: Event) -> datetime:
    """When it was written."""
    return datetime.fromisoformat(event.at)


def began(event: Event) -> datetime:
    """When what it tells began."""
    return at(event) - timedelta(milliseconds=event.duration_ms or 0)


def attempts(
    events: Sequence[Event], nodes: Sequence[str], standing: Mapping[str, str], waves: Mapping[str, int]
) -> list[Attempt]:
    """All attempts, in order. `standing`: where nodes were when the last attempt was planned; `waves`: its waves."""
    numbers = sorted({event.attempt for event in events if event.attempt > 0})
    told = []
    where: dict[str, Phase] = {}
    for number in numbers:
        own = [event for event in events if event.attempt == number and not _superseding(event)]
        if not own:
            continue
        if number == numbers[-1]:
            where |= {node: Phase.OUT for node in nodes if standing.get(node) == "out"}
        attempt = _attempt(number, own, nodes, where, waves)
        where = {track.node: _rest(track.last) for track in attempt.tracks}
        told.append(attempt)
    return told


def _superseding(event: Event) -> bool:
    """The end that a later deployment wrote, long after the last thing was done."""
    return event.step is Step.CLOSE and str(event.details.get("msg", "")).startswith("superseded")


def _rest(phase: Phase) -> Phase:
    return phase if phase.reached else Phase.OUT


def _attempt(
    number: int, own: Sequence[Event], nodes: Sequence[str], where: Mapping[str, Phase], waves: Mapping[str, int]
) -> Attempt:
    begin, end = min(began(event) for event in own), max(at(event) for event in own)
    by_node: dict[str, list[Event]] = {node: [] for node in nodes}
    for event in own:
        for node in event.nodes:
            by_node.setdefault(node, []).append(event)
    numbers = dict(waves) | {node: event.wave for event in own if _is(event, "begun") for node in event.nodes}
    tracks = [
        Track(
            node,
            numbers.get(node),
            tuple(_spells(each, where.get(node, Phase.ONLINE), begin, end)),
            tuple(Mark(at(event), _step(event), str(event.outcome)) for event in each if _wrong(event)),
        )
        for node, each in by_node.items()
    ]
    return Attempt(number, own[0].by, begin, end, tuple(tracks), tuple(_bands(own, end)))


def _wrong(event: Event) -> bool:
    return event.outcome in BAD and event.step not in (Step.THAW, Step.DOWNTIME_END)


def _step(event: Event) -> str:
    return str(event.details.get("of") or event.step)


def _is(event: Event, outcome: str) -> bool:
    return event.step is Step.WAVE and event.details.get("outcome") == outcome


def _bands(own: Sequence[Event], end: datetime) -> list[Band]:
    bands = []
    for event in own:
        if _is(event, "begun"):
            ends = (
                at(each)
                for each in own
                if at(each) >= at(event)
                and (each.step is Step.HOLD or (_is(each, "joined") and each.wave == event.wave))
            )
            bands.append(Band(event.wave or 0, event.site, began(event), next(ends, end)))
    return bands


def _spells(events: Sequence[Event], first: Phase, begin: datetime, end: datetime) -> list[Spell]:
    """What the events make of one node; a step that ended began its duration before."""
    turns: list[tuple[datetime, Phase]] = [(begin, first)]
    changed = False
    for event in events:
        phase = _BEGINS.get(event.step)
        if phase is None:
            continue
        if event.outcome is Outcome.STARTED:
            turns.append((at(event), phase))
            continue
        if turns[-1][1] is not phase and event.outcome not in (Outcome.REFUSED, Outcome.SKIPPED):
            turns.append((max(began(event), turns[-1][0]), phase))
        changed = changed or (event.step is Step.PUPPET and event.outcome.good)
        turns.append((at(event), _after(event, phase, turns, changed=changed)))
    return _joined_up(turns, end)


def _after(event: Event, phase: Phase, turns: Sequence[tuple[datetime, Phase]], *, changed: bool) -> Phase:
    """Where a node is when a step on it has ended."""
    if not phase.between:
        return Phase.OUT
    if event.outcome.good:
        back = Phase.JOINED if changed else Phase.ONLINE
        return back if phase is Phase.JOINING else Phase.OUT
    if took_nothing(event):
        return next(before for _, before in reversed(turns) if before is not phase)
    return phase


def _joined_up(turns: Sequence[tuple[datetime, Phase]], end: datetime) -> list[Spell]:
    moments = [*(moment for moment, _ in turns[1:]), end]
    spells: list[Spell] = []
    for (begin, phase), until in zip(turns, moments, strict=True):
        short = phase is Phase.OUT and until - begin < _GAP and until != end
        if spells and (spells[-1].phase is phase or (short and spells[-1].phase is not Phase.DRAINING)):
            spells[-1] = Spell(spells[-1].phase, spells[-1].begin, max(until, spells[-1].end))
        elif until > begin or not spells:
            spells.append(Spell(phase, begin, max(until, begin)))
    return spells
