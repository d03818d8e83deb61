"""Drift on the lab: found, explained, repaired on request; and a node of somebody else's taken over."""

from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import State
from lab import control, haproxy
from tests.integration.command.commanded import Commands
from tests.integration.flow.lab_site import ENVIRONMENT, Site

pytestmark = pytest.mark.lab

NODE = "n3"


def lose_state(site: Site, name: str) -> None:
    """HAProxy dies there, and starts without what was saved."""
    control.kill_haproxy(site.layout, name)
    for backend in haproxy.backends(site.layout):
        (site.layout.host(name).haproxy_state_dir / backend).write_text("1\n")
    control.start_haproxy(site.layout, name)


def drifts(commands: Commands, code: int) -> list[tuple[str, str, list[str], bool]]:
    told = commands.call("pools", "tradeapi", "--check", "--json")
    assert told.rc == code, told.stdout + told.stderr
    return [(each["what"], each["node"], each["load_balancers"], each["repairable"]) for each in told.document["drift"]]


def test_what_came_back_is_told_and_leaves_again_and_what_is_somebody_elses_stays(
    site: Site, commands: Commands
) -> None:
    for name in ("lb1", "lb2"):
        site.set_server(name, f"tradeapi_online/{NODE}", "maint")
    [(what, node, where, repairable)] = drifts(commands, 6)
    assert (what in ("foreign", "new"), node, where, repairable) == (True, NODE, ["lb1", "lb2"], False)
    before = site.servers()
    alone = commands.call("pools", "tradeapi", "--repair", "--yes", "--json")
    assert (alone.rc, alone.document["outcome"]) == (0, "nothing_to_do"), alone.stderr
    assert [each["node"] for each in alone.document["plan"]["left_alone"]] == [NODE]
    assert site.servers() == before

    adopted = commands.call("pools", "tradeapi", "--adopt", NODE, "--yes", "--json")
    assert adopted.rc == 0, adopted.stderr

    lose_state(site, "lb2")
    assert drifts(commands, 6) == [("returned", NODE, ["lb2"], True)]
    repaired = commands.call("pools", "tradeapi", "--repair", "--yes", "--json")
    assert (repaired.rc, repaired.document["outcome"]) == (0, "done"), repaired.stderr
    assert repaired.document["deployment"] != adopted.document["deployment"]
    head, after = site.ledger.head(ENVIRONMENT), site.servers()
    assert after[f"lb2 tradeapi_online/{NODE}"] == "admin 1"
    again = commands.call("pools", "tradeapi", "--repair", "--yes", "--json")
    assert (again.rc, again.document["outcome"]) == (0, "nothing_to_do"), again.stderr
    assert (site.ledger.head(ENVIRONMENT), site.servers()) == (head, after)

    joined = commands.call("pools", "tradeapi", "--join", NODE, "--json")
    assert joined.rc == 0, joined.stderr
    assert drifts(commands, 0) == []
    moves = {each.id: each.state for each in site.ledger.deployments("tradeapi", ENVIRONMENT, 2)}
    assert moves == dict.fromkeys((repaired.document["deployment"], adopted.document["deployment"]), State.DONE)
