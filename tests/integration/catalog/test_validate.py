"""The whole catalog checked by its playbook, with an inventory whose hosts nobody could reach."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.layout import PROJECT
from tests.waiting import DEPLOYMENT_S

PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
# A connection that Ansible doesn't have: whoever opened one would fail.
NOWHERE = {"ansible_connection": "there_is_no_such_connection"}
BALANCERS = {"tidegate_haproxy_socket": "/run/admin.sock", "tidegate_haproxy_master_socket": "/run/master.sock"}
Edit = Callable[[dict[str, Any]], object]


def inventory(folder: Path) -> dict[str, Any]:
    """The lab's hosts and groups, as one that copies the lab's catalog would have them."""
    nodes = {"tradeapi": ["n1", "n2", "n3", "n6"], "pricefeed": ["n6", "p1"]}
    groups: dict[str, Any] = {name: {"hosts": dict.fromkeys(hosts, NOWHERE)} for name, hosts in nodes.items()}
    groups["edge"] = {"hosts": {name: {**NOWHERE, **BALANCERS} for name in ("lb1", "lb2")}}
    groups["puppetservers"] = {"hosts": {"puppet": {**NOWHERE, "tidegate_rollout_dir": "/etc/rollout"}}}
    groups["testboxes"] = {"hosts": {"testbox": {**NOWHERE, "tidegate_test_dir": "/srv/tests"}}}
    common = {"tidegate_environment": "prod", "tidegate_ledger": "sqlite:////nowhere/ledger"}
    common |= {"tidegate_services": str(folder), "tidegate_artifacts": "http://192.0.2.1"}
    return {"all": {"hosts": {"localhost": {"ansible_connection": "local"}}, "vars": common, "children": groups}}


def validated(folder: Path, hosts: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """Exit code, and what the action returned."""
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
    done = subprocess.run(
        [str(PLAYBOOK), "-i", str(folder / "hosts.yml"), "playbooks/validate.yml"],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_NOCOLOR": "1"}
        | {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_VERBOSITY": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEPLOYMENT_S,
    )
    result = done.stdout.partition("ok: [localhost] => ")[2]
    return done.returncode, json.JSONDecoder().raw_decode(result)[0] if result else {"output": done.stdout}


@pytest.fixture
def services(tmp_path: Path) -> Path:
    copy = tmp_path / "services"
    copy.mkdir()
    for path in (PROJECT / "services").glob("*.yml"):
        (copy / path.name).write_text(path.read_text())
    return copy


def edit(services: Path, name: str, change: Edit) -> None:
    path = services / f"{name}.yml"
    described = yaml.safe_load(path.read_text())
    change(described)
    path.write_text(yaml.safe_dump(described))


def told(result: dict[str, Any]) -> set[tuple[str, str]]:
    return {(Path(problem["file"]).name, problem["key"]) for problem in result["problems"]}


def test_a_sound_catalog_passes_without_a_connection(tmp_path: Path, services: Path) -> None:
    code, result = validated(tmp_path, inventory(services))
    sound = "2 services: every descriptor is sound, and fits the inventory"
    assert (code, result["problems"], result["table"]) == (0, [], [sound])
    assert [(each["name"], each["sound"], each["moves_with"]) for each in result["services"]] == [
        ("pricefeed", True, ["tradeapi"]),
        ("tradeapi", True, ["pricefeed"]),
    ]


def test_a_quarantine_that_is_over_is_told_and_no_problem(tmp_path: Path, services: Path) -> None:
    entry = {"test": "S.IsFast", "until": "2020-01-31", "reason": "TRADE-117"}
    edit(services, "tradeapi", lambda d: d["verify"]["nunit"].update(quarantine=[entry]))
    code, result = validated(tmp_path, inventory(services))
    line = "tradeapi: quarantine of S.IsFast is over since 2020-01-31: the test counts again (TRADE-117)"
    assert (code, result["problems"], result["notices"]) == (0, [], [line])
    assert line in result["table"]


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path, services: Path) -> None:
    edit(services, "tradeapi", lambda d: d.update(min_online="160%", environments={"dev": {"drain": {"soft": "5"}}}))
    edit(services, "pricefeed", lambda d: d.update(moves_with=["tradeapi", "quotes"]))
    (services / "notes.txt").write_text("")
    hosts = inventory(services)
    del hosts["all"]["children"]["edge"]["hosts"]["lb2"]["tidegate_haproxy_socket"]
    del hosts["all"]["children"]["testboxes"]["hosts"]["testbox"]["tidegate_test_dir"]
    hosts["all"]["children"]["pricefeed"]["hosts"]["p1"] = {**NOWHERE, "tidegate_environment": "{{ nobody_set_this }}"}
    code, result = validated(tmp_path, hosts)
    assert code != 0
    assert told(result) == {
        ("tradeapi.yml", "min_online"),
        ("tradeapi.yml", "environments.dev.drain.soft"),
        ("pricefeed.yml", "moves_with.1"),
        ("notes.txt", "the whole file"),
        ("inventory", "lb2"),
        ("inventory", "testbox: tidegate_test_dir"),
        ("inventory", "p1: tidegate_environment"),
    }
    assert all(problem["problem"] and problem["remedy"] for problem in result["problems"])
    assert result["msg"] == "2 services: 7 problems in 4 places"


def test_services_on_one_node_that_do_not_move_together_are_told_both_ways(tmp_path: Path, services: Path) -> None:
    for name in ("tradeapi", "pricefeed"):
        edit(services, name, lambda d: d.pop("moves_with"))
    code, result = validated(tmp_path, inventory(services))
    assert code != 0
    assert told(result) == {("tradeapi.yml", "moves_with"), ("pricefeed.yml", "moves_with")}
