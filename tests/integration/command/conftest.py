"""The command on the session's lab, all of it put right before each test."""

from __future__ import annotations

import pytest

from tests.integration.command.commanded import Commands
from tests.integration.flow.conftest import site
from tests.integration.flow.lab_site import Site

__all__ = ["site"]


@pytest.fixture
def commands(site: Site) -> Commands:
    """The command, on that site."""
    return Commands(site.layout, site.services)
