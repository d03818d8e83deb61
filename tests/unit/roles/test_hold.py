"""The order in which a held wave is left: what is no test of one action."""

from __future__ import annotations

from typing import Any

import yaml

from lab.layout import PROJECT


def tasks() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((PROJECT / "roles" / "hold" / "tasks" / "main.yml").read_text())
    return found


def test_puppet_may_change_nothing_any_more_before_its_periodic_runs_go_on() -> None:
    states = [task.get("tidegate.delivery.puppet_pin", task.get("tidegate.delivery.puppet_freeze")) for task in tasks()]
    order = [each["state"] for each in states if each]
    assert order == ["sealed", "thawed"]


def test_a_wave_that_could_not_be_sealed_stays_frozen() -> None:
    seal, thaw = tasks()[:2]
    assert (seal["register"], thaw["when"]) == ("hold_sealed", "hold_sealed.reason is not defined")
