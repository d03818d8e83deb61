from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell
from tests.integration.haproxy.haproxy_site import NET, Backend, LoadBalancer, Site
from tests.waiting import until


@pytest.fixture
def site() -> Iterator[Site]:
    """Four nodes behind two load balancers, all nodes ON."""
    backends = {f"n{number}": Backend(f"n{number}", f"{NET}.1.{number}") for number in range(1, 5)}
    # A unix socket's path may have 107 bytes: pytest's own folders can be longer.
    with tempfile.TemporaryDirectory(prefix="tg") as home:
        balancers = {
            f"lb{number}": LoadBalancer(
                f"lb{number}", f"{NET}.0.{number}", list(backends.values()), Path(home, f"lb{number}")
            )
            for number in (1, 2)
        }
        made = Site(backends, balancers)
        try:
            for backend in backends.values():
                backend.start()
            for balancer in balancers.values():
                balancer.start()
            until(lambda: all(set(made.cells(name)) == {Cell.ON} for name in backends), "all nodes are ON")
            yield made
        finally:
            for balancer in balancers.values():
                balancer.kill()
            for backend in backends.values():
                backend.stop()
