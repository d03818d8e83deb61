"""Customers who must not notice what is done meanwhile, by their own account and by HAProxy's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.accesslog import AccessLog
from lab.load import Load
from tests.integration.flow.lab_site import Site


@contextmanager
def unnoticed(site: Site, label: str, rate: float, at_least: int = 1_000) -> Iterator[Load]:
    """Their load on all services; afterwards none of so many requests may have failed or been sent twice."""
    log = AccessLog(site.layout)
    with Load(site.layout, label, rate) as load:
        yield load
    customers = load.result
    assert customers is not None
    assert customers.requests_total > at_least
    assert customers.requests_failed == 0, customers
    logged = log.counts(label, customers.requests_written)
    assert (logged.total, logged.failed, logged.retried, logged.redispatched) == (customers.requests_total, 0, 0, 0)
