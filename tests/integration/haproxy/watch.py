"""What nobody may see while moves are made, which no settled state tells any more."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.integration.haproxy.crossing import PORTS, SERVICES, Crossing, Place, View, places
from tests.integration.haproxy.haproxy_site import get

_LOOK_EVERY_S = 0.01
_CUSTOMER_EVERY = 4


@dataclass
class Watch:
    """Looks at the sockets, and comes as a customer, all the time that a move takes."""

    site: Crossing
    wave: Sequence[str]
    found: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._look_until, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        assert not self.found, self.found[:3]

    def _look_until(self, over: threading.Event) -> None:
        customers = itertools.cycle((host, service) for host in self.site.balancers for service in SERVICES)
        seen: list[dict[Place, str]] = []
        for number in itertools.count():
            with contextlib.suppress(OSError):
                view = self.site.view()
                seen = [*seen[-2:], places(view)]
                self._judge(view)
                self._compare(seen)
            if number % _CUSTOMER_EVERY == 0:
                self._come(*next(customers))
            if over.wait(_LOOK_EVERY_S):
                return

    def _judge(self, view: View) -> None:
        for (_host, backend, name), server in view.items():
            rising = backend.endswith("_online") and server.status.startswith("UP ") and not server.is_out
            if rising and name in self.wave and self.site.applications[name].healthy:
                self.found.append(f"{name} got customers in {backend} before its checks had passed")

    def _compare(self, seen: Sequence[dict[Place, str]]) -> None:
        """The load balancers are not read at the same moment: what was so before and after was so."""
        before, now, after = seen[0], seen[len(seen) // 2], seen[-1]
        for service, nodes in SERVICES.items():
            for name in nodes:
                where = {now[service, name, host] for host in self.site.balancers}
                if "both" in where:
                    self.found.append(f"{name} was in both pools of {service}")
                stayed = all(before[service, name, host] == after[service, name, host] for host in self.site.balancers)
                if len(seen) == 3 and stayed and {"online", "maintenance"} <= where:
                    self.found.append(f"{name} was in another pool of {service} on each load balancer")

    def _come(self, host: str, service: str) -> None:
        try:
            status, *_ = get(self.site.balancers[host].address, PORTS[service])
        except OSError as error:
            self.found.append(f"a customer of {service} on {host} got {error!r}")
            return
        if status != 200:
            self.found.append(f"a customer of {service} on {host} got {status}")
