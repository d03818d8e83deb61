"""Which kills there are, and which of them every day's share has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.chaos.flow_steps import FlowStep

# Most steps have fewer touches; one that polls has more, all alike.
TOUCHES = (1, 2, 4, 7, 8, 11, 15)

# The touch of a Puppet step after which the run goes on at the node, for the next one to adopt: it is sent there by the
# command that then waits for its end.
RUN_UNDER_WAY = 7
# The touches before it are the ledger's: the permit and the beginning.
FIRST = 4
# What customers would notice first, and what goes on without us: killed twice every day, all else once.
_TWICE = ("haproxy_pool", "puppet_run")


class Place(StrEnum):
    """Where in a step the kill falls (callback/kill_point.py)."""

    BEFORE = "before"
    INSIDE = "inside"
    AFTER = "after"


class Flavour(StrEnum):
    """Whom it hits.

    GROUP: `kill -9 -PGID` of the started command; workers, which are sessions of their own, must end by themselves.
    EVERYTHING: every process below the command at once, as a machine that loses its power.
    """

    GROUP = "group"
    EVERYTHING = "everything"


class By(StrEnum):
    """How the flow is run: the command, or ansible-playbook by hand."""

    COMMAND = "tidegate"
    HAND = "ansible-playbook"


class Ending(StrEnum):
    """What the killed run was on its way to, and so what running the same command again must come to."""

    DONE = "done"
    # The wave fails: the release is bad, or Puppet can't install it.
    HELD = "held"
    # Every wave is online, and settling fails.
    UNSETTLED = "unsettled"


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill: of whose deployment, run by what, at which step, where in it, and how. `nth` counts touches inside."""

    service: str
    by: By
    step: str
    place: Place
    flavour: Flavour
    ending: Ending
    nth: int = 0

    def __str__(self) -> str:
        number = f" {self.nth}" if self.place is Place.INSIDE else ""
        return f"{self.by} for {self.service}, {self.step}, {self.place}{number}, {self.flavour}"


def ending_of(step: FlowStep) -> Ending:
    """What a run that comes to this step comes to in the end."""
    if not step.rescue:
        return Ending.DONE
    return Ending.UNSETTLED if step.play == "Settle" else Ending.HELD


def everyday(steps: Sequence[FlowStep], services: Sequence[str]) -> list[Kill]:
    """Each step once, places in turn; moves and Puppet's runs twice: inside and at an edge, of both services.

    Inside, each step is hit after another touch. No node asks for a reboot.
    """
    steps = [step for step in steps if not step.reboots]
    kills: list[Kill] = []
    turns = Counter[str]()
    for index, step in enumerate(steps):
        can = [name for name in services if step in reached_by(name, steps)]
        twice = len(can) > 1 and not step.rescue and step.module in _TWICE
        edge = (Place.BEFORE, Place.AFTER)[index // 2 % 2]
        places = [Place.INSIDE, edge] if twice else [list(Place)[index % 3]]
        # The chains run side by side: who has had less comes first, else each in turn.
        order = sorted(can, key=lambda name: (turns[name], (index + services.index(name)) % len(services)))
        nth = RUN_UNDER_WAY if step.module == "puppet_run" else FIRST + 3 * index % 9
        for service, place in zip(order, places, strict=False):
            kills.append(_kill(service, step, place, nth, turns[service]))
            turns[service] += 1
    return kills


def every(steps: Sequence[FlowStep], services: Sequence[str]) -> list[Kill]:
    """Each step of each service before and after it by both flavours, inside after its touches, all ways in turn."""
    return [
        kill
        for shift, service in enumerate(services)
        for index, step in enumerate(reached_by(service, steps))
        for kill in _all_of(service, step, index + shift)
    ]


def _all_of(service: str, step: FlowStep, turn: int) -> Iterator[Kill]:
    for way in range(len(Flavour)):
        yield _kill(service, step, Place.BEFORE, 0, turn + 3 * way)
        yield _kill(service, step, Place.AFTER, 0, turn + 3 * way + 2)
    for place, nth in enumerate(TOUCHES):
        yield _kill(service, step, Place.INSIDE, nth, turn + place)


def _kill(service: str, step: FlowStep, place: Place, nth: int, turn: int) -> Kill:
    """By the ways in turn: both flavours of the command's, then both by hand."""
    inside = nth if place is Place.INSIDE else 0
    return Kill(service, list(By)[turn // 2 % 2], step.id, place, list(Flavour)[turn % 2], ending_of(step), inside)


def reached_by(service: str, steps: Sequence[FlowStep]) -> list[FlowStep]:
    """The steps that the service's chain comes to: only tradeapi's has a node beside it that can be left out."""
    return [step for step in steps if service == "tradeapi" or not _about_left_out(step)]


def _about_left_out(step: FlowStep) -> bool:
    return step.task == "Pin the nodes that were left out to what they serve" or ending_of(step) is Ending.UNSETTLED
