"""Steps in which something happens to a move itself: answers that get lost, controllers that die, reloads amid it."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from tests.integration.haproxy.crossing import SERVICES, Fate, Killed, places
from tests.integration.haproxy.walker import Walker, a_host, a_pick, a_service, other_service, step

# The batches of a move on both load balancers, and one more.
a_batch = st.integers(1, 9)


class Faults(Walker):
    """Whatever happens, the move is made in the end, by this controller or the next."""

    def _may(self, intent: Intent, service: str, wave: list[str]) -> bool:
        if not wave or not self.well(*wave):
            return False
        return intent is Intent.JOIN or self.spared(service, wave, "1")

    @step(service=a_service, first=a_pick, joins=st.booleans(), at=a_batch, sent=st.booleans())
    def an_answer_gets_lost(self, service: str, first: int, joins: bool, at: int, sent: bool) -> None:
        wave, intent = self.pick(service, first, 1, out=joins), Intent.JOIN if joins else Intent.LEAVE
        if not self._may(intent, service, wave):
            return
        with self.watched(*wave):
            move = self.site.move(service, wave, "1", Fate(at=at, sent=sent, lost=True))
            refusal = self.try_to(intent, service, move)
        assert refusal is None, (service, wave, intent, refusal)
        self.moved(service, wave, intent)
        self.count(f"{intent} with a lost answer")

    @step(service=a_service, first=a_pick, joins=st.booleans(), at=a_batch, sent=st.booleans())
    def a_controller_dies_and_the_next_goes_on(
        self, service: str, first: int, joins: bool, at: int, sent: bool
    ) -> None:
        wave, intent = self.pick(service, first, 1, out=joins), Intent.JOIN if joins else Intent.LEAVE
        if self._may(intent, service, wave):
            self._killed(service, wave, intent, Fate(at=at, sent=sent))
            self._go_on(service, wave, intent)

    @step(
        service=a_service, first=a_pick, joins=st.booleans(), at=a_batch, sent=st.booleans(), other_joins=st.booleans()
    )
    def a_controller_dies_and_another_service_moves_the_same_node(
        self, service: str, first: int, joins: bool, at: int, sent: bool, other_joins: bool
    ) -> None:
        """What the dead one left is not the other's: it stays as it is until its own service goes on."""
        other, intent = other_service(service), Intent.JOIN if joins else Intent.LEAVE
        shared = {*self.pick(other, 0, 9, out=other_joins)} & {*self.pick(service, 0, 9, out=joins)}
        wave = sorted(shared)[first % len(shared) :][:1] if shared else []
        others_intent = Intent.JOIN if other_joins else Intent.LEAVE
        if not self._may(intent, service, wave) or not self._may(others_intent, other, wave):
            return
        self._killed(service, wave, intent, Fate(at=at, sent=sent))
        left = self._places_of(service)
        refusal = self.try_to(others_intent, other, self.site.move(other, wave, "1"))
        assert refusal is None, (other, wave, others_intent, refusal)
        assert self._places_of(service) == left
        self.moved(other, wave, others_intent)
        self.count(f"{others_intent} where another service's controller died")
        self._go_on(service, wave, intent)

    def _places_of(self, service: str) -> dict[tuple[str, str], str]:
        now = places(self.site.view())
        return {(name, host): now[service, name, host] for name in SERVICES[service] for host in self.site.balancers}

    def _killed(self, service: str, wave: list[str], intent: Intent, fate: Fate) -> None:
        self.ours[service] |= {*wave}  # the intention is in the ledger first
        with contextlib.suppress(Killed):
            move = self.site.move(service, wave, "1", fate)
            move.preview(intent, self.ours[service])
            move.run(intent)
        if fate.dead:
            self.count(f"killed {intent}")

    def _go_on(self, service: str, wave: list[str], intent: Intent) -> None:
        again = self.site.move(service, wave, "1")
        if again.preview(intent, self.ours[service]):
            again.run(intent)
        self.moved(service, wave, intent)
        self.count(f"{intent} gone on with")

    @step(
        service=a_service,
        first=a_pick,
        joins=st.booleans(),
        host=a_host,
        after=st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.3]),
    )
    def a_reload_amid_a_move(self, service: str, first: int, joins: bool, host: str, after: float) -> None:
        wave, intent = self.pick(service, first, 1, out=joins), Intent.JOIN if joins else Intent.LEAVE
        if not self._may(intent, service, wave):
            return

        def reload() -> None:
            time.sleep(after)
            self.site.balancers[host].reload()

        with ThreadPoolExecutor(1) as pool:
            reloading = pool.submit(reload)
            refusal = self.try_to(intent, service, self.site.move(service, wave, "1"))
            reloading.result()
        self.site.balancers[host].await_old_workers()
        if refusal is None:
            self.moved(service, wave, intent)
        # One that could not be asked before anything was touched.
        assert refusal is None or isinstance(refusal, Refused), (service, wave, intent, refusal)
        self.count(f"reload amid a {intent}")
