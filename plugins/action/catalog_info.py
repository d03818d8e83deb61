# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.catalog_info."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.columns import columns
from ansible_collections.tidegate.delivery.plugins.module_utils.values import counted
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.needs import pipeline

with pipeline():
    from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import survey_catalog
    from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog_placement import (
        Placed,
        place_catalog,
        placement_problems,
    )
    from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.descriptor import Problem
    from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.model import front_end_problems
    from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.quarantine import ending
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.looking.inventory_check import (
        controller_problems,
        inventory_problems,
    )


class ActionModule(DomainAction):
    """Read every descriptor and the inventory, connect to nothing, tell all that is wrong."""

    def act(self, call: Call) -> dict[str, Any]:
        folder = str(call.args.get("folder") or call.hostvar(call.host, "tidegate_services"))
        survey = survey_catalog(folder, str(call.hostvar(call.host, "tidegate_environment", "")))
        placed = place_catalog(survey, call.vars["groups"])
        found = [*survey.problems, *placement_problems(placed), *front_end_problems(placed), *controller_problems(call)]
        problems = sorted([*found, *inventory_problems(call, placed)], key=lambda problem: problem.file)
        msg = _message(len(survey.files), problems)
        today = datetime.now(UTC).date()
        notices = [line for service in survey.services.values() for line in ending(service, today)]
        return {
            "changed": False,
            "msg": msg,
            "services": [_service(placed, name) for name in survey.files],
            "problems": [asdict(problem) for problem in problems],
            "notices": notices,
            "table": [*_table(problems), *notices, msg],
        }


def _message(files: int, problems: Sequence[Problem]) -> str:
    services = counted(files, "service")
    if not problems:
        return f"{services}: every descriptor is sound, and fits the inventory"
    places = len({problem.file for problem in problems})
    return f"{services}: {counted(len(problems), 'problem')} in {counted(places, 'place')}"


def _service(placed: Placed, name: str) -> dict[str, Any]:
    service = placed.survey.services.get(name)
    homes = [home for home in placed.homes if home.service.name == name]
    return {
        "name": name,
        "file": str(placed.survey.files[name]),
        "sound": service is not None,
        "sites": [
            {"name": home.site.name, "nodes": list(home.nodes), "load_balancers": list(home.load_balancers)}
            for home in homes
        ],
        "moves_with": list(service.moves_with) if service else [],
    }


def _table(problems: Sequence[Problem]) -> list[str]:
    """By file, a line a problem, and after each run of those with one remedy a line with it."""
    lines: list[str] = []
    for file, found in groupby(problems, lambda problem: problem.file):
        rows = [row for remedy, each in groupby(found, lambda problem: problem.remedy) for row in _rows(each, remedy)]
        lines += [file, *columns(rows, "  ", widest=40)]
    return lines


def _rows(problems: Iterable[Problem], remedy: str) -> list[tuple[str, str]]:
    return [*((problem.key, problem.problem) for problem in problems), ("", remedy)]
