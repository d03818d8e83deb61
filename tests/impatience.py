"""The shipper with small batches and short pauses: the rules are the same."""

from __future__ import annotations

import pytest

from tidegate.shipping import worker


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """For one test."""
    monkeypatch.setattr(worker, "BATCH", 7)
    monkeypatch.setattr(worker, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(worker, "LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr(worker, "GATHER_S", 0.01)
