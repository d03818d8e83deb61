"""What a descriptor may say about health, and where an error says that it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.descriptor import Problem, read_descriptor

LAB = Path(__file__).resolve().parents[5] / "services"
PLUGIN = {"argv": ["check_http", "-I", "{load_balancer}", "-k", "X-Tidegate-Node: {name}"]}
THROUGH = PLUGIN | {"run_on": "controller", "url": "http://{load_balancer}:8090/health", "aim": {}}
HEALTH = "verify.health"
KINDS = "give it one of http, tcp, command, nagios, service, process"
FIRST = f"{HEALTH}.checks.0"


def problems(folder: Path, **health: Any) -> list[Problem]:
    described = yaml.safe_load((LAB / "tradeapi.yml").read_text())
    described["verify"]["health"].update(health)
    path = folder / "tradeapi.yml"
    path.write_text(yaml.safe_dump(described))
    return list(read_descriptor(path, "lab").problems)


def check(**kind: Any) -> dict[str, Any]:
    return {"checks": [{"name": "it", **kind}]}


@pytest.mark.parametrize(
    "health",
    [
        {"status": [200, 204], "request_timeout": "1s", "started": "$.started"},
        {"components": {"path": "$.entries"}},
        {"components": {"path": "$.entries", "accept": ["Healthy", "Degraded"], "required": ["db"]}},
        check(http={"url": "http://{load_balancer}:8090/health", "aim": {"header": "X-Aim"}}),
        check(http={"url": "https://{node}/ready", "status": [204], "expect": {"$.a": True}}),
        check(tcp={"port": 25, "send": "EHLO x\r\n", "expect": "220"}),
        check(command={"argv": ["awk", "BEGIN { exit 0 }"], "exit_codes": [0, 4294967295], "output": "^ok$"}),
        check(nagios=PLUGIN | {"accept": ["ok", "warning"], "perfdata": {"time": "~:0.5", "/": "@10:20"}}),
        check(nagios=THROUGH),
        check(process={"unit": "trade.service"}),
        check(process={"port": 8080}),
        check(process={"pid_file": "/run/trade.pid"}),
    ],
)
def test_what_is_sound(tmp_path: Path, health: dict[str, Any]) -> None:
    assert problems(tmp_path, **health) == []


@pytest.mark.parametrize(
    ("health", "key", "told"),
    [
        ({"status": []}, f"{HEALTH}.status", "at least 1 item"),
        ({"status": [20]}, f"{HEALTH}.status.0", "greater than or equal to 100"),
        ({"started": "started"}, f"{HEALTH}.started", "it must begin with $"),
        ({"components": {"path": "$"}}, f"{HEALTH}.components.path", "is the whole document"),
        ({"components": {"path": "$.a", "accept": []}}, f"{HEALTH}.components.accept", "at least 1 item"),
        ({"components": {"accept": ["ok"]}}, f"{HEALTH}.components.path", "Field required"),
        ({"checks": [{"name": "it"}]}, FIRST, KINDS),
        (
            check(tcp={"port": 1}, process={"port": 1}),
            FIRST,
            KINDS,
        ),
        ({"checks": [{"name": "a", "tcp": {"port": 1}}] * 2}, HEALTH, "each needs a name of its own"),
        (check(tcp={"port": 0}), f"{FIRST}.tcp.port", "greater than or equal to 1"),
        (check(command={"argv": "echo a"}), f"{FIRST}.command.argv", "valid list"),
        (check(command={"argv": []}), f"{FIRST}.command.argv", "at least 1 item"),
        (
            check(command={"argv": ["{nod}"]}),
            f"{FIRST}.command.argv.0",
            "unknown placeholder {nod}; allowed are {node}",
        ),
        (check(command={"argv": ["a"], "output": "("}), f"{FIRST}.command.output", "is not a regular expression"),
        (check(nagios=PLUGIN | {"accept": ["fine"]}), f"{FIRST}.nagios.accept.0", "'ok', 'warning', 'critical'"),
        (check(nagios=PLUGIN | {"perfdata": {"a": "20:10"}}), f"{FIRST}.nagios.perfdata.a", "ends before it begins"),
        (check(nagios=THROUGH | {"run_on": "node"}), f"{FIRST}.nagios", "it runs on the controller"),
        (check(nagios=PLUGIN | {"aim": {}}), f"{FIRST}.nagios", "it needs url and aim"),
        (check(process={}), f"{FIRST}.process", "give one of unit, pid_file and port"),
        (check(process={"unit": "--all"}), f"{FIRST}.process", "no process is found by unit '--all'"),
        (check(process={"pid_file": "x.pid"}), f"{FIRST}.process", "no process is found by pid_file 'x.pid'"),
        (check(tpc={"port": 1}), f"{FIRST}.tpc", "Extra inputs are not permitted"),
    ],
)
def test_what_is_not_is_told_with_its_key(tmp_path: Path, health: dict[str, Any], key: str, told: str) -> None:
    found = problems(tmp_path, **health)
    assert [problem.key for problem in found][:1] == [key]
    assert told in found[0].problem
