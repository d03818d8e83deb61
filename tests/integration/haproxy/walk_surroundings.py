"""Steps that nobody's move makes: applications, HAProxy's processes, an operator."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Intent
from tests.integration.haproxy.walker import AGAIN, Walker, a_host, a_node, a_pick, a_service, step


class Around(Walker):
    """None of them may move a node to another pool."""

    @precondition(lambda self: self.can_afford("illnesses"))
    @step(name=a_node, dies=st.booleans())
    def an_application_falls_ill_or_dies(self, name: str, dies: bool) -> None:
        if not self.well(name) or not self.dispensable(name):
            return
        if dies:
            self.site.applications[name].die()
        else:
            self.site.applications[name].healthy = False
        self.count("death" if dies else "illness", of="illnesses")

    @precondition(lambda self: not self.well(*self.site.applications))
    @step(first=a_pick)
    def an_application_recovers(self, first: int) -> None:
        ill = [each for each in self.site.applications.values() if not each.healthy]
        ill[first % len(ill)].live()
        self.count("recovery")

    @precondition(lambda self: self.can_afford("reloads"))
    @step(host=a_host, changed=st.booleans())
    def a_reload(self, host: str, changed: bool) -> None:
        if changed:
            self.site.configure(self.site.balancers[host])
        self.site.balancers[host].reload()
        self.site.balancers[host].await_old_workers()
        self.count("changed reload" if changed else "reload", of="reloads")

    @precondition(lambda self: self.can_afford("failed reloads"))
    @step(host=a_host, service=a_service, first=a_pick)
    def a_failed_reload(self, host: str, service: str, first: int) -> None:
        """Nothing moves as long as HAProxy's files are not what runs."""
        balancer, wave = self.site.balancers[host], self.pick(service, first, 1, out=False)
        self.site.misconfigure(balancer)
        balancer.fail_to_reload()
        if wave:
            refusal = self.try_to(Intent.LEAVE, service, self.site.move(service, wave, "0"))
            assert isinstance(refusal, Refused), refusal
        self.site.configure(balancer)
        balancer.reload()
        balancer.await_old_workers()
        self.count("failed reload", of="failed reloads")

    @precondition(lambda self: self.can_afford("starts"))
    @step(host=a_host, killed=st.booleans())
    def a_crash_or_a_restart(self, host: str, killed: bool) -> None:
        balancer = self.site.balancers[host]
        if killed:
            balancer.kill()
        else:
            balancer.stop()
        balancer.start()
        self.count("crash" if killed else "restart", of="starts")

    @precondition(lambda self: self.can_afford("operators"))
    @step(service=a_service, first=a_pick, hosts=st.sampled_from([("lb1",), ("lb2",), ("lb1", "lb2")]))
    def an_operator_takes_one_out(self, service: str, first: int, hosts: tuple[str, ...]) -> None:
        """And nobody else brings it back, or moves it on."""
        wave = self.pick(service, first, 1, out=False)
        if not wave or not self.dispensable(wave[0]):
            return
        for host in hosts:
            self.an_operator_sends(host, service, wave[0], "state maint")
            self.foreign[service, wave[0], host] = "out"
        for intent in (Intent.LEAVE, Intent.JOIN):
            refusal = self.try_to(intent, service, self.site.move(service, wave, "0"))
            assert isinstance(refusal, Refused), f"{wave} is somebody else's: {intent} {refusal}"
        self.count("operator takes out", of="operators")

    @precondition(lambda self: self.foreign)
    @step(first=a_pick)
    def an_operator_brings_one_back(self, first: int) -> None:
        there = sorted(self.foreign)
        service, name, host = there[first % len(there)]
        self.an_operator_sends(host, service, name, *AGAIN)
        del self.foreign[service, name, host]
        self.count("operator brings back")
