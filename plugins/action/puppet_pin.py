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
from ansible_collections.tidegate.delivery.plugins.module_utils.events import Step
from ansible_collections.tidegate.delivery.plugins.module_utils.hiera import (
    Scalar,
    checked_values,
    common_file,
    node_file,
    read_hiera,
    with_common,
    with_pins,
    without_pins,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.planned import require_planned_pin
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet_pins import (
    LONGEST,
    Edit,
    FileChange,
    change,
    planned,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import AtStop
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.puppet_options import diff
from ansible_collections.tidegate.delivery.plugins.plugin_utils.record import LEASE_GRACE

# A raise takes seconds: so long it waits for another one's. Its lock outlasts the slowest one.
_COMMON_WAIT = 60.0
_COMMON_RETRY = 0.5
_STEPS = {"pinned": "pin", "absent": "settle", "sealed": "seal", "raised": "raise"}
_SAID = {"pinned": "pinned", "absent": "no longer pinned", "sealed": "taken back", "raised": "the common value"}
_REMOVING = ("absent", "sealed")


class ActionModule(DomainAction):
    """Arguments → edits of Hiera files on every server or none → what changed."""

    EFFECT = True
    RECORDED = ("outcome", "msg", "values", "files", "kept")
    DEADLINE = _COMMON_WAIT + LONGEST

    def step(self, call: Call) -> str:
        return _STEPS[call.args["state"]]

    def require_planned(self, call: Call) -> None:
        args = call.args
        require_planned_pin(call.ledger.plan, args["state"], args["servers"], args["nodes"] or [], args["values"])
        if args["state"] == "absent":
            _require_raised(call)

    def at_stop(self, call: Call) -> AtStop:
        """A wave's pin does not begin; settling, which takes seconds, leads to a safe point."""
        return AtStop.COMPLETE if _in_a_wave(call) else AtStop.FINISH

    def act(self, call: Call) -> dict[str, Any]:
        values = checked_values(call.args["values"])
        folders = {server: _folder(call, server) for server in _given(call, "servers")}
        edits = {server: _edits(call, folder, values) for server, folder in folders.items()}
        servers = dict(call.nodes(folders))
        if call.check:
            return _result(call, values, planned(servers, edits))
        with _common_lock(call) if call.args["state"] == "raised" else nullcontext():
            return _result(call, values, change(servers, folders, edits))


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


def _folder(call: Call, server: str) -> str:
    folder = str(call.hostvar(server, "tidegate_rollout_dir"))
    if not folder.startswith("/") or ".." in folder.split("/"):
        raise BadInput(
            f"{folder!r} is no absolute path", where=f"{server}: tidegate_rollout_dir", remedy="Give an absolute path"
        )
    return folder


def _edits(call: Call, folder: str, values: dict[str, Scalar]) -> dict[str, Edit]:
    if call.args["state"] == "raised":
        return {common_file(folder): partial(with_common, values=values, deployment=call.deployment_id)}
    edit: Edit = partial(without_pins, keys=values, deployment=call.deployment_id, is_open=partial(_is_open, call))
    if call.args["state"] == "pinned":
        edit = partial(with_pins, values=values, deployment=call.deployment_id, is_open=partial(_is_open, call))
    certnames = [str(call.hostvar(node, "tidegate_certname", node)) for node in _given(call, "nodes")]
    return {node_file(folder, certname): edit for certname in certnames}


def _is_open(call: Call, deployment: str) -> bool:
    """Whether the pin's owner may still need it. One that this ledger doesn't know may be another ledger's."""
    known = call.ledger.ledger.deployment(deployment)
    return known is None or not known.state.final


def _result(call: Call, values: dict[str, Scalar], changes: list[FileChange]) -> dict[str, Any]:
    state = call.args["state"]
    written = [each for each in changes if each.changed]
    told = ", ".join(key if state in _REMOVING else f"{key}: {value}" for key, value in values.items())
    servers = ", ".join(call.args["servers"])
    result: dict[str, Any] = {
        "changed": bool(written),
        "outcome": state,
        "msg": f"{told} {_SAID[state]} on {servers} ({len(written)} of {len(changes)} files changed)",
        "values": {key: str(value) for key, value in values.items()},
        "files": [f"{each.server}: {each.path}" for each in written],
        "kept": _kept(values, changes) if state in _REMOVING else [],
    }
    if call.diff:
        result["diff"] = [_diff(each) for each in written]
    return result


def _kept(values: dict[str, Scalar], changes: list[FileChange]) -> list[str]:
    """Pins of these keys that someone else set: they stay."""
    files = [read_hiera(f"{each.server}: {each.path}", each.after) for each in changes]
    return [f"{file.path}: {key}" for file in files for key in values if key in file.values]


def _diff(each: FileChange) -> dict[str, Any]:
    before, after = ((data or b"").decode(errors="replace") for data in (each.before, each.after))
    return diff(before, after, f"{each.server}: {each.path}")
