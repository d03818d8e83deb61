from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.callback.stop import CallbackModule
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping.signals import MainSignals


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    heard: list[str] = []
    monkeypatch.setattr(MainSignals, "next_task", lambda _self, action: heard.append(action))
    monkeypatch.setattr(MainSignals, "put_back", lambda _self: heard.append("put back"))
    return heard


@pytest.mark.parametrize(
    "task",
    [
        SimpleNamespace(action="plan", resolved_action="tidegate.delivery.plan"),
        SimpleNamespace(action="tidegate.delivery.plan", resolved_action=None),
    ],
)
def test_each_task_is_announced_by_its_full_name(heard: list[str], task: Any) -> None:
    CallbackModule().v2_playbook_on_task_start(task, is_conditional=False)
    assert heard == ["tidegate.delivery.plan"]


def test_the_end_is_announced(heard: list[str]) -> None:
    CallbackModule().v2_playbook_on_stats(None)
    assert heard == ["put back"]
