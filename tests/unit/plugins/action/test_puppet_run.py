from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.action.puppet_run import ActionModule
from tests.unit.plugins.action.puppet_call import PuppetCall, act, deployment
from tests.unit.plugins.module_utils.edge import Edge
from tests.unit.plugins.module_utils.puppet_double import PuppetDouble


@pytest.fixture
def puppet(tmp_path: Path) -> PuppetDouble:
    return PuppetDouble(tmp_path / "node")


@pytest.fixture
def call(puppet: PuppetDouble, tmp_path: Path) -> PuppetCall:
    state = {"tidegate_state_dir": str(tmp_path / "state"), "tidegate_puppet_confdir": "/etc/lab/puppet"}
    return PuppetCall("puppet_run", "n1", {"n1": puppet.node}, {"n1": state})


def test_a_changed_node(call: PuppetCall, puppet: PuppetDouble, tmp_path: Path) -> None:
    puppet.will("changed", 2)
    result = act(ActionModule, call)
    assert "failed" not in result
    assert (result["outcome"], result["changed"], result["exit_code"], result["adopted"]) == ("changed", True, 2, False)
    assert result["job_id"] == "d1.n1.1"
    assert result["report"] == f"{tmp_path}/state/jobs/d1.n1.1/kept"
    assert (result["configuration_version"], result["revision"]) == ("1795412860", "")
    assert result["resources"]["total"] == 8
    assert result["msg"] == "n1: Puppet changed the node"
    line = puppet.calls("--onetime")[0]
    assert "--confdir /etc/lab/puppet" in line and "--maxwaitforlock 120" in line


def test_the_configuration_is_told_where_the_deployment_has_one(call: PuppetCall, puppet: PuppetDouble) -> None:
    puppet.will("changed", 2)
    call.deployments[0] = replace(call.deployments[0], revision="1795412860")
    assert act(ActionModule, call)["revision"] == "1795412860"


def test_an_unchanged_node(call: PuppetCall) -> None:
    result = act(ActionModule, call)
    assert (result["outcome"], result["changed"]) == ("unchanged", False)


def test_a_failure_has_three_parts_and_names_the_resources(call: PuppetCall, puppet: PuppetDouble) -> None:
    puppet.will("failed_restart", 6)
    result = act(ActionModule, call)
    assert (result["failed"], result["changed"], result["reason"]) == (True, True, "failed_restart")
    assert result["msg"].startswith("n1: Puppet changed the node, but what it then restarted failed: Exec[refreshed]")
    assert result["where"] in result["msg"]
    assert result["msg"].endswith("Look at the service's own log, then run the same deployment again")
    assert result["failed_resources"][1]["resource"] == "Service[tgsvc]"
    assert result["failed_resources"][1]["place"].endswith("site.pp:9")


def test_a_run_without_report_changed_nothing_that_we_know_of(call: PuppetCall, puppet: PuppetDouble) -> None:
    puppet.will("certificate_unsigned", 1)
    result = act(ActionModule, call)
    assert (result["outcome"], result["changed"], result["resources"]) == ("certificate_unsigned", False, {})
    assert (result["configuration_version"], result["revision"]) == ("", "")


def test_every_attempt_and_suffix_is_a_run_of_its_own(call: PuppetCall, puppet: PuppetDouble) -> None:
    act(ActionModule, call)
    assert act(ActionModule, call)["adopted"]
    call.args["job"] = "after-reboot"
    assert act(ActionModule, call)["job_id"] == "d1.n1.1.after-reboot"
    call.args["job"], call.deployments = None, [deployment("d1", attempt=2)]
    assert act(ActionModule, call)["job_id"] == "d1.n1.2"
    assert len(puppet.calls("--onetime")) == 3


def test_a_pending_reboot_is_told_or_counts(call: PuppetCall, puppet: PuppetDouble, tmp_path: Path) -> None:
    edge = Edge(tmp_path / "edge")
    edge.write("run/reboot-required", "")
    puppet.has_edge(edge.root)
    result = act(ActionModule, call)
    assert result["msg"] == "n1: Puppet had nothing to change; a reboot is pending: /run/reboot-required is there"
    call.args |= {"job": "held", "reboot": "hold"}
    result = act(ActionModule, call)
    assert (result["failed"], result["outcome"]) == (True, "reboot_pending")
    assert "/run/reboot-required is there" in result["msg"]
    call.args |= {"job": "later", "reboot": "if_pending"}
    assert act(ActionModule, call)["reboot_pending"] == "/run/reboot-required is there"


def test_a_node_without_puppet_is_an_outcome(call: PuppetCall, puppet: PuppetDouble) -> None:
    (puppet.home / "bin" / "id").write_text('#!/bin/sh\n[ -n "$1" ] && [ "$1" = -un ] && echo ann || echo 1000\n')
    call.hostvars["n1"].pop("tidegate_puppet_confdir")
    result = act(ActionModule, call)
    assert (result["failed"], result["reason"], result["where"]) == (True, "not_root", "n1")
    assert "commands run as ann (n1). Connect as root or with become" in result["msg"]


def test_check_mode_runs_nothing(call: PuppetCall, puppet: PuppetDouble, tmp_path: Path) -> None:
    call.check = True
    result = act(ActionModule, call)
    assert (result["changed"], result["outcome"]) == (True, "would_run")
    assert puppet.calls("--onetime") == []
    assert not (tmp_path / "state").exists()
    puppet.freeze("Ann")
    result = act(ActionModule, call)
    assert (result["failed"], result["reason"]) == (True, "disabled")
    assert "Puppet is disabled on the node: reason: Ann (n1)." in result["msg"]


def test_who_watches_sees_that_it_goes_on(call: PuppetCall, puppet: PuppetDouble) -> None:
    puppet.will("changed", 2, before="sleep 2.5")
    call.args["interval"] = "1s"
    act(ActionModule, call)
    assert call.told and call.told[0].startswith("Puppet runs (process ")


def test_the_lease_covers_the_run(call: PuppetCall) -> None:
    assert ActionModule.deadline(object.__new__(ActionModule), call) == 15 * 60 + 2 * 60 + 300  # type: ignore[arg-type]
    assert ActionModule.EFFECT


def test_a_good_run_that_took_another_version_than_the_plans_is_no_success(
    call: PuppetCall, puppet: PuppetDouble
) -> None:
    puppet.will("changed", 2)
    captured = puppet.home / "captured.yaml"
    tells = "resource_statuses:\n  Schedule[tidegate took tradeapi tradeapi::version 1.0]:\n    changed: false\n"
    captured.write_text(captured.read_text().replace("resource_statuses:\n", tells))
    call.plan = {"puppet": {"pin": {"tradeapi::version": "2"}}}
    result = act(ActionModule, call)
    assert (result["failed"], result["outcome"], result["changed"]) == (True, "pin_not_taken", True)
    assert "tradeapi::version is 1.0 in the catalog, and pinned is 2" in result["msg"]
    assert "puppet lookup --explain" in result["remedy"]
