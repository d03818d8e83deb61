from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.action.reboot import ActionModule
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.node import reboot as module
from tests.unit.plugins.action.puppet_call import PuppetCall, act
from tests.unit.plugins.module_utils.edge import NEW_BOOT, Edge


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edge:
    monkeypatch.setattr(module, "_LOOK_AGAIN", 0.05)
    made = Edge(tmp_path)
    made.shutdown(f'{NEW_BOOT}; rm "$root/run/reboot-required"')
    return made


@pytest.fixture
def call(edge: Edge) -> PuppetCall:
    return PuppetCall("reboot", "n1", {"n1": edge.node}, {"n1": {}})


def test_a_node_that_asks_for_it_is_rebooted_and_then_no_more(call: PuppetCall, edge: Edge) -> None:
    edge.write("run/reboot-required", "")
    result = act(ActionModule, call)
    assert (result["outcome"], result["changed"]) == ("rebooted", True)
    assert result["msg"] == "n1: it was rebooted: /run/reboot-required is there"
    assert (result["boot_before"], result["boot_after"]) == ("first", "second")
    again = act(ActionModule, call)
    assert (again["outcome"], again["changed"], again["boot_after"]) == ("not_pending", False, "second")
    assert edge.asked() == ["-r now"]


def test_the_boot_that_is_to_end_is_recorded_before_it_is_asked_for(call: PuppetCall, edge: Edge) -> None:
    def begun() -> tuple[ActionModule, dict[str, str] | None]:
        action = object.__new__(ActionModule)
        return action, action.begun_with(call)  # type: ignore[arg-type]

    assert begun()[1] is None, "nothing is pending"
    edge.write("run/reboot-required", "")
    action, told = begun()
    assert told == {"boot_before": "first"}
    assert edge.asked() == []
    assert action.act(call)["boot_before"] == "first"  # type: ignore[arg-type]
    edge.boot_id.unlink()
    action, told = begun()
    assert told is None
    edge.boot_id.write_text("first\n")
    with pytest.raises(Unreachable, match="does not tell its boot id"):
        action.act(call)  # type: ignore[arg-type]
    assert edge.asked() == ["-r now"], "no order without a recorded boot"


def test_check_mode_says_whether(call: PuppetCall, edge: Edge) -> None:
    call.check = True
    assert act(ActionModule, call)["outcome"] == "not_pending"
    edge.write("run/reboot-required", "")
    result = act(ActionModule, call)
    assert (result["outcome"], result["changed"]) == ("would_reboot", True)
    assert edge.asked() == []


@pytest.mark.parametrize("plan", [{}, {"reboot": "ignore"}, {"reboot": "hold"}])
def test_only_a_plan_that_says_so_reboots(call: PuppetCall, plan: dict[str, str]) -> None:
    call.plan = plan
    with pytest.raises(Refused, match="nodes are not to be rebooted"):
        ActionModule.require_planned(object.__new__(ActionModule), call)  # type: ignore[arg-type]
    call.plan = {"reboot": "if_pending"}
    ActionModule.require_planned(object.__new__(ActionModule), call)  # type: ignore[arg-type]


def test_the_lease_covers_it(call: PuppetCall) -> None:
    call.args["timeout"] = "10m"
    assert ActionModule.deadline(object.__new__(ActionModule), call) == 10 * 60 + 120  # type: ignore[arg-type]
    assert ActionModule.EFFECT and ActionModule.IN_WAVE
