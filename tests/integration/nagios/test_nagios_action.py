"""The action: what the plan says is done on a real Nagios, and what happens when that can't be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.action.nagios_downtime import ActionModule
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.by_hand import THAW
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.downtime import Covered, Owner, to_open
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.server import State, ask, find_nagios
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from tests.integration.nagios.nagios_site import NagiosSite
from tests.unit.plugins.action.puppet_call import PuppetCall, act, deployment

OURS = "tidegate: deployment d1 (tradeapi)"


class NagiosCall(PuppetCall):
    """A call whose ledger has a plan with downtimes, and the moves that were made."""

    def __init__(self, configuration: Path) -> None:
        server = {"tidegate_nagios_config": str(configuration)}
        super().__init__("nagios_downtime", "n1", {"mon": PosixNode("mon", LocalShell())}, {"mon": server})
        self.args |= {"state": "open", "nodes": ["web1", "web2"]}
        self.nagios: dict[str, Any] | None = {
            "server": "mon",
            "length": "1h",
            "at_failure": "refuse",
            "nodes": {"web1": {"host": "n1", "services": None}, "web2": {"host": "n2", "services": []}},
        }
        self.kind = Kind.DEPLOY
        self.left: list[str] = []
        self.thaws = False
        self.recorded: list[tuple[Any, ...]] = []

    @property
    def ledger(self) -> SimpleNamespace:
        moves = [_leave(self.left)] if self.left else []
        return SimpleNamespace(
            plan={"nagios": self.nagios} | ({"intent": THAW} if self.thaws else {}),
            deployment=replace(deployment("d1"), kind=self.kind),
            moves_of=lambda _services, _nodes: ({}, moves),
        )

    def record(self, *event: Any) -> None:
        self.recorded.append(event)


def _leave(nodes: list[str]) -> Event:
    return Event(
        service="tradeapi",
        environment="lab",
        deployment="d1",
        attempt=1,
        step=Step.LEAVE,
        outcome=Outcome.CHANGED,
        nodes=tuple(nodes),
    )


@pytest.fixture
def call(site: NagiosSite) -> NagiosCall:
    return NagiosCall(site.configuration)


def test_opened_by_the_nodes_names_in_nagios_and_closed(call: NagiosCall, site: NagiosSite) -> None:
    result = act(ActionModule, call)
    assert (result["changed"], result["outcome"]) == (True, "open")
    assert result["msg"] == f"Nagios on mon: web1, web2 in downtime until {result['until']}"
    assert [diff["after"].splitlines()[0] for diff in result["diff"]] == [f"host until {result['until']}, d1"] * 2
    assert not act(ActionModule, call)["changed"]
    call.args["state"] = "closed"
    result = act(ActionModule, call)
    assert (result["changed"], result["outcome"], result["until"]) == (True, "closed", "")
    assert result["msg"] == "Nagios on mon: the downtime of web1, web2 is closed"
    assert result["nodes"]["web1"] == {"outcome": "closed", "until": "", "changed": True}
    assert site.downtimes() == []
    result = act(ActionModule, call)
    assert (result["changed"], result["msg"]) == (False, "Nagios on mon: the downtime of web1, web2 had ended before")


def test_check_mode_changes_nothing(call: NagiosCall, site: NagiosSite) -> None:
    call.check = True
    result = act(ActionModule, call)
    assert (result["changed"], result["outcome"], len(result["diff"])) == (True, "open", 2)
    assert site.downtimes() == []
    call.check = False
    act(ActionModule, call)
    call.check, call.args["state"] = True, "closed"
    assert act(ActionModule, call)["changed"]
    assert len(site.downtimes()) == 4


def test_at_a_hold_only_what_is_out_stays_in_downtime(call: NagiosCall, site: NagiosSite) -> None:
    act(ActionModule, call)
    call.args["state"], call.left = "held", ["web2"]
    result = act(ActionModule, call)
    assert result["nodes"]["web1"]["outcome"] == "closed"
    assert result["nodes"]["web2"]["outcome"] == "open"
    assert result["msg"].endswith("; the downtime of web1 is closed")
    assert site.downtimes() == [("n2", "", OURS)]


def test_a_thaw_ends_the_downtimes_of_just_the_deployments_that_its_plan_names(
    call: NagiosCall, site: NagiosSite
) -> None:
    for deployment_id in ("d0", "d1"):
        commands = to_open(_state(site), Covered("n1"), Owner(deployment_id, "tradeapi"), 3600, "ann")
        site.tell(*(command.partition("] ")[2] for command in commands))
    call.thaws, call.args["nodes"] = True, ["web1"]
    call.nagios = {"server": "mon", "nodes": {"web1": {"host": "n1", "left": ["d0"]}}}
    with pytest.raises(Refused, match="state is open, and the plan is for thaw"):
        act(ActionModule, call)
    call.args["state"], call.check = "closed", True
    assert act(ActionModule, call)["changed"]
    call.check = False
    result = act(ActionModule, call)
    assert (result["changed"], {comment for _host, _service, comment in site.downtimes()}) == (True, {OURS})
    assert result["diff"][0]["before"].count(", d0") == 3
    assert not act(ActionModule, call)["changed"]
    call.nagios["nodes"]["web1"]["left"] = ["d1"]
    assert act(ActionModule, call)["msg"] == "Nagios on mon: the downtime of web1 is closed"
    assert site.downtimes() == []
    site.end()
    with pytest.raises(BadInput, match="does not run"):
        act(ActionModule, call)


def _state(site: NagiosSite) -> State:
    node = PosixNode("mon", LocalShell())
    return ask(node, find_nagios(node, str(site.configuration)), ["n1"])


def test_no_nagios_in_the_plan(call: NagiosCall, site: NagiosSite) -> None:
    call.nagios = None
    assert act(ActionModule, call)["outcome"] == "nothing_planned"
    assert not site.retained.exists()


def test_a_node_that_the_plan_does_not_move(call: NagiosCall) -> None:
    call.args["nodes"] = ["web1", "web9"]
    with pytest.raises(Refused, match="no downtime of web9"):
        act(ActionModule, call)


def test_without_nagios_nothing_leaves(call: NagiosCall, site: NagiosSite) -> None:
    site.end()
    with pytest.raises(BadInput, match="does not run"):
        act(ActionModule, call)
    assert not call.recorded


@pytest.mark.parametrize("why", ["tell", "rollback", "out", "closed", "held"])
def test_without_nagios_all_else_goes_on_and_it_is_told(call: NagiosCall, site: NagiosSite, why: str) -> None:
    site.end()
    assert call.nagios is not None
    match why:
        case "tell":
            call.nagios["at_failure"] = "tell"
        case "rollback":
            call.kind = Kind.ROLLBACK
        case "out":
            call.left = ["web1", "web2"]
        case _:
            call.args["state"] = why
    result = act(ActionModule, call)
    assert (result["outcome"], result["changed"], result["recorded"]) == ("unknown", False, True)
    assert result["warnings"] == [result["msg"]]
    assert "does not run" in result["msg"]
    step = Step.DOWNTIME_END if why == "closed" else Step.DOWNTIME
    assert [event[:2] for event in call.recorded] == [(step, Outcome.INCONCLUSIVE)]
