from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.action.puppet_pin import ActionModule
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError, Locked, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import State
from tests.unit.plugins.action.puppet_call import PuppetCall, act, deployment, folders, here

VALUES = {"tradeapi::version": "2", "tradeapi::digest": "abc"}


@pytest.fixture
def call(tmp_path: Path) -> PuppetCall:
    hostvars = {**folders(tmp_path, "ps1", "ps2"), "n1": {"tidegate_certname": "n1.lab"}}
    made = PuppetCall("puppet_pin", "n1", {"ps1": here(), "ps2": here()}, hostvars)
    made.args |= {"servers": ["ps1", "ps2"], "nodes": ["n1", "n2"], "values": VALUES}
    return made


def content(home: Path, file: str) -> object:
    path = home / file
    return yaml.safe_load(path.read_text()) if path.exists() else None


def test_pins_go_under_the_certificates_names_on_every_server(call: PuppetCall, tmp_path: Path) -> None:
    result = act(ActionModule, call)
    for server in ("ps1", "ps2"):
        assert content(tmp_path, f"{server}/nodes/n1.lab.yaml") == VALUES
        assert content(tmp_path, f"{server}/nodes/n2.yaml") == VALUES
    assert result["changed"]
    assert result["msg"] == "tradeapi::version: 2, tradeapi::digest: abc pinned on ps1, ps2 (4 of 4 files changed)"
    assert result["files"][0] == f"ps1: {tmp_path}/ps1/nodes/n1.lab.yaml"
    assert len(result["diff"]) == 4
    assert 'tradeapi::version: "2"' in result["diff"][0]["after"]
    assert not act(ActionModule, call)["changed"]


def test_check_mode_shows_and_writes_nothing(call: PuppetCall, tmp_path: Path) -> None:
    call.check = True
    result = act(ActionModule, call)
    assert result["changed"] and len(result["diff"]) == 4
    assert list(tmp_path.rglob("*")) == []


def test_absent_takes_ours_away_and_shows_what_stays(call: PuppetCall, tmp_path: Path) -> None:
    act(ActionModule, call)
    theirs = tmp_path / "ps1" / "nodes" / "n1.lab.yaml"
    theirs.write_text("tradeapi::version: '2'\n")
    call.args["state"] = "absent"
    result = act(ActionModule, call)
    assert result["kept"] == [f"ps1: {theirs}: tradeapi::version"]
    assert [path.name for path in tmp_path.rglob("*.yaml")] == ["n1.lab.yaml"]
    assert result["msg"].startswith("tradeapi::version, tradeapi::digest no longer pinned on ps1, ps2 (3 of 4")


def test_raised_needs_no_nodes(call: PuppetCall, tmp_path: Path) -> None:
    call.args |= {"state": "raised", "nodes": None}
    assert act(ActionModule, call)["changed"]
    assert content(tmp_path, "ps2/common.yaml") == VALUES


def test_the_common_files_are_changed_by_one_deployment_at_a_time(
    call: PuppetCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ansible_collections.tidegate.delivery.plugins.action.puppet_pin._COMMON_RETRY", 0.01)
    act(ActionModule, call)
    assert call.locking == [], "pins are under their nodes' locks"
    call.args |= {"state": "raised", "nodes": None}
    call.locked_by_others = 2
    assert act(ActionModule, call)["changed"]
    assert call.locking == ["lock ['common:lab']", "unlock ['common:lab']"]


def test_a_common_lock_that_stays_away_is_told(
    call: PuppetCall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "ansible_collections.tidegate.delivery.plugins.action.puppet_pin"
    monkeypatch.setattr(f"{module}._COMMON_RETRY", 0.01)
    monkeypatch.setattr(f"{module}._COMMON_WAIT", 0.05)
    call.args |= {"state": "raised", "nodes": None}
    call.locked_by_others = 10_000
    with pytest.raises(Locked, match="common:lab is locked"):
        act(ActionModule, call)
    assert list(tmp_path.rglob("*.yaml")) == []


def test_the_common_lock_is_given_back_after_a_failure(call: PuppetCall, tmp_path: Path) -> None:
    call.args |= {"state": "raised", "nodes": None}
    (tmp_path / "ps2").write_text("a file where a folder should be")
    with pytest.raises(DomainError):
        act(ActionModule, call)
    assert call.locking[-1] == "unlock ['common:lab']"


def test_a_lost_common_lock_does_not_hide_what_went_wrong(call: PuppetCall, tmp_path: Path) -> None:
    call.args |= {"state": "raised", "nodes": None}
    call.lock_lost = True
    (tmp_path / "ps2").write_text("a file where a folder should be")
    with pytest.raises(DomainError, match="can't write the pins"):
        act(ActionModule, call)


def test_leases_outlast_the_slowest_change(call: PuppetCall) -> None:
    call.args |= {"state": "raised", "nodes": None}
    act(ActionModule, call)
    # Five rounds of reading, writing and taking back, a minute each at most.
    slowest = 5 * 3 * 60
    assert call.leases[0] > slowest
    assert ActionModule.deadline(object.__new__(ActionModule), call) > slowest  # type: ignore[arg-type]


def test_the_ledger_says_whether_an_owner_still_needs_its_pin(call: PuppetCall, tmp_path: Path) -> None:
    act(ActionModule, call)
    call.args |= {"deployment": "d2", "values": {"tradeapi::version": "3"}}
    call.deployments = [deployment("d1", State.HELD), deployment("d2")]
    with pytest.raises(Refused, match="is pinned to 2 by deployment d1, which is not finished"):
        act(ActionModule, call)
    call.deployments = [deployment("d2")]
    with pytest.raises(Refused, match="d1"):
        act(ActionModule, call)
    call.deployments = [deployment("d1", State.SUPERSEDED), deployment("d2")]
    assert act(ActionModule, call)["changed"]
    assert content(tmp_path, "ps1/nodes/n2.yaml") == {**VALUES, "tradeapi::version": "3"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes": []}, "nodes is empty"),
        ({"nodes": ["../../etc/passwd"]}, "is no certname"),
        ({"servers": []}, "servers is empty"),
        ({"values": {"a b": "1"}}, "is nothing to pin"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    call: PuppetCall, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    call.args |= changes
    with pytest.raises(BadInput, match=message):
        act(ActionModule, call)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(("state", "step"), [("pinned", "pin"), ("absent", "settle"), ("raised", "raise")])
def test_the_step_in_the_ledger(call: PuppetCall, state: str, step: str) -> None:
    call.args["state"] = state
    assert ActionModule.step(object.__new__(ActionModule), call) == step  # type: ignore[arg-type]


def test_it_is_an_effect() -> None:
    assert ActionModule.EFFECT


@pytest.mark.parametrize(
    ("attempt", "outcome", "may_go"),
    [(1, Outcome.CHANGED, True), (1, Outcome.UNCHANGED, True), (1, Outcome.FAILED, False), (2, Outcome.CHANGED, False)],
)
def test_pins_go_only_when_the_common_value_was_raised_in_this_attempt(
    call: PuppetCall, attempt: int, outcome: Outcome, may_go: bool
) -> None:
    call.args |= {"state": "absent"}
    call.plan = {"puppet": {"servers": ["ps1", "ps2"], "pin": VALUES, "unpin": ["n1", "n2"]}}
    call.events = [
        Event(service="tradeapi", environment="lab", deployment="d1", attempt=attempt, step=Step.RAISE, outcome=outcome)
    ]
    action = object.__new__(ActionModule)
    with nullcontext() if may_go else pytest.raises(Refused, match="not raised in this attempt: pins stay"):
        ActionModule.require_planned(action, call)  # type: ignore[arg-type]


def test_what_opens_the_service_is_taken_back_and_the_pin_stays(call: PuppetCall, tmp_path: Path) -> None:
    call.args |= {"values": {**VALUES, "tradeapi::deployment": "d1"}}
    act(ActionModule, call)
    call.args |= {"state": "sealed", "values": {"tradeapi::deployment": "d1"}}
    result = act(ActionModule, call)
    assert (result["changed"], result["outcome"]) == (True, "sealed")
    assert result["msg"] == "tradeapi::deployment taken back on ps1, ps2 (4 of 4 files changed)"
    assert content(tmp_path, "ps1/nodes/n1.lab.yaml") == VALUES
    assert not act(ActionModule, call)["changed"]
    assert ActionModule.step(object.__new__(ActionModule), call) == "seal"  # type: ignore[arg-type]


@pytest.fixture
def by_fact(tmp_path: Path) -> PuppetCall:
    """Two nodes that have their pins themselves."""
    hostvars = {node: {"tidegate_facts_dir": str(tmp_path / node)} for node in ("n1", "n2")}
    made = PuppetCall("puppet_pin", "n1", {"n1": here(), "n2": here()}, hostvars)
    made.args |= {"place": "fact", "nodes": ["n1", "n2"], "values": VALUES}
    return made


def test_a_pin_by_fact_is_on_each_node_itself_and_goes_in_the_same_way(by_fact: PuppetCall, tmp_path: Path) -> None:
    result = act(ActionModule, by_fact)
    for node in ("n1", "n2"):
        assert content(tmp_path, f"{node}/tidegate_pins.yaml") == {"tidegate_pins": VALUES}
    assert result["msg"] == "tradeapi::version: 2, tradeapi::digest: abc pinned on n1, n2 (2 of 2 files changed)"
    assert not act(ActionModule, by_fact)["changed"]
    theirs = tmp_path / "n2" / "tidegate_pins.yaml"
    theirs.write_text("tidegate_pins:\n  tradeapi::version: '2'\n")
    by_fact.args["state"] = "absent"
    assert act(ActionModule, by_fact)["kept"] == [f"n2: {theirs}: tradeapi::version"]
    assert list(tmp_path.rglob("*.yaml")) == [theirs]


def test_no_fact_holds_for_all_nodes(by_fact: PuppetCall) -> None:
    by_fact.args["state"] = "raised"
    with pytest.raises(BadInput, match="no fact holds for all nodes"):
        act(ActionModule, by_fact)


def test_a_nodes_own_folder_must_be_an_absolute_path(by_fact: PuppetCall, tmp_path: Path) -> None:
    by_fact.hostvars["n2"]["tidegate_facts_dir"] = "facts.d"
    with pytest.raises(BadInput, match=r"'facts\.d' is no absolute path \(n2: tidegate_facts_dir\)"):
        act(ActionModule, by_fact)
    assert list(tmp_path.rglob("*.yaml")) == []
