"""A Nagios for each test: it starts in a moment, and no test then depends on what another left there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.nagios.nagios_site import NagiosSite, running


@pytest.fixture
def site(tmp_path: Path) -> Iterator[NagiosSite]:
    with running(tmp_path) as found:
        yield found
