# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the `tidegate` command hears of a playbook: one line of JSON for each thing that happens."""

from __future__ import annotations

DOCUMENTATION = r"""
name: command
type: stdout
short_description: Tells the C(tidegate) command what a playbook does
version_added: 0.1.0
description:
  - Writes one line of JSON for each step that begins or ends, with the results of Tidegate's own actions.
    Results of other modules stay inside, their failures are told with their message alone.
  - The C(tidegate) command sets it for the playbooks that it runs. It is of no use to people.
author:
  - The Tidegate contributors (@tidegate)
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

from ansible.plugins.callback import CallbackBase

from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping.signals import main_signals

_COLLECTION = "tidegate.delivery."
# The options of our actions that tell which step a task is.
_TELLING = ("state", "step", "wave")


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core ships no type information
    """Ansible's callback, reduced to what the command shows or decides by."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "tidegate.delivery.command"

    def __init__(self) -> None:
        super().__init__()
        # As the callback tidegate.delivery.stop does, which the user's ansible.cfg needs not name here.
        self._signals = main_signals()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ANN401, ARG002
        self._signals.next_task(str(task.resolved_action or task.action))

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ANN401, ARG002
        self._signals.put_back()

    def v2_runner_on_start(self, host: Any, task: Any) -> None:  # noqa: ANN401
        if _ours(task):
            _say("start", **_about(host, task))

    def v2_runner_on_ok(self, result: Any) -> None:  # noqa: ANN401
        self._ended(result, ok=True)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: ANN401, ARG002
        self._ended(result, ok=False)

    def v2_runner_on_unreachable(self, result: Any) -> None:  # noqa: ANN401
        self._ended(result, ok=False)

    def _ended(self, result: Any, *, ok: bool) -> None:  # noqa: ANN401
        told = result.result
        if _ours(result.task):
            _say("end", **_about(result.host, result.task), ok=ok, result=_plain(_one(told)))
        elif not ok:
            _say("failed", host=result.host.get_name(), task=result.task.get_name(), msg=str(told.get("msg", "")))


def _ours(task: Any) -> bool:  # noqa: ANN401
    return str(task.resolved_action or task.action).startswith(_COLLECTION)


def _about(host: Any, task: Any) -> dict[str, Any]:  # noqa: ANN401
    action = str(task.resolved_action or task.action).removeprefix(_COLLECTION)
    # Not templated yet: only what the playbook spells out is told.
    options = {name: str(value) for name, value in task.args.items() if name in _TELLING and "{{" not in str(value)}
    return {"action": action, "host": host.get_name(), "once": bool(task.run_once), "options": options}


def _one(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """A loop's results as one: that of the first item that failed, else of the last, with every item's message."""
    items = result.get("results")
    if not isinstance(items, list) or not items:
        return result
    telling = next((item for item in items if item.get("failed")), items[-1])
    messages = [str(item["msg"]) for item in items if item.get("msg")]
    return {**telling, "msg": "; ".join(dict.fromkeys(messages))}


def _plain(result: Mapping[str, Any]) -> dict[str, Any]:
    hidden = ("invocation", "diff", "exception", "warnings", "deprecations")
    return {key: value for key, value in result.items() if key not in hidden and not key.startswith("_ansible")}


def _say(kind: str, **said: Any) -> None:  # noqa: ANN401
    # Straight to the pipe: Display would copy results into Ansible's own log as well.
    sys.stdout.write(json.dumps({"say": kind, **said}, default=str) + "\n")
    sys.stdout.flush()
