"""Opens the connection that node operations on the task's host share, as a deployment's first step there does."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.connections import connect


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no type information
    """No arguments."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:  # noqa: ARG002
        variables = task_vars or {}
        host = str(variables["inventory_hostname"])
        with ExitStack() as closing:
            done = connect(host, variables["hostvars"], self._play_context, False, closing).run(["true"])
        return {"changed": False, "failed": done.rc != 0}
