"""Steps that move nodes: alone, beside others, with customers who take long."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import strategies as st
from hypothesis.stateful import precondition

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from tests.integration.haproxy.crossing import SERVICES
from tests.integration.haproxy.walker import AGAIN, Walker, a_floor, a_host, a_pick, a_service, least, step

# Long enough for checks to pass on a busy machine, or not worth waiting for.
_JOIN_S, _ILL_JOIN_S = 60.0, 1.5
_SOFT_S = 60.0
# Longer than it takes to read back, shorter than HAProxy waits for a check.
_SLOW_CHECK_S = 0.5
# So often a leave looks at customers who wait, before they get their answer.
_POLLS = 3


class Moves(Walker):
    """Leaves and joins that nothing disturbs but other people's moves and the health of applications."""

    @step(service=a_service, first=a_pick, floor=a_floor)
    def a_node_leaves(self, service: str, first: int, floor: str) -> None:
        self._leave(service, self.pick(service, first, 1, out=False), floor)

    @step(service=a_service, first=a_pick, floor=a_floor)
    def two_nodes_leave(self, service: str, first: int, floor: str) -> None:
        self._leave(service, self.pick(service, first, 2, out=False), floor)

    def _leave(self, service: str, wave: list[str], floor: str) -> None:
        if not wave:
            return
        allowed = self.spared(service, wave, floor)
        with self.watched(*wave):
            refusal = self.try_to(Intent.LEAVE, service, self.site.move(service, wave, floor))
        assert (refusal is None) is allowed, (service, wave, floor, refusal)
        if allowed:
            self.moved(service, wave, Intent.LEAVE)
            self.count("leave" if len(wave) == 1 else "leave of two")

    @precondition(lambda self: any(self.ours.values()))
    @step(service=a_service, first=a_pick)
    def a_node_joins(self, service: str, first: int) -> None:
        self._join(service, self.pick(service, first, 1, out=True))

    @precondition(lambda self: any(self.ours.values()))
    @step(service=a_service, first=a_pick)
    def two_nodes_join(self, service: str, first: int) -> None:
        self._join(service, self.pick(service, first, 2, out=True))

    def _join(self, service: str, wave: list[str]) -> None:
        if not wave:
            return
        well = self.well(*wave)
        with self.watched(*wave):
            move = self.site.move(service, wave, "0", join=_JOIN_S if well else _ILL_JOIN_S)
            refusal = self.try_to(Intent.JOIN, service, move)
        assert (refusal is None) is well, (service, wave, refusal)
        if well:
            self.moved(service, wave, Intent.JOIN)
        self.count("join undone" if not well else "join" if len(wave) == 1 else "join of two")

    @precondition(lambda self: any(self.ours.values()) and self.can_afford("slow checks"))
    @step(service=a_service, first=a_pick)
    def a_node_joins_whose_checks_take_long(self, service: str, first: int) -> None:
        """It is online when they have passed on both load balancers, not when they have begun."""
        wave = self.pick(service, first, 1, out=True)
        if not wave or not self.well(*wave):
            return
        application = self.site.applications[wave[0]]
        application.health_takes = _SLOW_CHECK_S
        try:
            refusal = self.try_to(Intent.JOIN, service, self.site.move(service, wave, "0", join=_JOIN_S))
            assert refusal is None, (service, wave, refusal)
            self.moved(service, wave, Intent.JOIN)
        finally:
            application.health_takes = 0.0
        self.count("join with slow checks", of="slow checks")

    @step(first=a_pick, second=a_pick, floor=a_floor, shop_joins=st.booleans(), feed_joins=st.booleans())
    def two_services_at_once(self, first: int, second: int, floor: str, shop_joins: bool, feed_joins: bool) -> None:
        """Perhaps on the same node: neither may hurt the other's pools."""
        waves = {
            "shop": self.pick("shop", first, 1, out=shop_joins),
            "feed": self.pick("feed", second, 1, out=feed_joins),
        }
        if not all(wave and self.well(*wave) for wave in waves.values()):
            return
        intents = {
            service: Intent.JOIN if joins else Intent.LEAVE
            for service, joins in (("shop", shop_joins), ("feed", feed_joins))
        }
        allowed = {
            service: intents[service] is Intent.JOIN or self.spared(service, wave, floor)
            for service, wave in waves.items()
        }

        def call(service: str) -> DomainError | None:
            return self.try_to(intents[service], service, self.site.move(service, waves[service], floor))

        with ThreadPoolExecutor(2) as pool:
            refusals = dict(zip(waves, pool.map(call, waves), strict=True))
        for service, wave in waves.items():
            assert (refusals[service] is None) is allowed[service], (service, wave, floor, refusals[service])
            if allowed[service]:
                self.moved(service, wave, intents[service])
                self.count(f"{intents[service]} beside another service's")

    @step(service=a_service, first=a_pick, floor=a_floor)
    def two_controllers_of_one_service_at_once(self, service: str, first: int, floor: str) -> None:
        """The service's lock forbids it; should they come nevertheless, the floor holds."""
        wave = self.pick(service, first, 2, out=False)
        if len(wave) < 2:
            return
        each = {name: self.spared(service, [name], floor) for name in wave}
        both, before = self.spared(service, wave, floor), self.site.view()

        def call(name: str) -> DomainError | None:
            return self.try_to(Intent.LEAVE, service, self.site.move(service, [name], floor))

        with ThreadPoolExecutor(2) as pool:
            refusals = dict(zip(wave, pool.map(call, wave), strict=True))
        left = [name for name in wave if refusals[name] is None]
        self.moved(service, left, Intent.LEAVE)
        for name in left:
            assert each[name], f"{name} left {service} below {floor}"
            self.count("leave beside the same service's")
        assert left == wave or not both, (service, wave, floor, refusals)
        for host in self.site.balancers:
            usable = self.usable(before, service, host)
            if usable & {*left}:
                kept = len(usable - {*left})
                assert kept >= least(floor, len(SERVICES[service])), (service, host, left, floor, kept)

    @precondition(lambda self: self.can_afford("one floor"))
    @step(service=a_service, first=a_pick, other=a_pick, host=a_host)
    def only_one_load_balancer_has_too_few(self, service: str, first: int, other: int, host: str) -> None:
        """Its floor forbids the leave on both."""
        there, view = self.there(service), self.site.view()
        usable = {name: self.usable(view, service, name) for name in self.site.balancers}
        # Nodes that are out on one load balancer only may have left more on the other.
        if len(there) < 3 or not self.well(*there) or len(usable[host]) > min(map(len, usable.values())):
            return
        wave, missing = there[first % len(there)], there[(first + 1 + other % (len(there) - 1)) % len(there)]
        self.an_operator_sends(host, service, missing, "state maint")
        refusal = self.try_to(Intent.LEAVE, service, self.site.move(service, [wave], str(len(usable[host]) - 1)))
        assert "min_online" in str(refusal), f"{wave} leaves {service}, {missing} is out on {host}, and: {refusal}"
        self.an_operator_sends(host, service, missing, *AGAIN)
        self.count("leave refused for one load balancer", of="one floor")

    @step(service=a_service, first=a_pick, other=a_pick, host=a_host)
    def the_floor_breaks_while_customers_are_still_answered(
        self, service: str, first: int, other: int, host: str
    ) -> None:
        """Their requests hold the leave; another node falls ill meanwhile, so all is put back."""
        there = self.there(service)
        if len(there) < 3 or not self.well(*there):
            return
        wave, ill = there[first % len(there)], there[(first + 1 + other % (len(there) - 1)) % len(there)]
        if not self.dispensable(ill):
            return
        application = self.site.applications[ill]
        falls_ill = self.until_drained(service, wave, lambda: setattr(application, "healthy", False))
        with self.site.customers(host, service, wave) as customers, ThreadPoolExecutor(1) as pool:
            disturbing = pool.submit(falls_ill)
            with self.watched(wave):
                move = self.site.move(service, [wave], str(len(there) - 1), soft=_SOFT_S, hard=_SOFT_S)
                refusal = self.try_to(Intent.LEAVE, service, move)
            assert "min_online" in str(refusal), f"{wave} leaves {service}, {ill} fell ill, and: {refusal}"
            disturbing.result()
            self.site.release()
            assert {*customers.statuses()} == {200}
        self.count("leave undone at the floor")

    @step(service=a_service, first=a_pick, host=a_host, reloaded=st.booleans())
    def a_leave_waits_for_its_last_customer(self, service: str, first: int, host: str, reloaded: bool) -> None:
        """Also for those of a worker from before a reload."""
        wave, balancer = self.pick(service, first, 1, out=False), self.site.balancers[host]
        if not wave or not self.well(*wave) or not self.spared(service, wave, "1"):
            return
        waited = 0

        def answer_at_last() -> None:
            nonlocal waited
            waited += self.site.is_leaving(service, wave[0])
            if waited == _POLLS:
                self.site.release()

        with self.site.customers(host, service, wave[0]) as customers:
            if reloaded:
                balancer.reload()
                self.site.settle("the new worker knows who is UP")
            move = self.site.move(service, wave, "1", polled=answer_at_last)
            refusal = self.try_to(Intent.LEAVE, service, move)
            assert refusal is None, refusal
            assert waited >= _POLLS, f"{wave[0]} has left {service} and customers still wait for its answer"
            assert {*customers.statuses()} == {200}
        balancer.await_old_workers()
        self.moved(service, wave, Intent.LEAVE)
        self.count("leave that waits for an old worker" if reloaded else "leave that waits for customers")

    @precondition(lambda self: self.can_afford("hard deadlines"))
    @step(service=a_service, first=a_pick, host=a_host, cut=st.booleans())
    def customers_outlast_the_hard_deadline(self, service: str, first: int, host: str, cut: bool) -> None:
        wave = self.pick(service, first, 1, out=False)
        if not wave or not self.well(*wave) or not self.spared(service, wave, "1"):
            return
        with self.site.customers(host, service, wave[0]) as customers:
            move = self.site.move(service, wave, "1", cut=cut, soft=0.1, hard=0.2)
            refusal = self.try_to(Intent.LEAVE, service, move)
            assert (refusal is None) is cut, (service, wave, refusal)
            self.site.release()
            lost = [status for status in customers.statuses() if status != 200]
        assert len(lost) == sum(move.report.sessions_cut.values()), (lost, move.report.sessions_cut)
        assert bool(lost) is cut, lost
        if cut:
            self.moved(service, wave, Intent.LEAVE)
        self.count("leave that cuts" if cut else "leave undone at the hard deadline", of="hard deadlines")
