"""The command on the session's lab, all of it put right before each test."""

from __future__ import annotations

import pytest

from lab.layout import PROJECT, Layout
from tests.integration.command.commanded import Commands
from tests.integration.flow.lab_site import Site


@pytest.fixture
def site(lab: Layout) -> Site:
    """All nodes online, nothing open."""
    found = Site(lab, PROJECT / "services")
    found.reset()
    return found


@pytest.fixture
def commands(site: Site) -> Commands:
    """The command, on that site."""
    return Commands(site.layout, site.services)
