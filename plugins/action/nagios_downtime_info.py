# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.nagios_downtime_info."""

from __future__ import annotations

from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.left_open import downtime_table, left_open_count
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.needs import pipeline

with pipeline():
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.downtime_look import find_downtimes
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.watch import watch


class ActionModule(DomainAction):
    """Ask every Nagios that a descriptor names, tell whose each of our downtimes is, change nothing."""

    def act(self, call: Call) -> dict[str, Any]:
        watched = watch(call, str(call.args.get("service") or ""))
        found = find_downtimes(call, watched.scenes.values())
        return {
            "changed": False,
            "msg": left_open_count(found),
            "downtimes": [each.values() for each in found],
            "table": downtime_table(found),
            "problems": [f"{name}: {problem}" for name, problem in watched.problems.items()],
        }
