# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.haproxy_config."""

from __future__ import annotations

from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.files import (
    Configuration,
    Files,
    require_plain,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.load_balancers import accesses

_READABLE, _EXECUTABLE = 0o644, 0o755


class ActionModule(DomainAction):
    """A text → HAProxy's configuration on the task's host."""

    def act(self, call: Call) -> dict[str, Any]:
        node, access, files = call.node(), accesses(call, [call.host])[call.host], _files(call)
        require_plain(files, call.host, str(call.args["drop_in"] or ""))
        configuration = Configuration(node, access, files)
        text, servers = str(call.args["text"]).rstrip() + "\n", list(call.args["servers"])
        # The hook comes first: a reload by somebody else must save the states of what is written next.
        wanted = _hooks(call, files, files.save_script(access))
        different = {path: each for path, each in wanted.items() if _text(node, path) != each}
        before = _text(node, files.written)
        stale = before != text or configuration.is_pending() or not configuration.has_states(servers)
        result: dict[str, Any] = {"changed": stale or bool(different), "msg": "as it shall be"}
        if call.diff:
            result["diff"] = [_diff(files.written, before, text)] if before != text else []
            result["diff"] += [_diff(path, _text(node, path), each) for path, each in different.items()]
        if stale:
            configuration.check(text)
        if call.check:
            return {**result, "msg": "would be put in place and loaded" if stale else result["msg"]}
        for path, each in different.items():
            node.write(path, each.encode(), mode=_EXECUTABLE if path == files.hook else _READABLE)
        done = [f"{path} is written" for path in different]
        if call.args["drop_in"] in different:
            done.append("run `systemctl daemon-reload`")
        done += [configuration.put(text, servers)] if stale else []
        return {**result, "msg": "; ".join(done) or result["msg"]}


def _files(call: Call) -> Files:
    args = call.args
    return Files(
        folder=str(args["folder"]).rstrip("/"),
        base=tuple(args["base"]),
        program=str(args["program"]),
        reload=tuple(args["reload"]),
        timeout=float(args["timeout"]),
    )


def _hooks(call: Call, files: Files, script: str) -> dict[str, str]:
    """By path, what is written beside the configuration: the script that saves states, and its unit's drop-in."""
    drop_in = str(call.args["drop_in"] or "")
    return {files.hook: script, drop_in: files.drop_in()} if drop_in else {}


def _text(node: Node, path: str) -> str:
    return (node.read(path) or b"").decode(errors="backslashreplace")


def _diff(path: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": path, "after_header": path, "before": before, "after": after}
