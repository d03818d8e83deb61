"""The lists of steps and of kills: nothing of the flow is left out, and both shares have what they shall have."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import yaml

from lab.layout import PRICEFEED, TRADEAPI
from tests.chaos.flow_steps import FlowStep, steps_of_flow
from tests.chaos.kills import By, Ending, Flavour, Kill, Place, ending_of, every, everyday, reached_by

STEPS = steps_of_flow()
SERVICES = (TRADEAPI.name, PRICEFEED.name)


def test_every_kind_of_step_is_found() -> None:
    modules = {step.module for step in STEPS}
    assert modules == {"plan", "deployment", "puppet_freeze", "haproxy_pool", "puppet_pin", "puppet_run"} | {
        "health_check",
        "nunit",
        "reboot",
    }
    assert [step.task for step in STEPS if step.rescue and step.module == "deployment"] == [
        "Record why the wave is held and release the locks",
        "Record why it is held and release the locks",
    ]


def test_a_new_task_is_a_new_step_wherever_it_stands(tmp_path: Path) -> None:
    task = {"name": "Observe", "tidegate.delivery.observe": {"for": "30s"}}
    block: dict[str, object] = {
        "name": "Try",
        "block": [{"name": "Other", "ansible.builtin.debug": {}}],
        "always": [task],
    }
    assert [(step.task, step.module, step.rescue) for step in _steps_of(tmp_path, [block])] == [
        ("Observe", "observe", False)
    ]


@pytest.mark.parametrize("key", ["import_tasks", "ansible.builtin.include_tasks"])
def test_what_can_not_be_followed_hides_no_step(tmp_path: Path, key: str) -> None:
    with pytest.raises(AssertionError, match=f"follow {key} here as well"):
        _steps_of(tmp_path, [{"name": "More", key: "more.yml"}])


def _steps_of(folder: Path, tasks: list[dict[str, object]]) -> list[FlowStep]:
    path = folder / "playbook.yml"
    path.write_text(yaml.safe_dump([{"name": "Play", "hosts": "all", "tasks": tasks}]))
    return list(steps_of_flow(path))


def test_the_everyday_share_has_each_step_in_all_places_and_ways() -> None:
    kills = everyday(STEPS, SERVICES)
    assert len(kills) >= 20
    assert {kill.step for kill in kills} == {step.id for step in STEPS if not step.reboots}
    assert {(kill.place, kill.service) for kill in kills} == set(product(Place, SERVICES))
    assert {(kill.by, kill.flavour, kill.service) for kill in kills} == set(product(By, Flavour, SERVICES))
    assert {kill.ending for kill in kills} == set(Ending)


def test_the_whole_share_has_each_step_of_each_service_before_inside_and_after() -> None:
    kills = every(STEPS, SERVICES)
    assert len(kills) > 300
    wanted = {(name, step.id, place) for name in SERVICES for step in reached_by(name, STEPS) for place in Place}
    assert {(kill.service, kill.step, kill.place) for kill in kills} == wanted
    for service, step, place in wanted:
        of_step = [kill for kill in kills if (kill.service, kill.step, kill.place) == (service, step, place)]
        assert {kill.flavour for kill in of_step} == set(Flavour)
        assert len(set(of_step)) == len(of_step)


def test_what_a_killed_run_was_on_its_way_to() -> None:
    endings = {step.task: ending_of(step) for step in STEPS}
    assert endings["Close the deployment"] is Ending.DONE
    assert endings["Record why the wave is held and release the locks"] is Ending.HELD
    assert endings["Record why it is held and release the locks"] is Ending.UNSETTLED


def test_a_kill_in_words() -> None:
    kill = Kill("tradeapi", By.COMMAND, "deploy.yml: Run Puppet", Place.INSIDE, Flavour.GROUP, Ending.DONE, 3)
    assert str(kill) == "tidegate for tradeapi, deploy.yml: Run Puppet, inside 3, group"
