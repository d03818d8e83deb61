"""One HTML file that tells a deployment: how it ended, why, what customers felt, and everything that was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Entry
from tidegate.report.findings import read_puppet, read_tests
from tidegate.report.model import Report, make
from tidegate.report.page import render

__all__ = ["Report", "make", "render", "report_of"]


def report_of(
    deployment: Deployment,
    entries: Sequence[Entry],
    plan: Mapping[str, Any],
    folder: Path | None,
    *,
    ways_on: Sequence[str] = (),
    clean: Callable[[str], str] = str,
) -> Report:
    """A deployment's report from the ledger, and from its folder as far as that is there.

    `clean` takes secrets out of texts of the folder's files; the ledger's events were cleaned when they were written.
    """
    events = [entry.event for entry in entries]
    tests, puppet = read_tests(events, folder, clean), read_puppet(events, folder)
    return make(deployment, entries, plan, ways_on=ways_on, tests=tests, puppet=puppet)
