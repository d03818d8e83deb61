from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping import stop


@pytest.fixture(autouse=True)
def nobody_asked() -> Iterator[None]:
    stop.forget_stop()
    yield
    stop.forget_stop()
