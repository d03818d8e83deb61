"""The running lab as a site to deploy to, put right before each test."""

from __future__ import annotations

import pytest

from lab.layout import PROJECT, Layout
from tests.integration.flow.lab_site import Site


@pytest.fixture
def site(lab: Layout) -> Site:
    """All nodes online on one release, nothing open."""
    found = Site(lab, PROJECT / "services")
    found.reset()
    return found
