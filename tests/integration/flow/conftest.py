"""The running lab as a site to deploy to, put right before each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.layout import PROJECT, Layout
from tests.integration.flow.lab_site import Site
from tests.integration.splunk.collecting import Collecting, collecting


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


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collecting]:
    """A collector to which the events of every playbook are shipped."""
    with collecting(tmp_path / "splunk") as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made
