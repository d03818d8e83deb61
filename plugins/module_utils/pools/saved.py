# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The saved states of an HAProxy that is down: read as if it ran, and changed as the Runtime API's commands would.

A saved state is the answer to "show servers state" of one backend. What is written here is what HAProxy starts with
(tried on 2.6 and 2.8): a server in MAINT is out at once, one that is ready with op 0 waits for its checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy import state as state
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import (
    Admin,
    LoadBalancerState,
    ServerKey,
    ServerRow,
    carrying,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Pool
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Refuse

RUNNING, STOPPED = 2, 0
_OP, _ADMIN, _CHECKED = "srv_op_state", "srv_admin_state", "srv_check_state"
_FORCED = Admin.FORCED_MAINT | Admin.FORCED_DRAIN


def saved_state(host: str, saved: Mapping[str, str], proof: str) -> LoadBalancerState:
    """The load balancer as it would start: `saved` is the text of each backend's state file.

    `proof` says why it is known that no HAProxy runs there. Raises Refused for a file that HAProxy would ignore.
    """
    servers: dict[ServerKey, ServerRow] = {}
    for backend, text in saved.items():
        for record in _records(host, backend, text):
            row = _row(host, backend, record)
            servers[row.key] = row
    return LoadBalancerState(host, "", 0, 0, servers, dict.fromkeys(saved, 0), proof=proof)


def carried_out(host: str, saved: Mapping[str, str], commands: Iterable[str]) -> dict[str, str]:
    """The files that `commands` of the Runtime API change, with their new texts, in the order of the commands.

    Raises BadInput for a command or server that is none of a move's.
    """
    changed: dict[str, str] = {}
    for command in commands:
        backend, server, what = _read(host, command)
        text = changed.get(backend, saved.get(backend, ""))
        changed[backend] = _changed(host, text, server, what)
    return {backend: text for backend, text in changed.items() if text != saved[backend]}


def unsaved(states: Mapping[str, LoadBalancerState], pools: Sequence[Pool]) -> list[Refuse]:
    """Servers that their load balancer's saved state doesn't know: they would come back as its configuration has them.

    Of `states` only those of load balancers that are down are looked at.
    """
    return [
        Refuse.of(RefusalKind.NOT_IN_SAVED, backend=backend, host=name, node=node)
        for name, each in states.items()
        if each.down
        for pool in pools
        for backend in pool.backends
        for node in pool.nodes
        if (backend, node) not in each.servers
    ]


def marked_up(states: Mapping[str, LoadBalancerState], pools: Sequence[Pool]) -> tuple[str, ...]:
    """The commands that save what all running load balancers show as UP: it is then used as soon as HAProxy starts.

    Without them a whole pool would wait for its first checks.
    """
    running = carrying(states).values()
    return tuple(
        f"set server {backend}/{node} health up"
        for pool in pools
        for backend in pool.backends
        for node in pool.nodes
        if running and all(_is_up(each, (backend, node)) for each in running)
    )


def _is_up(running: LoadBalancerState, key: ServerKey) -> bool:
    # A reload may have taken it away a moment ago.
    return key in running.servers and running.servers[key].status == "UP"


def _read(host: str, command: str) -> tuple[str, str, tuple[str, ...]]:
    match command.split():
        case ["set", "server", name, *what] if name.count("/") == 1:
            backend, server = name.split("/")
            return backend, server, tuple(what)
    raise BadInput(f"{command[:120]!r} can't be saved", where=f"load balancer {host}", remedy="Report this")


def _after(host: str, what: tuple[str, ...], op: int, admin: int, *, checked: bool) -> tuple[int, int]:
    """Operational and administrative state after a command, as HAProxy 2.6 and 2.8 show them.

    A server out of MAINT waits for its checks; one without any would wait for ever.
    """
    free = admin & ~int(_FORCED)
    out_of_maint = op if checked else RUNNING
    match what:
        case ("state", "maint"):
            return STOPPED, free | int(Admin.FORCED_MAINT)
        case ("state", "drain"):
            return out_of_maint, free | int(Admin.FORCED_DRAIN)
        case ("state", "ready"):
            return out_of_maint, free
        case ("health", "down"):
            return STOPPED, admin
        case ("health", "up"):
            return RUNNING, admin
    raise BadInput(f"{' '.join(what)!r} can't be saved", where=f"load balancer {host}", remedy="Report this")


def _changed(host: str, text: str, server: str, what: tuple[str, ...]) -> str:
    lines = text.split("\n")
    names = lines[1][2:].split(" ") if len(lines) > 1 else []
    for number, line in enumerate(lines[2:], 2):
        fields = line.split(" ")
        if len(fields) == len(names) and fields[names.index("srv_name")] == server:
            op, admin = names.index(_OP), names.index(_ADMIN)
            checked = bool(int(fields[names.index(_CHECKED)]) & state.CONFIGURED)
            after = _after(host, what, int(fields[op]), int(fields[admin]), checked=checked)
            fields[op], fields[admin] = map(str, after)
            lines[number] = " ".join(fields)
            return "\n".join(lines)
    raise BadInput(
        f"the saved state has no {server[:120]}", where=f"load balancer {host}", remedy="Start HAProxy there"
    )


def _records(host: str, backend: str, text: str) -> Iterator[state.Record]:
    # HAProxy's answers end in an empty line, and so do the files: one that was cut off has none.
    if not text.endswith("\n\n"):
        raise _ignored(host, backend, "it is empty or cut off")
    try:
        records = state.parse_servers_state(host, text.rstrip("\n"))
    except BadInput as error:
        raise _ignored(host, backend, error.message.partition(": ")[2]) from None
    for record in records:
        if record["be_name"] != backend:
            raise _ignored(host, backend, f"it is {record['be_name'][:120]}'s")
        yield record


def _ignored(host: str, backend: str, why: str) -> Refused:
    message, remedy = RefusalKind.IGNORED.told(backend=backend, why=why)
    return Refused(message, where=f"load balancer {host}", remedy=remedy)


def _row(host: str, backend: str, record: state.Record) -> ServerRow:
    try:
        op, admin = int(record[_OP]), Admin(int(record[_ADMIN]) & 0x3F)
        weight, checks = int(record["srv_uweight"]), int(record[_CHECKED]) & state.CHECKS
    except ValueError:
        raise _ignored(host, backend, f"{record['srv_name'][:120]} has no state that is a number") from None
    return ServerRow(
        backend=backend,
        name=record["srv_name"],
        status=_status(op, admin, checked=bool(checks)),
        op=op,
        admin=admin,
        weight=weight,
        backup=False,
        sessions=0,
        queued=0,
        begun=0,
        checked=checks == state.CHECKS,
        agent=False,
        tracks="",
        address=record.get("srv_addr", ""),
        check_off=checks == state.CONFIGURED,
    )


def _status(op: int, admin: Admin, *, checked: bool) -> str:
    if admin.effective & Admin.FORCED_MAINT:
        return "MAINT"
    if op != RUNNING:
        return "DOWN"
    if admin.effective:
        return "DRAIN"
    return "UP" if checked else "no check"
