"""The running lab as a site to deploy to, put right before each test."""

from __future__ import annotations

import pytest

from lab.layout import PROJECT, Layout
from tests.integration.flow.lab_site import Site


@pytest.fixture
def site(lab: Layout) -> Site:
    """All nodes online, nothing open. Releases may differ from node to node."""
    found = Site(lab, PROJECT / "services")
    found.reset()
    return found


@pytest.fixture
def even_site(site: Site) -> Site:
    """All nodes online on one release, nothing open."""
    site.reset(even=True)
    return site
