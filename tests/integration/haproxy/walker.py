"""Who walks: what the controllers and operators know of the site, and what must hold after every step."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_report import Undone
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.moves import Move
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from tests.integration.haproxy.crossing import NODES, PORTS, SERVICES, Crossing, Place, View, is_usable, places
from tests.integration.haproxy.haproxy_site import get
from tests.integration.haproxy.watch import Watch
from tests.waiting import until

a_service = st.sampled_from(sorted(SERVICES))
a_pick = st.integers(0, 11)
a_floor = st.sampled_from(["1", "2", "50%", "75%"])
a_host = st.sampled_from(["lb1", "lb2"])
a_node = st.sampled_from(NODES)
# How an operator who knows HAProxy brings a server back.
AGAIN = ("state drain", "health down", "state ready")
# How many of each of the long things an example has.
_MOST = 2


@dataclass
class Effects:
    """What all examples did. A step is one rule; it is effective when it changed a load balancer or an application."""

    steps: int = 0
    effective: int = 0
    by_rule: dict[str, int] = field(default_factory=dict)
    changed: bool = False

    def count(self, name: str) -> None:
        """Something was changed."""
        self.by_rule[name] = self.by_rule.get(name, 0) + 1
        self.changed = True

    def step(self) -> None:
        """A rule has ended."""
        self.steps += 1
        self.effective += self.changed
        self.changed = False


def least(floor: str, configured: int) -> int:
    """How many servers a floor asks for, by a count of the tests' own."""
    return math.ceil(configured * int(floor[:-1]) / 100) if floor.endswith("%") else int(floor)


def other_service(service: str) -> str:
    """The one that shares nodes with it."""
    return next(name for name in SERVICES if name != service)


class Wrong(BaseException):
    """What a step found wrong is its cause.

    No Exception, so hypothesis neither repeats nor shrinks what real time has decided: the first finding counts.
    """


class Enough(BaseException):
    """So many steps as wanted were effective."""


def step(**strategies: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A rule whose errors end the walk, with the steps that led there."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def stepping(self: Walker, **arguments: Any) -> None:
            told = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
            self.steps.append(f"{function.__name__}({told})")
            try:
                function(self, **arguments)
                self.look_at_what_must_hold()
            except Exception as error:
                raise Wrong("\n".join([str(error), *self.steps])) from error

        return rule(**strategies)(stepping)  # type: ignore[no-any-return, no-untyped-call]

    return decorate


class Walker(RuleBasedStateMachine):
    """One example: `ours` are the nodes that each service's controllers took, or began to take, out.

    `foreign` is what an operator has put where.
    """

    site: ClassVar[Crossing]
    effects: ClassVar[Effects]
    enough: ClassVar[int]

    def __init__(self) -> None:
        super().__init__()
        self.site.reset()
        self.ours: dict[str, set[str]] = {service: set() for service in SERVICES}
        self.foreign: dict[Place, str] = {}
        self.steps: list[str] = []
        self._spent: dict[str, int] = {}

    # What rules need

    def can_afford(self, what: str) -> bool:
        """Whether this example may have another of what takes long: moves are what is to be tried most."""
        return self._spent.get(what, 0) < _MOST

    def count(self, name: str, *, of: str = "") -> None:
        """Something was changed; `of` are the long things among which it is."""
        self.effects.count(name)
        self._spent[of] = self._spent.get(of, 0) + 1

    def there(self, service: str) -> list[str]:
        """Its nodes that nobody has taken out."""
        foreign = {name for theirs, name, _host in self.foreign if theirs == service}
        return [name for name in SERVICES[service] if name not in self.ours[service] | foreign]

    def pick(self, service: str, first: int, size: int, *, out: bool) -> list[str]:
        """A wave of nodes that are out, or that are not; empty when there is none."""
        found = sorted(self.ours[service]) if out else self.there(service)
        return [found[(first + number) % len(found)] for number in range(min(size, len(found)))]

    def usable(self, view: View, service: str, host: str) -> set[str]:
        return {name for name in SERVICES[service] if is_usable(view[host, f"{service}_online", name])}

    def spared(self, service: str, wave: Sequence[str], floor: str) -> bool:
        """Whether the wave may leave, by a count of the tests' own on a site at rest."""
        view = self.site.view()
        for host in self.site.balancers:
            usable = self.usable(view, service, host)
            if usable & {*wave} and len(usable - {*wave}) < least(floor, len(SERVICES[service])):
                return False
        return True

    def dispensable(self, name: str) -> bool:
        """Whether the customers of all its services have somebody else on each load balancer."""
        view, services = self.site.view(), [service for service, nodes in SERVICES.items() if name in nodes]
        return all(self.usable(view, service, host) - {name} for service in services for host in self.site.balancers)

    def well(self, *names: str) -> bool:
        return all(self.site.applications[name].healthy for name in names)

    def try_to(self, intent: Intent, service: str, move: Move) -> DomainError | None:
        """Make a move of which nothing is done yet; why it was refused or undone."""
        try:
            assert move.preview(intent, self.ours[service]), "there was something to do"
            move.run(intent)
        except (Refused, Undone) as refusal:
            return refusal
        return None

    def an_operator_sends(self, host: str, service: str, name: str, *settings: str) -> None:
        """To the entry that customers come to."""
        self.site.send(host, [f"set server {service}_online/{name} {setting}" for setting in settings])

    @contextmanager
    def watched(self, *wave: str) -> Iterator[None]:
        with Watch(self.site, wave).on():
            yield

    def moved(self, service: str, wave: Sequence[str], intent: Intent) -> None:
        """The move has been made."""
        if intent is Intent.JOIN:
            view = self.site.view()
            down = {(name, host) for name in wave for host in self.site.balancers} - {
                (name, host) for host in self.site.balancers for name in self.usable(view, service, host)
            }
            assert not down, f"joined {service} and not UP: {down}"
            self.ours[service] -= {*wave}
        else:
            self.ours[service] |= {*wave}

    def until_drained(self, service: str, name: str, then: Callable[[], None]) -> Callable[[], None]:
        """For a thread: do something as soon as a load balancer has drained the node."""

        def wait() -> None:
            until(lambda: self.site.is_leaving(service, name), f"{name} is drained", every=0.01)
            then()

        return wait

    # What must hold

    def look_at_what_must_hold(self) -> None:
        """After a step, on the sockets and as customers."""
        self.site.settle("a step has ended")
        view = self.site.view()
        now, wanted = places(view), self._wanted()
        wrong = {place: (now[place], wanted[place]) for place in now if now[place] != wanted[place]}
        assert not wrong, f"is, and should be: {wrong}"
        for host in self.site.balancers:
            for service in SERVICES:
                self._come_as_customers(service, host, self.usable(view, service, host))
        self.effects.step()
        if self.effects.effective >= self.enough:
            raise Enough

    def _wanted(self) -> Mapping[Place, str]:
        return {
            (service, name, host): self.foreign.get(
                (service, name, host), "maintenance" if name in self.ours[service] else "online"
            )
            for service, nodes in SERVICES.items()
            for name in nodes
            for host in self.site.balancers
        }

    def _come_as_customers(self, service: str, host: str, usable: set[str]) -> None:
        """They get an answer, from servers that are in the online pool and UP."""
        assert not usable & self.ours[service], f"{service} on {host}: {usable & self.ours[service]} gets customers"
        for _ in range(2):
            status, body, _headers = get(self.site.balancers[host].address, PORTS[service])
            assert status == 200 and body in usable, f"{service} on {host}: {status} {body}, usable are {usable}"
