"""What deployments have open in a real Nagios, judged by what the ledger knows of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.left import Whose
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.downtime import Owner
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.left_open import Judged
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.parallel import in_parallel
from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.downtime_look import find_downtimes
from tests.integration.nagios.nagios_site import NagiosSite
from tests.unit.plugins.action.puppet_call import PuppetCall

if TYPE_CHECKING:
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call


class Asking(PuppetCall):
    """A call over an inventory with one monitoring host."""

    def __init__(self, site: NagiosSite) -> None:
        at = {"mon": {"tidegate_nagios_config": str(site.configuration)}, "web1": {"tidegate_nagios_host": "n1"}}
        super().__init__("nagios_downtime_info", "localhost", {"mon": PosixNode("mon", LocalShell())}, at)
        self.vars = {"groups": {"all": ["mon"]}}
        self.in_parallel = in_parallel


def scene(call: Asking, *, server: str = "mon", absent: tuple[str, ...] = (), **states: State) -> Any:
    """The service tradeapi, whose deployments are in these states, on web1 and n2."""
    known = {
        id: Deployment(id=id, kind=Kind.DEPLOY, service="tradeapi", environment="lab", state=state)
        for id, state in states.items()
    }
    return SimpleNamespace(
        call=call,
        nodes=["web1", "n2"],
        service=SimpleNamespace(name="tradeapi", nagios=SimpleNamespace(server=server)),
        history=SimpleNamespace(absent=dict.fromkeys(absent)),
        record=SimpleNamespace(ledger=SimpleNamespace(deployment=known.get)),
    )


def asked(call: Asking, *scenes: Any) -> list[Judged]:
    return find_downtimes(cast("Call", call), scenes)


def silence(site: NagiosSite, host: str, comment: str) -> None:
    site.tell(f"SCHEDULE_HOST_DOWNTIME;{host};1;9999999999;1;0;0;ann;{comment}")


@pytest.fixture
def call(site: NagiosSite) -> Asking:
    return Asking(site)


def test_whose_each_is(call: Asking, site: NagiosSite) -> None:
    for host, deployment in (("n1", "dead"), ("n2", "dead"), ("n1", "live"), ("n1", "elsewhere")):
        silence(site, host, Owner(deployment, "tradeapi").comment)
    silence(site, "n1", Owner("d9", "pricefeed").comment)
    silence(site, "n1", "Ann swaps a disk")
    found = asked(call, scene(call, absent=("n2",), dead=State.DONE, live=State.HELD))
    assert {(each.node, each.downtime.deployment, each.whose) for each in found if each.downtime} == {
        ("web1", "dead", Whose.LEFT),
        ("n2", "dead", Whose.OUT),
        ("web1", "live", Whose.OPEN),
        ("web1", "elsewhere", Whose.UNKNOWN),
    }


def test_one_that_can_not_be_asked_is_told_and_hides_no_other(call: Asking, site: NagiosSite) -> None:
    silence(site, "n1", Owner("dead", "tradeapi").comment)
    there, nowhere = scene(call, dead=State.DONE), scene(call, server="nowhere")
    unwatched = SimpleNamespace(service=SimpleNamespace(nagios=None))
    found = asked(call, nowhere, unwatched, there)
    assert [(each.server, each.whose) for each in found] == [("nowhere", Whose.SILENT), ("mon", Whose.LEFT)]
    site.end()
    found = asked(call, there)
    assert [(each.whose, each.node) for each in found] == [(Whose.SILENT, "")]
    assert "Nagios does not run" in found[0].why
