"""A dead attempt's reboots are waited for before anything is planned, on nodes that are files of this machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import service_lock
from ansible_collections.tidegate.delivery.plugins.module_utils.node import reboot as module
from ansible_collections.tidegate.delivery.plugins.module_utils.parallel import in_parallel
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning import reboot_wait
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.reboot_wait import await_reboots
from tests.unit.plugins.action.puppet_call import PuppetCall, deployment
from tests.unit.plugins.module_utils.edge import NEW_BOOT, Edge


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edge:
    monkeypatch.setattr(module, "_LOOK_AGAIN", 0.05)
    return Edge(tmp_path)


def begun(*nodes: str, ago_s: float = 1.0) -> list[Event]:
    at = (datetime.now(UTC) - timedelta(seconds=ago_s)).isoformat(timespec="milliseconds")
    return [
        Event(
            service="tradeapi",
            environment="lab",
            deployment="d1",
            attempt=1,
            step=Step.REBOOT,
            outcome=Outcome.STARTED,
            nodes=nodes,
            details={"boot_before": "first"},
            at=at,
        )
    ]


def scene(edge: Edge, events: list[Event], monkeypatch: pytest.MonkeyPatch, *live: str) -> Any:
    call = PuppetCall("plan", "localhost", {"n1": edge.node}, {})
    call.in_parallel = in_parallel  # type: ignore[attr-defined]
    record = SimpleNamespace(events_of=lambda step: [each for each in events if each.step is step])
    monkeypatch.setattr(reboot_wait, "Record", SimpleNamespace(of=lambda _call, _id: record))
    return SimpleNamespace(
        call=call,
        environment="lab",
        nodes=["n1"],
        service=SimpleNamespace(name="tradeapi", deploy=SimpleNamespace(reboot_timeout=600.0)),
        under_way=deployment("d1"),
        record=SimpleNamespace(live_locks=lambda: frozenset(live)),
    )


def test_a_node_on_its_way_down_is_waited_for_until_it_is_back(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    edge.shutdown(f"(sleep 0.5; {NEW_BOOT}) >/dev/null 2>&1 &")
    edge.node.sh(f"{edge.root}/sbin/shutdown -r now")
    found = scene(edge, begun("n1"), monkeypatch)
    await_reboots(found, [])
    assert edge.boot_id.read_text() == "second\n"
    assert "waiting for the reboot that an earlier attempt began" in found.call.told[0]
    assert found.call.told[-1] == "n1, which an earlier attempt was rebooting: it is back, in another boot"


def test_nobody_is_waited_for_without_a_reason(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    for events, excluded, live in (
        ([], [], ()),
        (begun("n1"), ["n1"], ()),
        (begun("n9"), [], ()),
        (begun("n1"), [], (service_lock("lab", "tradeapi"),)),
    ):
        found = scene(edge, events, monkeypatch, *live)
        await_reboots(found, excluded)
        assert found.call.told == []
    found = scene(edge, begun("n1"), monkeypatch)
    found.under_way = None
    await_reboots(found, [])
    assert found.call.told == []


def test_a_reboot_that_was_never_asked_for_is_told(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    found = scene(edge, begun("n1", ago_s=3600.0), monkeypatch)
    await_reboots(found, [])
    assert found.call.told == [
        "n1, which an earlier attempt was rebooting: it is still in its old boot, and was probably never asked"
    ]
