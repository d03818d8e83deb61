"""What deployments leave in their folders, on the lab."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from defusedxml.ElementTree import parse

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment
from tests.integration.flow.lab_site import ENVIRONMENT, Site
from tidegate.copied import CopiedLedger
from tidegate.store import Store

pytestmark = pytest.mark.lab
TWO = ("n1", "n2")


def folder_of(deployment: Deployment) -> Path:
    return Path(json.loads(deployment.plan)["folder"])


def read(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text())
    assert isinstance(value, dict)
    return value


def assert_copied(site: Site, deployment: Deployment) -> None:
    """events.jsonl is the ledger's own bytes, and nobody else's to read."""
    ledger = CopiedLedger(Store(f"sqlite:///{site.layout.ledger}"), lambda event: event, lambda _id: None)
    bodies = ledger.bodies(ENVIRONMENT, deployment.id)
    folder = folder_of(deployment)
    assert (folder / "events.jsonl").read_bytes() == "".join(f"{body}\n" for body in bodies).encode()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def results_digest(site: Site, deployment: Deployment, node: str) -> object:
    """The digest of a node's test results, as the ledger has it."""
    tested = [event for event in site.events(deployment.id) if event.step == "nunit" and event.outcome.good]
    return next(event.details["results_sha256"] for event in tested if node in event.nodes)


def with_rules(service: dict[str, Any]) -> None:
    """Two nodes a wave; what fails in 1.2.0 was in quarantine once, and one test must pass."""
    service.update(waves=[2])
    service["verify"]["nunit"] |= {
        "required_tests": ["Lab.Smoke.ReleaseTests.HealthIsOk"],
        "quarantine": [{"test": "Lab.Smoke.TradeTests.TheSpreadIsPositive", "until": "2020-12-31", "reason": "LAB-1"}],
    }


def junit_cases(folder: Path) -> dict[str, dict[str, str]]:
    """By suite of the folder's junit.xml, each case with what it is."""
    root = parse(folder / "junit.xml").getroot()
    assert root is not None
    return {
        str(suite.get("name")): {
            str(case.get("name")): next((each.tag for each in case), "passed") for case in suite.iter("testcase")
        }
        for suite in root
    }


@pytest.mark.slow
def test_a_held_wave_and_the_deployment_that_supersedes_it(even_site: Site, tmp_path: Path) -> None:
    site = even_site
    before = site.facts().serving["n1"]
    with site.with_services(tmp_path, with_rules):
        assert site.deploy("1.2.0", nodes=TWO).rc != 0
        held = site.deployment()
        summary = read(folder_of(held) / "summary.json")
        assert_copied(site, held)
        page = (folder_of(held) / "report.html").read_text()
        assert "<title>Held: tradeapi 1.2.0 in lab</title>" in page and "did not pass on n1, n2" in page
        assert summary["outcome"] == "held"
        assert "TheSpreadIsPositive" in summary["cause"]
        tested = junit_cases(folder_of(held))
        assert set(tested) == {"tradeapi.n1", "tradeapi.n2"}
        assert tested["tradeapi.n1"]["TheSpreadIsPositive"] == tested["tradeapi.n1"]["gate"] == "failure"
        failed = [event for event in site.events(held.id) if event.step == "nunit" and event.details.get("failing")]
        assert all("LAB-1" in str(event.details["expired_quarantine"]) for event in failed) and failed
        assert any("rollback.yml -e service=tradeapi" in line for line in summary["next"])
        assert [node["state"] for node in summary["nodes"]][:3] == ["held", "held", "skipped"]
        assert [wave["outcome"] for wave in summary["waves"]] == ["held"]

        good = site.other_version("n3", *TWO)
        played = site.deploy(good, nodes=TWO)
        assert played.rc == 0, played.output
    done = site.deployment()
    folder = folder_of(done)
    ended = read(folder_of(held) / "summary.json")
    assert (ended["outcome"], ended["next"]) == ("superseded", [f"superseded by {done.id}"])
    assert [node["state"] for node in ended["nodes"]][:2] == ["held", "held"]
    assert_copied(site, held)
    assert (
        "<title>Held, then superseded: tradeapi 1.2.0 in lab</title>" in (folder_of(held) / "report.html").read_text()
    )
    assert_copied(site, done)

    summary = read(folder / "summary.json")
    assert (summary["outcome"], summary["next"]) == ("done", [])
    assert [(node["name"], node["from"], node["to"]) for node in summary["nodes"]][:2] == [
        ("n1", "1.2.0", good),
        ("n2", "1.2.0", good),
    ]
    (wave,) = summary["waves"]
    steps = [wave[f"{name}_s"] for name in ("drain", "puppet", "tests", "warmup")]
    assert wave["nodes"] == list(TWO) and set(wave["slowest"]) >= {"puppet", "tests", "warmup"}
    assert min(steps[1:]) > 0
    assert wave["tidegate_added_s"] == pytest.approx(wave["wall_s"] - sum(steps), abs=0.11)
    text = (folder / "summary.txt").read_text()
    assert text.startswith(f"tradeapi {good} in lab: done\n") and "slowest: " in text

    plan = read(folder / "plan.json")
    assert (plan["deployment"], plan["version"], plan["attempt"]) == (done.id, good, 1)
    assert before != good and plan["plan"]["supersedes"] == held.id
    for node in TWO:
        report = read(folder / "puppet" / f"{node}.1.json")["report"]
        assert (report["status"], report["resources"]["failed"]) == ("changed", 0)
        assert any("tradeapi" in name for name in report["changed"])
        xml = folder / "nunit" / f"tradeapi.{node}.1.xml"
        root = parse(xml).getroot()
        assert root is not None and root.tag in ("test-results", "test-run")
        assert hashlib.sha256(xml.read_bytes()).hexdigest() == results_digest(site, done, node)
        cases = junit_cases(folder)[f"tradeapi.{node}"]
        assert set(cases.values()) == {"passed"} and {"gate", "HealthIsOk"} < set(cases)
