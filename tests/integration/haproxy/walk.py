"""Random walks through moves, deaths, reloads, crashes, killed controllers and lost answers.

One rule is one step; it is effective when it changed something on a load balancer or an application. After each, what
must always hold is looked at: on the sockets, and by customers' requests.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.move_report import Undone
from ansible_collections.tidegate.delivery.plugins.module_utils.pools import Intent
from lab import haproxy_socket
from tests.integration.haproxy.crossing import (
    NODES,
    PORTS,
    SERVICES,
    Crossing,
    Fate,
    Key,
    Killed,
    Watch,
    is_usable,
)
from tests.integration.haproxy.haproxy_site import get, until


@dataclass
class Effects:
    """What all examples did: how many steps changed something, by rule."""

    by_rule: dict[str, int] = field(default_factory=dict)

    def count(self, name: str) -> None:
        self.by_rule[name] = self.by_rule.get(name, 0) + 1

    @property
    def total(self) -> int:
        return sum(self.by_rule.values())


def walk(program: str, examples: int, steps: int = 40) -> Effects:
    """Random walks, the same each time, of so many steps each; what they did. Raises what a wrong one raised."""
    effects = Effects()
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        # Shrinking would repeat what real time has decided.
        phases=(Phase.generate,),
        print_blob=False,
    )
    with tempfile.TemporaryDirectory(prefix="tg") as home, Crossing(program, Path(home)).running() as site:
        made = machine(site, effects)
        run_state_machine_as_test(made, settings=chosen)
    return effects


def _least(floor: str, configured: int) -> int:
    return math.ceil(configured * int(floor[:-1]) / 100) if floor.endswith("%") else int(floor)


def _shared(service: str) -> set[str]:
    return {name for other, nodes in SERVICES.items() if other != service for name in nodes}


def machine(site: Crossing, effects: Effects) -> type[RuleBasedStateMachine]:
    """The state machine on that site."""
    services = st.sampled_from(sorted(SERVICES))
    picks = st.integers(0, 3)
    sizes = st.integers(1, 2)
    floors = st.sampled_from(["1", "2", "50%", "75%"])

    class Crossed(RuleBasedStateMachine):
        """What each service's controllers know: which nodes they took, or began to take, out."""

        def __init__(self) -> None:
            super().__init__()
            site.reset()
            self.ours: dict[str, set[str]] = {service: set() for service in SERVICES}

        def pick(self, service: str, first: int, size: int, *, out: bool) -> list[str]:
            there = [name for name in SERVICES[service] if (name in self.ours[service]) is out]
            return [there[(first + number) % len(there)] for number in range(min(size, len(there)))] if there else []

        # Moves

        @rule(service=services, first=picks, size=sizes, floor=floors)
        def leave(self, service: str, first: int, size: int, floor: str) -> None:
            wave = self.pick(service, first, size, out=False)
            if wave:
                self._leave(service, wave, floor)

        def _leave(self, service: str, wave: list[str], floor: str) -> None:
            before, allowed = site.places(), self._spared(service, wave, floor)
            move = site.move(service, wave, floor)
            try:
                assert move.preview(Intent.LEAVE, self.ours[service])
                assert allowed, f"{wave} may not leave {service} with floor {floor}"
                with Watch(site, wave).on():
                    move.run(Intent.LEAVE)
            except (Refused, Undone) as refusal:
                assert not allowed, f"{wave} may leave {service} with floor {floor}, and: {refusal}"
                assert site.places() == before
                return
            self.ours[service] |= {*wave}
            effects.count("leave")
            self._settled(service, dict.fromkeys(wave, "maintenance"), before)

        @precondition(lambda self: any(self.ours.values()))
        @rule(service=services, first=picks, size=sizes)
        def join(self, service: str, first: int, size: int) -> None:
            wave = self.pick(service, first, size, out=True)
            if wave:
                self._join(service, wave)

        def _join(self, service: str, wave: list[str]) -> None:
            before, ill = site.places(), [name for name in wave if not site.applications[name].healthy]
            move = site.move(service, wave, "0")
            assert move.preview(Intent.JOIN, self.ours[service])
            try:
                with Watch(site, wave).on():
                    move.run(Intent.JOIN)
            except (Refused, Undone) as refusal:
                assert ill, f"{wave} is well and could not join {service}: {refusal}"
                self._settled(service, dict.fromkeys(wave, "maintenance"), before)
                return
            assert not ill, f"{ill} is ill and joined {service}"
            self.ours[service] -= {*wave}
            effects.count("join")
            self._settled(service, dict.fromkeys(wave, "online"), before)

        @rule(first=picks, second=picks, floor=floors)
        def two_callers_at_once(self, first: int, second: int, floor: str) -> None:
            """Of two services, perhaps on the same node: neither may hurt the other's pools."""
            waves = {"shop": self.pick("shop", first, 1, out=False), "feed": self.pick("feed", second, 1, out=False)}
            if not all(waves.values()):
                return
            allowed = {service: self._spared(service, wave, floor) for service, wave in waves.items()}

            def call(service: str) -> str:
                move = site.move(service, waves[service], floor)
                try:
                    move.preview(Intent.LEAVE, self.ours[service])
                    move.run(Intent.LEAVE)
                except (Refused, Undone) as refusal:
                    return str(refusal)
                return ""

            with ThreadPoolExecutor(2) as pool:
                refusals = dict(zip(waves, pool.map(call, waves), strict=True))
            for service, wave in waves.items():
                assert bool(refusals[service]) is not allowed[service], (service, wave, floor, refusals[service])
                if not refusals[service]:
                    self.ours[service] |= {*wave}
                    effects.count("leave beside another")
            for service, wave in waves.items():
                goal = "online" if refusals[service] else "maintenance"
                self._settled(service, {wave[0]: goal}, None)

        @rule(service=services, first=picks, other=picks)
        def the_floor_breaks_while_customers_are_still_answered(self, service: str, first: int, other: int) -> None:
            """A slow request holds the leave; another node falls ill meanwhile, so all is put back."""
            there, nodes = self.pick(service, first, 9, out=False), SERVICES[service]
            if len(there) < 2 or not all(site.applications[name].healthy for name in nodes):
                return
            wave, ill = there[0], there[1 + other % (len(there) - 1)]
            before, floor = site.places(), str(len(there) - 1)
            with ThreadPoolExecutor(8) as pool:
                answers = [
                    pool.submit(get, site.balancers["lb1"].address, PORTS[service], "/slow?0.8") for _ in range(8)
                ]
                until(lambda: site.applications[wave].busy > 0, f"a customer is at {wave}")
                falls_ill = threading.Timer(0.15, setattr, (site.applications[ill], "healthy", False))
                falls_ill.start()
                move = site.move(service, [wave], floor)
                assert move.preview(Intent.LEAVE, self.ours[service])
                try:
                    with Watch(site, [wave]).on():
                        move.run(Intent.LEAVE)
                    raise AssertionError(f"{wave} left {service} with floor {floor} although {ill} fell ill")
                except (Refused, Undone):
                    effects.count("leave undone")
                falls_ill.join()
                assert {answer.result()[0] for answer in answers} == {200}
            self._health(ill, well=True)
            assert site.places() == before

        @rule(service=services, first=picks)
        def a_leave_waits_for_its_last_customer(self, service: str, first: int) -> None:
            wave = self.pick(service, first, 1, out=False)
            if not wave or not site.applications[wave[0]].healthy or not self._spared(service, wave, "1"):
                return
            before = site.places()
            with ThreadPoolExecutor(12) as pool:
                address = site.balancers["lb2"].address
                answers = [pool.submit(get, address, PORTS[service], "/slow?0.5") for _ in range(12)]
                until(lambda: all(site.applications[name].busy for name in wave), f"a customer is at {wave}")
                move = site.move(service, wave, "1")
                assert move.preview(Intent.LEAVE, self.ours[service])
                move.run(Intent.LEAVE)
                assert not site.applications[wave[0]].busy or wave[0] in _shared(service), "it still answers customers"
                assert {answer.result()[0] for answer in answers} == {200}
            self.ours[service] |= {*wave}
            effects.count("leave with customers")
            self._settled(service, dict.fromkeys(wave, "maintenance"), before)

        @rule(service=services, first=picks, host=st.sampled_from(["lb1", "lb2"]), joins=st.booleans())
        def a_colleague_has_taken_it_out(self, service: str, first: int, host: str, joins: bool) -> None:
            wave = self.pick(service, first, 1, out=False)
            if not wave:
                return
            socket = site.balancers[host].home / "a.sock"
            haproxy_socket.ask(socket, f"set server {service}_online/{wave[0]} state maint")
            before = site.places()
            try:
                site.move(service, wave, "0").preview(Intent.JOIN if joins else Intent.LEAVE, self.ours[service])
                raise AssertionError(f"{wave} is somebody else's and would be moved")
            except Refused:
                effects.count("respected")
            assert site.places() == before
            colleague = "state drain", "health down", "state ready"
            for what in colleague:
                haproxy_socket.ask(socket, f"set server {service}_online/{wave[0]} {what}")
            until(site.quiet, "the colleague has brought it back")

        # Answers that get lost

        @rule(service=services, first=picks, joins=st.booleans(), at=st.integers(1, 6), sent=st.booleans())
        def an_answer_gets_lost(self, service: str, first: int, joins: bool, at: int, sent: bool) -> None:
            wave, intent = self.pick(service, first, 1, out=joins), Intent.JOIN if joins else Intent.LEAVE
            if not wave or not site.applications[wave[0]].healthy:
                return
            if not joins and not self._spared(service, wave, "1"):
                return
            before = site.places()
            move = site.move(service, wave, "1", Fate(at=at, sent=sent, lost=True))
            assert move.preview(intent, self.ours[service])
            with Watch(site, wave).on():
                move.run(intent)
            self.ours[service] = self.ours[service] - {*wave} if joins else self.ours[service] | {*wave}
            effects.count(f"{intent} with a lost answer")
            self._settled(service, {wave[0]: "online" if joins else "maintenance"}, before)

        # Controllers that die

        @rule(service=services, first=picks, joins=st.booleans(), at=st.integers(1, 8), sent=st.booleans())
        def a_controller_dies_and_the_next_goes_on(
            self, service: str, first: int, joins: bool, at: int, sent: bool
        ) -> None:
            wave = self.pick(service, first, 1, out=joins)
            if not wave or not site.applications[wave[0]].healthy:
                return
            intent, before = Intent.JOIN if joins else Intent.LEAVE, site.places()
            if not joins and not self._spared(service, wave, "1"):
                return
            fate = Fate(at=at, sent=sent)
            self.ours[service] |= {*wave}  # the intention is in the ledger first
            with contextlib.suppress(Killed):
                move = site.move(service, wave, "1", fate)
                move.preview(intent, self.ours[service])
                move.run(intent)
            if fate.dead:
                effects.count(f"killed {intent}")
            again = site.move(service, wave, "1")
            if again.preview(intent, self.ours[service]):
                again.run(intent)
            if joins:
                self.ours[service] -= {*wave}
            effects.count(f"{intent} gone on with")
            self._settled(service, {wave[0]: "online" if joins else "maintenance"}, before)

        # Surroundings

        @rule(name=st.sampled_from(NODES))
        def an_application_falls_ill(self, name: str) -> None:
            view = site.view()
            others = [
                sum(is_usable(view[host, f"{service}_online", other]) for other in nodes if other != name)
                for host in site.balancers
                for service, nodes in SERVICES.items()
            ]
            if site.applications[name].healthy and min(others) >= 1:
                self._health(name, well=False)

        @rule(name=st.sampled_from(NODES))
        def an_application_recovers(self, name: str) -> None:
            if not site.applications[name].healthy:
                self._health(name, well=True)

        def _health(self, name: str, *, well: bool) -> None:
            site.applications[name].healthy = well
            until(site.quiet, f"{name} is {'well' if well else 'ill'} for all")
            effects.count("recovery" if well else "illness")
            self._look()

        @rule(host=st.sampled_from(["lb1", "lb2"]), changed=st.booleans())
        def a_reload(self, host: str, changed: bool) -> None:
            before, balancer = site.places(), site.balancers[host]
            if changed:
                site.configure(balancer)
            balancer.reload()
            self._came_back("reload", before)

        @rule(host=st.sampled_from(["lb1", "lb2"]), now=st.integers(0, 3))
        def a_crash(self, host: str, now: int) -> None:
            if now:  # they take long, and moves are what is to be tried most
                return
            before, balancer = site.places(), site.balancers[host]
            balancer.kill()
            balancer.start()
            self._came_back("crash", before)

        def _came_back(self, what: str, before: Mapping[Key, str]) -> None:
            until(site.quiet, f"all checks are through after a {what}")
            moved = {key: (before[key], cell) for key, cell in site.places().items() if cell != before[key]}
            assert not moved, f"a {what} moved servers: {moved}"
            effects.count(what)
            self._look()

        # What must hold

        def _spared(self, service: str, wave: Sequence[str], floor: str) -> bool:
            """Told by this machine's own count, on a site at rest: whether the wave may leave."""
            view, nodes = site.view(), SERVICES[service]
            for host in site.balancers:
                rows = {name: view[host, f"{service}_online", name] for name in nodes}
                left = sum(is_usable(row) for name, row in rows.items() if name not in wave)
                given = [name for name in wave if rows[name].status.startswith("UP") and not rows[name].is_out]
                if given and left < _least(floor, len(nodes)):
                    return False
            return True

        def _settled(self, service: str, goal: Mapping[str, str], before: Mapping[Key, str] | None) -> None:
            """The wave is where it should be on all load balancers, and nobody else has moved."""
            until(site.quiet, "all checks are through")
            now = site.places()
            wrong = {
                key: cell for key, cell in now.items() if key[0] == service and key[1] in goal and cell != goal[key[1]]
            }
            assert not wrong, f"{service}: {wrong}, wanted {dict(goal)}"
            if before is not None:
                others = {key for key in now if not (key[0] == service and key[1] in goal)}
                assert {key: now[key] for key in others} == {key: before[key] for key in others}
            self._look()

        def _look(self) -> None:
            """Customers come to servers in the online pool that are UP, and get an answer from each load balancer."""
            view = site.view()
            for host, balancer in site.balancers.items():
                for service, nodes in SERVICES.items():
                    online = {name for name in nodes if is_usable(view[host, f"{service}_online", name])}
                    out = self.ours[service]
                    assert not online & out, f"{service} on {host}: {online & out} is out and gets customers"
                    answers = [get(balancer.address, PORTS[service]) for _ in range(2)]
                    assert {status for status, *_ in answers} == {200}, (service, host, answers)
                    assert {body for _, body, _ in answers} <= online, (service, host, online, answers)

    return Crossed
