from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.action.puppet_freeze import ActionModule
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DeadlineExceeded, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import State
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import this_user
from ansible_collections.tidegate.delivery.plugins.module_utils.node import jobs
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import Limits
from tests.unit.plugins.action.puppet_call import PuppetCall, act, deployment
from tests.unit.plugins.module_utils.puppet_double import PuppetDouble
from tests.waiting import until

OURS = f"tidegate: deployment d1 of tradeapi, by {this_user()}"


@pytest.fixture
def puppet(tmp_path: Path) -> PuppetDouble:
    return PuppetDouble(tmp_path / "node")


@pytest.fixture
def call(puppet: PuppetDouble, tmp_path: Path) -> PuppetCall:
    made = PuppetCall(
        "puppet_freeze", "n1", {"n1": puppet.node}, {"n1": {"tidegate_state_dir": str(tmp_path / "state")}}
    )
    made.args["state"] = "frozen"
    return made


def test_frozen_and_thawed(call: PuppetCall, puppet: PuppetDouble) -> None:
    result = act(ActionModule, call)
    assert (result["changed"], result["outcome"], result["frozen_by"]) == (True, "frozen", OURS)
    assert result["msg"] == f"n1: Puppet is disabled: {OURS}"
    assert (result["diff"]["before"], result["diff"]["after"]) == ("", OURS + "\n")
    assert not act(ActionModule, call)["changed"]
    call.args["state"] = "thawed"
    result = act(ActionModule, call)
    assert (result["changed"], result["outcome"], result["frozen_by"]) == (True, "thawed", "")
    assert not puppet.lock.exists()
    assert len(puppet.calls("config print")) == 1, "asked once, then kept in the state folder"


def test_check_mode_changes_nothing(call: PuppetCall, puppet: PuppetDouble, tmp_path: Path) -> None:
    call.check = True
    result = act(ActionModule, call)
    assert (result["changed"], result["outcome"], result["diff"]["after"]) == (True, "frozen", OURS + "\n")
    assert not puppet.lock.exists()
    assert not (tmp_path / "state").exists()
    puppet.freeze(OURS)
    call.args["state"] = "thawed"
    assert act(ActionModule, call)["changed"]
    assert puppet.lock.exists()


def test_check_mode_of_a_deployment_that_is_not_opened_yet(call: PuppetCall) -> None:
    class NotOpened(PuppetCall):
        @property
        def ledger(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            raise Refused("there is no deployment 'd1'")

    call.__class__ = NotOpened
    with pytest.raises(Refused):
        act(ActionModule, call)
    call.check = True
    assert act(ActionModule, call)["outcome"] == "frozen"


def test_a_strangers_freeze_is_shown_and_stays(call: PuppetCall, puppet: PuppetDouble) -> None:
    puppet.freeze("Ann swaps a disk")
    with pytest.raises(Refused, match="Ann swaps a disk"):
        act(ActionModule, call)
    call.check = True
    with pytest.raises(Refused, match="Ann swaps a disk"):
        act(ActionModule, call)
    call.check, call.args["state"] = False, "thawed"
    result = act(ActionModule, call)
    assert (result["changed"], result["outcome"]) == (False, "frozen")
    assert result["msg"] == "n1: Puppet is disabled: Ann swaps a disk (not ours: it stays)"


def test_a_freeze_that_a_dead_deployment_left_is_taken_over_but_not_one_of_another_ledger(
    call: PuppetCall, puppet: PuppetDouble
) -> None:
    puppet.freeze("tidegate: deployment d0 of tradeapi, by bob")
    with pytest.raises(Refused, match=r"that this ledger doesn't know: tidegate: deployment d0 .*tidegate frozen"):
        act(ActionModule, call)
    assert "d0" in puppet.lock.read_text()
    call.deployments.append(deployment("d0", State.SUPERSEDED))
    assert act(ActionModule, call)["frozen_by"] == OURS


def test_another_deployments_freeze_stays_unless_the_plan_of_a_thaw_names_it(
    call: PuppetCall, puppet: PuppetDouble
) -> None:
    puppet.freeze("tidegate: deployment d0 (pricefeed), by bob")
    call.args["state"] = "thawed"
    result = act(ActionModule, call)
    assert (result["changed"], result["outcome"]) == (False, "frozen")
    assert result["msg"].endswith("(not this deployment's: it stays)")
    call.plan = {"intent": "thaw", "frozen": {"n1": "d0"}}
    assert act(ActionModule, call)["outcome"] == "thawed"
    assert not puppet.lock.exists()


def test_a_run_in_progress_is_waited_for_and_shown(
    call: PuppetCall, puppet: PuppetDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    with puppet.run_in_progress() as process:

        def progress(text: str) -> None:
            call.told.append(text)
            # It ends because it is shown: how long the freeze before that takes doesn't matter then.
            os.killpg(process.pid, signal.SIGKILL)

        monkeypatch.setattr(call, "progress", progress)
        result = act(ActionModule, call)
    assert result["waited_s"] > 0
    assert call.told == [f"waiting for Puppet run {process.pid} to end"]


def test_a_run_that_an_earlier_attempt_left_is_adopted_later_and_not_waited_for(
    call: PuppetCall, puppet: PuppetDouble, tmp_path: Path
) -> None:
    folder, lock = str(tmp_path / "state" / "jobs"), puppet.home / "run.lock"
    agent = puppet.home / "bin" / "puppet-agent"
    agent.symlink_to("/bin/sh")
    jobs.start(puppet.node, folder, "d1.n1.1", [str(agent), "-c", f"echo $$ >{lock}; sleep 600; :"], Limits(600))
    until(lock.exists, "it runs")
    try:
        result = act(ActionModule, call)
    finally:
        jobs.stop(puppet.node, folder, "d1.n1.1", grace=0)
    assert (result["outcome"], call.told) == ("frozen", [])


def test_one_that_goes_on_too_long_fails_and_the_node_stays_frozen(call: PuppetCall, puppet: PuppetDouble) -> None:
    call.args["wait"] = "200ms"
    with puppet.run_in_progress(), pytest.raises(DeadlineExceeded):
        act(ActionModule, call)
    assert puppet.lock.exists()


def test_a_wait_without_unit_is_refused_before_anything_is_done(call: PuppetCall, puppet: PuppetDouble) -> None:
    call.args["wait"] = "10"
    with pytest.raises(BadInput, match=r"'10' is not a duration.*\(wait\)"):
        act(ActionModule, call)
    assert puppet.calls() == []


@pytest.mark.parametrize(("state", "in_wave"), [("frozen", True), ("thawed", False)])
def test_only_a_freeze_needs_the_waves_locks(call: PuppetCall, state: str, in_wave: bool) -> None:
    call.args["state"] = state
    assert ActionModule.in_wave(object.__new__(ActionModule), call) is in_wave  # type: ignore[arg-type]


@pytest.mark.parametrize(("state", "step"), [("frozen", "freeze"), ("thawed", "thaw")])
def test_the_step_in_the_ledger(call: PuppetCall, state: str, step: str) -> None:
    call.args["state"] = state
    action = object.__new__(ActionModule)
    assert ActionModule.step(action, call) == step  # type: ignore[arg-type]
    assert ActionModule.deadline(action, call) == 780  # type: ignore[arg-type]
    assert ActionModule.EFFECT
