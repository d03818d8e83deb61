from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.descriptor import Descriptor, read_descriptor

LAB = Path(__file__).resolve().parents[5] / "services"
Edit = Callable[[dict[str, Any]], object]


def read(folder: Path, edit: Edit, environment: str = "lab") -> Descriptor:
    described = yaml.safe_load((LAB / "tradeapi.yml").read_text())
    edit(described)
    path = folder / "tradeapi.yml"
    path.write_text(yaml.safe_dump(described))
    return read_descriptor(path, environment)


def keys(descriptor: Descriptor) -> list[str]:
    return [problem.key for problem in descriptor.problems]


def test_a_sound_descriptor_is_a_service(tmp_path: Path) -> None:
    found = read(tmp_path, lambda _: None)
    assert found.service is not None
    assert found.problems == ()


EXCUSED = {"test": "S.A", "until": date(2026, 12, 31), "reason": "TRADE-117"}


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda d: d.update(min_online="160%", waves=[]), ["waves", "min_online"]),
        (lambda d: d.update(waves=[0], drain={"soft": "5m", "hard": "1m"}), ["waves", "drain"]),
        (lambda d: d["sites"].append(d["sites"][0]) or d["moves_with"].append("tradeapi"), ["sites", "moves_with"]),
        (lambda d: d["pools"].append(dict(d["pools"][0], online="other")), ["pools"]),
        (lambda d: d["pools"][0].update(maintenance="tradeapi_online"), ["pools"]),
        (lambda d: d["deploy"]["puppet"].update(digest_key="tradeapi::version"), ["deploy"]),
        (lambda d: d.update(name="other"), ["name"]),
        (
            lambda d: d.update(environments={"dev": {"min_online": "x"}, "prod": {"waves": [0]}}),
            ["environments.dev.min_online", "environments.prod.waves"],
        ),
        (lambda d: d["pools"][0].update(unchecked="allow"), []),
        (lambda d: d["pools"][0].update(unchecked="yes"), ["pools.0.unchecked"]),
        (lambda d: d["pools"][0].update(haproxy={}), []),
        (lambda d: d["pools"][0].update(haproxy={"host": "t.test", "path": "/a/b-1", "bind": "*:443 ssl crt /c"}), []),
        (lambda d: d["pools"][0].update(haproxy={"bind": "[::1]:81", "check": "/h?a=b&c=d", "server_port": 1}), []),
        (lambda d: d["pools"][0].update(haproxy={"host": "T.test:80"}), ["pools.0.haproxy.host"]),
        (lambda d: d["pools"][0].update(haproxy={"path": "/a/ }"}), ["pools.0.haproxy.path"]),
        (lambda d: d["pools"][0].update(haproxy={"path": "/a/"}), ["pools.0.haproxy.path"]),
        (lambda d: d["pools"][0].update(haproxy={"check": "/a\n  server x"}), ["pools.0.haproxy.check"]),
        (lambda d: d["pools"][0].update(haproxy={"bind": "*:81\n  mode tcp"}), ["pools.0.haproxy.bind"]),
        (lambda d: d["pools"][0].update(haproxy={"bind": "8081"}), ["pools.0.haproxy.bind"]),
        (
            lambda d: d["pools"][0].update(haproxy={"server_port": 0, "node_ports": 65536, "maintenance_port": "x"}),
            ["pools.0.haproxy.server_port", "pools.0.haproxy.maintenance_port", "pools.0.haproxy.node_ports"],
        ),
        (
            lambda d: d["verify"]["nunit"].update(quarantine=[EXCUSED, EXCUSED | {"until": "2026-12-31"}]),
            ["verify.nunit"],
        ),
        (lambda d: d["verify"]["nunit"].update(quarantine=[EXCUSED], required_tests=["S.A"]), ["verify.nunit"]),
        (
            lambda d: d["verify"]["nunit"].update(quarantine=[EXCUSED | {"until": "soon"}]),
            ["verify.nunit.quarantine.0.until"],
        ),
        (
            lambda d: d["verify"]["nunit"].update(quarantine=[EXCUSED | {"until": 20261231}]),
            ["verify.nunit.quarantine.0.until"],
        ),
        (
            lambda d: d["verify"]["nunit"].update(quarantine=[{"test": "S.A", "until": EXCUSED["until"]}]),
            ["verify.nunit.quarantine.0.reason"],
        ),
        (lambda d: d["verify"]["nunit"].update(categories={"only": ["Smoke"]}), ["verify.nunit.categories.only"]),
        (lambda d: d["verify"]["nunit"].update(categories={"exclude": ["a,b"]}), ["verify.nunit"]),
        (lambda d: d["verify"]["nunit"].update(categories={"exclude": ["a,b"]}, runner="nunit3"), []),
        (lambda d: d["verify"]["nunit"].update(runner="xunit"), ["verify.nunit.runner"]),
        (lambda d: d["verify"]["nunit"].update(parallel=0), ["verify.nunit.parallel"]),
        (lambda d: d["verify"]["nunit"].update(parallel=2, log={"required": True}), ["verify.nunit"]),
        (lambda d: d["verify"]["nunit"].update(parallel=2, log={"required": True, "known_by": "id"}), []),
        (lambda d: d["verify"]["nunit"].update(secrets={"A B": "x"}), ["verify.nunit.secrets.A B.[key]"]),
        (lambda d: d["verify"]["nunit"].update(aim={"by": "port"}), ["verify.nunit"]),
        (lambda d: d["verify"]["nunit"].update(aim={"by": "port"}, url="http://{load_balancer}:{node_port}"), []),
        (lambda d: d["verify"]["nunit"].update(url="http://{load_balancer}:{node_port}"), ["verify.nunit"]),
        (lambda d: d["verify"]["nunit"].update(aim={"by": "host"}), ["verify.nunit"]),
        (lambda d: d["verify"]["nunit"].update(aim={"by": "host"}, url="http://{node}.trade.test"), []),
        (lambda d: d["verify"]["nunit"].update(aim={"by": "host", "host": "{node}.trade.test"}), []),
        (lambda d: d["verify"]["nunit"].update(aim={"by": "host", "host": "a b{node}"}), ["verify.nunit.aim.host"]),
        (lambda d: d["verify"]["nunit"].update(aim={"host": "{node}.trade.test"}), ["verify.nunit"]),
        (
            lambda d: d["verify"]["nunit"].update(
                quarantine=[EXCUSED], required_tests=["S.B"], categories={"include": ["Smoke"]}
            ),
            [],
        ),
        (lambda d: d.update(nagios={"server": "mon", "services": ["a b/c"], "length": "1h"}), []),
        (lambda d: d.update(nagios={"server": "mon", "services": "some"}), ["nagios.services"]),
        (lambda d: d.update(nagios={"server": "mon", "services": ["a;b"]}), ["nagios.services.0"]),
        (
            lambda d: d.update(nagios={"length": "30s", "at_failure": "ask"}),
            ["nagios.server", "nagios.length", "nagios.at_failure"],
        ),
        # What is wrong without the overrides too is told once.
        (lambda d: d.update(min_online="x", environments={"dev": {}, "prod": {}}), ["min_online"]),
        # A part that every environment brings need not be in the base.
        (lambda d: d.update(environments={"lab": {"min_online": d.pop("min_online")}}), []),
        (lambda d: d.update(environments={"prod": {"min_online": d.pop("min_online")}}), ["min_online"]),
    ],
)
def test_all_problems_are_told_each_at_its_key(tmp_path: Path, edit: Edit, expected: list[str]) -> None:
    found = read(tmp_path, edit)
    assert keys(found) == expected
    assert (found.service is None) == bool(expected)


@pytest.mark.parametrize(
    ("edit", "remedy"),
    [
        (lambda d: d.update(min_onlin="60%"), "Did you mean min_online?"),
        (lambda d: d["verify"]["nunit"].update(assembly=[]), "Did you mean assemblies?"),
        (lambda d: d["verify"]["nunit"]["aim"].update(zzz=1), "Known there are by, header, host, served_by."),
        (lambda d: d["pools"][0].update(zzz=1), "Known there are online, maintenance, unchecked, haproxy."),
        (lambda d: d.update(on_failure="panic"), "docs/descriptor.md lists every key"),
    ],
)
def test_an_unknown_key_is_answered_with_what_it_may_mean(tmp_path: Path, edit: Edit, remedy: str) -> None:
    def with_aim(described: dict[str, Any]) -> None:
        described["verify"]["nunit"]["aim"] = {}
        edit(described)

    [problem] = read(tmp_path, with_aim).problems
    assert remedy in problem.remedy


def test_a_file_that_cannot_be_read_is_a_problem_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "folder.yml").mkdir()
    [problem] = read_descriptor(tmp_path / "folder.yml", "lab").problems
    assert (problem.key, problem.problem) == ("the whole file", "can't be read: Is a directory")
