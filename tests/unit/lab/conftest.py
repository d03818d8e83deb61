from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _short_folders_go_with_the_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pytest's folders are so deep that a lab there keeps its sockets elsewhere; nothing but `down` removes that."""
    short = Path(tempfile.mkdtemp(prefix="tg"))
    monkeypatch.setattr("lab.layout.SHORT_PARENT", short)
    yield
    shutil.rmtree(short)
