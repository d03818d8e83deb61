"""Ansible's plugin loaders find this collection in pytest's process, too."""

from __future__ import annotations

import pytest

from tests.integration.windows.findable import make_findable


@pytest.fixture(scope="session", autouse=True)
def _collection() -> None:
    make_findable()
