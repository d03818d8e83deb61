# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.puppet_pin."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError, Locked, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Step
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.planned import require_planned_pin
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import (
    Scalar,
    checked_values,
    common_file,
    node_file,
    with_common,
    with_pins,
    without_pins,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.pin_files import FileChange
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.pins import (
    LONGEST,
    Edit,
    change,
    planned,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.place import Place
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import AtStop
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.record import LEASE_GRACE
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.puppet_options import (
    diff,
    facts_file,
    rollout_dir,
)

# A raise takes seconds: so long it waits for another one's. Its lock outlasts the slowest one.
_COMMON_WAIT = 60.0
_COMMON_RETRY = 0.5
_STEPS = {"pinned": "pin", "absent": "settle", "sealed": "seal", "raised": "raise"}
_SAID = {"pinned": "pinned", "absent": "no longer pinned", "sealed": "taken back", "raised": "the common value"}
_REMOVING = ("absent", "sealed")


class ActionModule(DomainAction):
    """Arguments → edits of the pins' files on every server or node, or on none → what changed."""

    EFFECT = True
    RECORDED = ("outcome", "msg", "values", "files", "kept")
    DEADLINE = _COMMON_WAIT + LONGEST

    def step(self, call: Call) -> str:
        return _STEPS[call.args["state"]]

    def require_planned(self, call: Call) -> None:
        args = call.args
        given = args["servers"] or [], args["nodes"] or [], args["values"], args["place"]
        require_planned_pin(call.ledger.plan, args["state"], *given)
        if args["state"] == "absent":
            _require_raised(call)

    def at_stop(self, call: Call) -> AtStop:
        """A wave's pin does not begin; settling, which takes seconds, leads to a safe point."""
        return AtStop.COMPLETE if _in_a_wave(call) else AtStop.FINISH

    def act(self, call: Call) -> dict[str, Any]:
        values = checked_values(call.args["values"])
        place = Place(call.args["place"])
        folders, edits = _on_nodes(call, values) if place is Place.FACT else _on_servers(call, values)
        holders = dict(call.nodes(edits))
        if call.check:
            return _result(call, values, planned(holders, edits, place), place)
        with _common_lock(call) if call.args["state"] == "raised" else nullcontext():
            return _result(call, values, change(holders, folders, edits, place), place)


def _require_raised(call: Call) -> None:
    """A pin that goes before the common value is raised lets the next periodic run bring the old release back."""
    record = call.ledger
    events = record.events_of(Step.RAISE)
    if not any(event.attempt == record.deployment.attempt and event.outcome.good for event in events):
        raise Refused(
            "the common value was not raised in this attempt: pins stay",
            where=call.deployment_id,
            remedy="Run the playbook from its beginning, without --tags and --start-at-task",
        )


def _in_a_wave(call: Call) -> bool:
    if call.args["state"] != "pinned" or call.check:
        return False
    kept = (call.ledger.plan.get("puppet") or {}).get("keep") or {}
    return not set(call.args["nodes"] or []) <= set(kept)


@contextmanager
def _common_lock(call: Call) -> Iterator[None]:
    """The common files are every service's: one deployment at a time changes them. Pins are under node locks."""
    record, began = call.ledger, time.monotonic()
    name = f"common:{record.environment}"
    while True:
        try:
            record.locks.acquire([name], record.holder(doing="raising common values"), LONGEST + LEASE_GRACE)
            break
        except Locked:
            if time.monotonic() - began >= _COMMON_WAIT:
                raise
            time.sleep(_COMMON_RETRY)
    try:
        yield
    except BaseException:
        # What went wrong is told, not that its lock is lost as well.
        with suppress(DomainError):
            record.unlock([name])
        raise
    record.unlock([name])


def _given(call: Call, option: str) -> list[str]:
    names = list(dict.fromkeys(call.args.get(option) or []))
    if not names:
        raise BadInput(f"{option} is empty", where=option, remedy=f"Name at least one host in {option}")
    return names


Edits = dict[str, dict[str, Edit]]


def _on_servers(call: Call, values: dict[str, Scalar]) -> tuple[dict[str, str], Edits]:
    """By compile server, its folder and the edits of its files."""
    folders = {server: rollout_dir(call, server) for server in _given(call, "servers")}
    if call.args["state"] == "raised":
        common = partial(with_common, values=values, deployment=call.deployment_id)
        return folders, {server: {common_file(folder): common} for server, folder in folders.items()}
    edit = _edit(call, values)
    certnames = [str(call.hostvar(node, "tidegate_certname", node)) for node in _given(call, "nodes")]
    return folders, {
        server: {node_file(folder, certname): edit for certname in certnames} for server, folder in folders.items()
    }


def _on_nodes(call: Call, values: dict[str, Scalar]) -> tuple[dict[str, str], Edits]:
    """By node, the folder of its external facts and the edit of its own file."""
    if call.args["state"] == "raised":
        raise BadInput("no fact holds for all nodes", where="place", remedy="Raise the common value with place: hiera")
    files = {node: facts_file(call, node) for node in _given(call, "nodes")}
    edit = _edit(call, values)
    # The lock file is beside the pins; only where there is a POSIX shell.
    return {node: path.rpartition("/")[0] for node, path in files.items()}, {
        node: {path: edit} for node, path in files.items()
    }


def _edit(call: Call, values: dict[str, Scalar]) -> Edit:
    is_open = partial(_is_open, call)
    if call.args["state"] == "pinned":
        return partial(with_pins, values=values, deployment=call.deployment_id, is_open=is_open)
    return partial(without_pins, keys=values, deployment=call.deployment_id, is_open=is_open)


def _is_open(call: Call, deployment: str) -> bool:
    """Whether the pin's owner may still need it. One that this ledger doesn't know may be another ledger's."""
    known = call.ledger.ledger.deployment(deployment)
    return known is None or not known.state.final


def _result(call: Call, values: dict[str, Scalar], changes: list[FileChange], place: Place) -> dict[str, Any]:
    state = call.args["state"]
    written = [each for each in changes if each.changed]
    told = ", ".join(key if state in _REMOVING else f"{key}: {value}" for key, value in values.items())
    holders = ", ".join(dict.fromkeys(each.server for each in changes))
    result: dict[str, Any] = {
        "changed": bool(written),
        "outcome": state,
        "msg": f"{told} {_SAID[state]} on {holders} ({len(written)} of {len(changes)} files changed)",
        "values": {key: str(value) for key, value in values.items()},
        "files": [f"{each.server}: {each.path}" for each in written],
        "kept": _kept(values, changes, place) if state in _REMOVING else [],
    }
    if call.diff:
        result["diff"] = [_diff(each) for each in written]
    return result


def _kept(values: dict[str, Scalar], changes: list[FileChange], place: Place) -> list[str]:
    """Pins of these keys that someone else set: they stay."""
    files = [place.read(f"{each.server}: {each.path}", each.after) for each in changes]
    return [f"{file.path}: {key}" for file in files for key in values if key in file.values]


def _diff(each: FileChange) -> dict[str, Any]:
    before, after = ((data or b"").decode(errors="replace") for data in (each.before, each.after))
    return diff(before, after, f"{each.server}: {each.path}")
