# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.puppet_freeze_info."""

from __future__ import annotations

from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.left_frozen import frozen_table, left_count
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.left_open import open_count, open_table
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.needs import pipeline

with pipeline():
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.freeze_look import find_frozen
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.open_look import find_open
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.watch import watch


class ActionModule(DomainAction):
    """Ask every node and compile server, tell whose each freeze and each open service is, change nothing."""

    def act(self, call: Call) -> dict[str, Any]:
        watched = watch(call, str(call.args.get("service") or ""))
        found = find_frozen(call, watched.scenes.values())
        opened = find_open(call, watched.scenes.values())
        problems = [f"{name}: {problem}" for name, problem in watched.problems.items()]
        return {
            "changed": False,
            "msg": "; ".join(filter(None, [left_count(found), open_count(opened)])),
            "frozen": [each.values() for each in found],
            "open": [each.values() for each in opened],
            "problems": problems,
            "table": [*frozen_table(found), *open_table(opened), *problems],
        }
