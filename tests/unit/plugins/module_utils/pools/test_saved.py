"""Saved states as HAProxy 2.6.12 writes them, changed as its Runtime API's commands would."""

from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, as_saved, look
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.saved import (
    carried_out,
    marked_up,
    saved_state,
    unsaved,
)
from tests.unit.plugins.module_utils import haproxy_rows as shown
from tests.unit.plugins.module_utils.haproxy_rows import MAINTENANCE, ONLINE, pool, state

HEADER = (
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
    "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr "
    "srv_agent_addr srv_agent_port"
)


def saved(backend: str = ONLINE, checks: int = 6, **servers: tuple[int, int]) -> str:
    rows = [
        f"3 {backend} {number} {name} 192.0.2.{number} {op} {admin} 7 1 95 15 3 4 {checks} 0 0 0 - 8080 - 0 0 - - 0"
        for number, (name, (op, admin)) in enumerate(servers.items(), 1)
    ]
    return "\n".join(["1", HEADER, *rows, "", ""])


@pytest.mark.parametrize(
    ("op", "admin", "what", "after"),
    [
        (2, 0, "state drain", (2, 8)),
        (0, 0, "state drain", (0, 8)),
        (0, 1, "state drain", (0, 8)),
        (2, 0, "state maint", (0, 1)),
        (2, 8, "state maint", (0, 1)),
        (2, 4, "state maint", (0, 5)),
        (0, 5, "state ready", (0, 4)),
        (2, 8, "state ready", (2, 0)),
        (0, 1, "state ready", (0, 0)),
        (2, 8, "health down", (0, 8)),
        (0, 0, "health up", (2, 0)),
        # The answers to what no move of ours makes stay.
        (2, 32, "state maint", (0, 33)),
    ],
)
def test_commands_change_what_haproxy_would_show(op: int, admin: int, what: str, after: tuple[int, int]) -> None:
    before = {ONLINE: saved(n1=(2, 0), n2=(op, admin))}
    changed = carried_out("lb1", before, [f"set server {ONLINE}/n2 {what}"])
    assert changed == {ONLINE: saved(n1=(2, 0), n2=after)}


@pytest.mark.parametrize(
    ("op", "admin", "commands", "after"),
    [
        (0, 5, ["state ready"], (2, 4)),
        (0, 1, ["health up", "state ready"], (2, 0)),
        (2, 0, ["state drain", "state maint"], (0, 1)),
        (2, 8, ["state ready"], (2, 0)),
    ],
)
def test_a_server_without_checks_waits_for_none(
    op: int, admin: int, commands: list[str], after: tuple[int, int]
) -> None:
    before = {ONLINE: saved(checks=0, n1=(op, admin))}
    changed = carried_out("lb1", before, [f"set server {ONLINE}/n1 {what}" for what in commands])
    assert changed == {ONLINE: saved(checks=0, n1=after)}
    row = saved_state("lb1", {ONLINE: saved(checks=0, n1=(2, 0))}, "down").servers[ONLINE, "n1"]
    assert (row.status, row.checked, row.check_off) == ("no check", False, False)


def test_a_reentry_waits_for_checks_and_is_written_in_the_order_of_the_commands() -> None:
    before = {ONLINE: saved(n1=(0, 1)), MAINTENANCE: saved(MAINTENANCE, n1=(2, 4))}
    commands = [f"set server {MAINTENANCE}/n1 state maint"]
    commands += [f"set server {ONLINE}/n1 {what}" for what in ("state drain", "health down", "state ready")]
    changed = carried_out("lb1", before, commands)
    assert list(changed) == [MAINTENANCE, ONLINE]
    assert changed == {ONLINE: saved(n1=(0, 0)), MAINTENANCE: saved(MAINTENANCE, n1=(0, 5))}


def test_what_changes_nothing_writes_nothing() -> None:
    assert carried_out("lb1", {ONLINE: saved(n1=(0, 1))}, [f"set server {ONLINE}/n1 state maint"]) == {}


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("shutdown sessions server b/n1", "'shutdown sessions server b/n1' can't be saved"),
        (f"set server {ONLINE}/n1 weight 0", "'weight 0' can't be saved"),
        (f"set server {ONLINE}/n9 state maint", "the saved state has no n9"),
        ("set server other/n1 state maint", "the saved state has no n1"),
    ],
)
def test_any_other_command_is_refused(command: str, text: str) -> None:
    with pytest.raises(BadInput, match=text):
        carried_out("lb1", {ONLINE: saved(n1=(2, 0))}, [command])


@pytest.mark.parametrize(
    ("online", "maintenance", "cell"),
    [
        ((2, 0), (0, 5), Cell.ON),
        # No check runs: what is ready is as far as it gets.
        ((0, 0), (0, 5), Cell.ON),
        ((2, 8), (0, 5), Cell.DRAIN),
        ((0, 1), (0, 5), Cell.OUT),
        ((0, 1), (0, 4), Cell.TEST),
        ((2, 0), (2, 4), Cell.BOTH),
        ((0, 32), (0, 5), Cell.ODD),
    ],
)
def test_cells_are_those_that_haproxy_would_start_with(
    online: tuple[int, int], maintenance: tuple[int, int], cell: Cell
) -> None:
    texts = {ONLINE: saved(n1=online), MAINTENANCE: saved(MAINTENANCE, n1=maintenance)}
    seen = as_saved(look(saved_state("lb2", texts, "no HAProxy process"), pool(), "n1"))
    assert seen.cell is cell
    assert seen.testable and not seen.busy


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty or cut off"),
        ("1\n", "it is empty or cut off"),
        (saved(n1=(2, 0))[:-1], "it is empty or cut off"),
        (saved(n1=(2, 0))[:-12] + "\n\n", "a row of 'show servers state' has 20 fields instead of 25"),
        (saved("other", n1=(2, 0)), "it is other's"),
        (saved(n1=(2, 0)).replace(" 2 0 7 ", " x 0 7 "), "n1 has no state that is a number"),
        ("2\n" + saved(n1=(2, 0))[2:], "'show servers state' began with '2"),
    ],
)
def test_what_haproxy_would_ignore_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Refused, match="HAProxy would ignore the saved state of shop_online") as error:
        saved_state("lb2", {ONLINE: text}, "down")
    assert reason in error.value.message
    assert error.value.where == "load balancer lb2"


def test_a_server_that_is_not_saved_is_named() -> None:
    down = saved_state("lb2", {ONLINE: saved(n1=(2, 0)), MAINTENANCE: saved(MAINTENANCE, n2=(0, 5))}, "down")
    running = state("lb1", {})
    assert [each.reason.partition(":")[0] for each in unsaved({"lb1": running, "lb2": down}, [pool("n1", "n2")])] == [
        "the saved state of shop_online on lb2 has no n2",
        "the saved state of shop_maintenance on lb2 has no n1",
    ]


def test_only_what_is_up_on_all_running_ones_is_marked_so() -> None:
    down = saved_state("lb3", {ONLINE: saved(n1=(0, 0))}, "down")
    one = state("lb1", {"n1": shown.ON, "n2": shown.ON, "n3": shown.TEST})
    two = state("lb2", {"n1": shown.ON, "n2": shown.RISING, "n3": shown.TEST})
    states = {"lb1": one, "lb2": two, "lb3": down}
    assert marked_up(states, [pool("n1", "n2", "n3")]) == (
        f"set server {ONLINE}/n1 health up",
        f"set server {MAINTENANCE}/n3 health up",
    )
    assert marked_up({"lb3": down}, [pool("n1")]) == ()
