"""Both checks as ansible-playbook runs them: arguments, results, permit and what the ledger keeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step
from tests.integration.checks.plays import Place
from tests.integration.health.servers import Node, always, respond
from tests.integration.health.servers import serving as serving_node
from tests.integration.nunit.artifacts import packed
from tests.integration.nunit.servers import Site
from tests.integration.nunit.servers import serving as serving_site

SERVED = {"version": "1.1.0", "digest": "ab" * 32, "pid": 7, "started": "2026-01-31T12:00:00Z", "status": "ok"}
CANARY = "canary-4f2a9c"


@pytest.fixture
def node() -> Iterator[Node]:
    with serving_node(always(respond(SERVED))) as node:
        yield node


@pytest.fixture
def site() -> Iterator[Site]:
    with serving_site(Site(nodes={"n1": "1.1.0"})) as site:
        yield site


def release(url: str, version: str = "1.1.0", timeout: str = "2m") -> dict[str, Any]:
    return {"url": url, "version": {"path": "$.version", "value": version}, "timeout": timeout}


def health_check(**options: Any) -> dict[str, Any]:
    return {"tidegate.delivery.health_check": {"timeout": "2m"} | options}


def test_release_health_and_warmth_become_evidence(tmp_path: Path, node: Node) -> None:
    warmup = {"urls": ["/quotes"], "until": {"p95": "5s"}}
    healthy = {"url": node.url, "interval": "20ms", "expect": [{"path": "$.status", "value": "ok"}]}
    place = Place(tmp_path, {"release": release(node.url), "health": healthy, "warmup": warmup})
    asked = release(node.url) | {"step": "release", "in_a_row": 1}
    done = place.play(health_check(deployment="d1", **asked))
    assert done.rc == 0, done.output
    told = {key: done.result[key] for key in ("outcome", "version", "started", "pid", "answers", "changed")}
    assert told == {
        "outcome": "healthy",
        "version": "1.1.0",
        "started": SERVED["started"],
        "pid": "7",
        "answers": 1,
        "changed": False,
    }
    assert place.play(health_check(deployment="d1", **healthy)).rc == 0
    assert place.play(health_check(deployment="d1", url=node.url, step="warmup", in_a_row=1, warmup=warmup)).rc == 0
    [event] = place.events(Step.RELEASE)
    assert (event.outcome, event.nodes, event.service) == (Outcome.OK, ("n1",), "probe")
    assert (event.details["version"], event.details["pid"]) == ("1.1.0", "7")
    assert [event.outcome for event in place.events(Step.HEALTH)] == [Outcome.OK]
    assert [event.details["warmup_requests"] for event in place.events(Step.WARMUP)] == [20]
    assert b"GET /quotes HTTP/1.1" in node.requests[-1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"headers": {"Authorization": CANARY}}, "headers of this release check"),
        ({"status": [200, 500], "validate_certs": False}, "status, validate_certs of this release check"),
    ],
)
def test_an_option_that_is_not_planned_leaves_no_evidence(
    tmp_path: Path, node: Node, options: dict[str, Any], told: str
) -> None:
    place = Place(tmp_path, {"release": release(node.url)})
    done = place.play(health_check(deployment="d1", step="release", **release(node.url), **options))
    assert done.result["reason"] == "refused"
    assert told in done.result["msg"]
    assert [event.outcome for event in place.events(Step.RELEASE)] == [Outcome.REFUSED]
    assert CANARY not in repr(place.events(Step.RELEASE))
    assert node.connections == 0


def test_a_node_that_serves_another_release_fails_with_its_name(tmp_path: Path, node: Node) -> None:
    # It is asked until the end.
    wrong = release(node.url, "1.2.0", timeout="3s")
    place = Place(tmp_path, {"release": wrong})
    done = place.play(health_check(deployment="d1", step="release", **wrong))
    assert done.rc != 0
    assert done.result["reason"] == "wrong_release"
    assert done.result["msg"].startswith("n1: it serves another release")
    assert "serves version 1.1.0, expected 1.2.0" in done.result["msg"]
    assert done.result["remedy"] in done.result["msg"]
    [event] = place.events(Step.RELEASE)
    assert (event.outcome, event.details["outcome"]) == (Outcome.FAILED, "wrong_release")


def test_an_easier_check_leaves_no_evidence(tmp_path: Path, node: Node) -> None:
    place = Place(tmp_path, {"release": release("http://127.0.0.1:1/health", "1.2.0")})
    done = place.play(health_check(deployment="d1", step="release", **release(node.url)))
    assert done.result["reason"] == "refused"
    assert "url, version.value of this release check" in done.result["msg"]
    assert [event.outcome for event in place.events(Step.RELEASE)] == [Outcome.REFUSED]
    assert node.connections == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"url": "n1:8080"}, "'n1:8080' can't be asked (url). Write http://host:port/path"),
        ({"timeout": "5"}, "'5' is not a duration"),
        ({"in_a_row": 0}, "in_a_row is 0"),
        ({"step": "release"}, "step release proves nothing without version"),
        ({"version": {"path": "version", "value": "1"}}, "it must begin with $"),
        ({"warmup": {"urls": ["/"], "until": {"p96": "1s"}}}, "warm-up can't be judged by p96"),
        ({"started": {"after": "yesterday"}}, "'yesterday' is not a time"),
        ({"in_a_rwo": 3}, "in_a_rwo"),
    ],
)
def test_bad_options_are_told_and_nothing_is_asked(
    tmp_path: Path, node: Node, options: dict[str, Any], told: str
) -> None:
    done = Place(tmp_path, {}).play(health_check(**{"url": node.url} | options), lock=False)
    assert done.rc != 0
    assert told in done.result["msg"]
    assert "Traceback" not in done.output
    assert node.connections == 0


def test_check_mode_checks_for_real_and_records_nothing(tmp_path: Path, node: Node) -> None:
    place = Place(tmp_path, {"release": release(node.url)})
    done = place.play(health_check(deployment="d1", step="release", interval="20ms", **release(node.url)), check=True)
    assert (done.rc, done.result["outcome"], node.connections) == (0, "healthy", 3)
    assert place.events(Step.RELEASE) == []


def planned_tests(site: Site, kind: str, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the plan has for these tests, and the task that runs them."""
    site.files["/a.tar.gz"] = packed(kind)
    planned = {
        "box": "box",
        "url": site.url,
        "aim": {"by": "header", "header": "X-Tidegate-Node", "served_by": "X-Served-By"},
        "artifact": {"url": f"{site.url}/a.tar.gz", "sha256": hashlib.sha256(site.files["/a.tar.gz"]).hexdigest()},
        "assemblies": [f"{kind.title()}.dll"],
        "min_tests": 1,
        "allowed_failures": 0,
        "timeout": "5m",
    }
    task = {"tidegate.delivery.nunit": planned | {"deployment": "d1", "version": "1.1.0"} | options}
    return {"nunit": planned, "release": release(f"{site.url}/health")}, task


def test_passed_tests_become_evidence_and_their_results_are_kept(tmp_path: Path, site: Site) -> None:
    checks, task = planned_tests(site, "PASSING", save_to=str(tmp_path / "kept" / "n1.xml"))
    place = Place(tmp_path, checks)
    done = place.play(task)
    assert done.rc == 0, done.output
    assert (done.result["outcome"], done.result["passed"], done.result["changed"]) == ("passed", 3, False)
    assert done.result["msg"] == "n1: of 3 tests 3 passed"
    kept = (tmp_path / "kept" / "n1.xml").read_bytes()
    assert b"<test-results" in kept
    assert done.result["results_sha256"] == hashlib.sha256(kept).hexdigest()
    assert [event.outcome for event in place.events(Step.NUNIT)] == [Outcome.STARTED, Outcome.OK]
    assert place.events(Step.NUNIT)[1].details["results_sha256"] == done.result["results_sha256"]


def test_failed_tests_are_named_in_message_and_ledger(tmp_path: Path, site: Site) -> None:
    checks, task = planned_tests(site, "MIXED")
    place = Place(tmp_path, checks)
    done = place.play(task)
    assert done.rc != 0
    assert done.result["reason"] == "failed"
    assert done.result["msg"].startswith("n1: of 8 tests 2 passed, 4 failed, 1 inconclusive, 1 skipped, 0 may fail.")
    assert "(Mixed.dll on box). Fix the release" in done.result["msg"]
    event = place.events(Step.NUNIT)[-1]
    assert (event.outcome, event.details["failed_tests"]) == (Outcome.FAILED, 4)
    assert any("Probe.Mixed.Throws" in line for line in event.details["failing"])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("option", "value"), [("environment", {"TRADE_PASSWORD": CANARY}), ("program", ["/bin/cp", CANARY, "results.xml"])]
)
def test_a_runner_or_environment_that_is_not_planned_is_refused_and_shown_nowhere(
    tmp_path: Path, site: Site, option: str, value: object
) -> None:
    checks, task = planned_tests(site, "PASSING", **{option: value})
    done = Place(tmp_path, checks).play(task)
    assert done.result["reason"] == "refused"
    assert f"{option} of this nunit check" in done.result["msg"]
    assert site.asked == []
    assert CANARY.encode() not in (tmp_path / "ledger.sqlite").read_bytes()


def test_a_planned_token_reaches_the_tests_and_shows_nowhere(tmp_path: Path, site: Site) -> None:
    """The test prints it and fails with it in its message; on the way it looks for it in the box's process list."""
    checks, task = planned_tests(site, "LEAKING", secrets={"TRADE_PASSWORD": "trade_test_token"})
    checks["nunit"] = checks["nunit"] | {"secrets": {"TRADE_PASSWORD": "trade_test_token"}}
    place = Place(tmp_path, checks)
    hosts = json.loads((tmp_path / "hosts.json").read_text())
    hosts["all"]["hosts"]["box"]["trade_test_token"] = CANARY
    (tmp_path / "hosts.json").write_text(json.dumps(hosts))
    done = place.play(task)
    assert done.result["outcome"] == "failed"
    assert "logged in as trader with ********" in done.result["msg"]
    assert CANARY not in done.output
    assert {path.name for path in files_with(tmp_path, CANARY)} == {"hosts.json"}


def files_with(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_tests_need_a_deployment_whose_lock_is_ours(tmp_path: Path, site: Site) -> None:
    checks, task = planned_tests(site, "PASSING")
    place = Place(tmp_path, checks)
    done = place.play(task, lock=False)
    assert done.result["reason"] == "refused"
    assert "holds no lock of deployment d1" in done.result["msg"]
    assert site.asked == []


def test_fewer_tests_than_planned_are_refused(tmp_path: Path, site: Site) -> None:
    checks, task = planned_tests(site, "PASSING")
    checks["nunit"] = checks["nunit"] | {"min_tests": 5}
    done = Place(tmp_path, checks).play(task)
    assert done.result["reason"] == "refused"
    assert "min_tests of this nunit check" in done.result["msg"]


def test_check_mode_runs_no_test(tmp_path: Path, site: Site) -> None:
    checks, task = planned_tests(site, "PASSING")
    place = Place(tmp_path, checks)
    done = place.play(task, lock=False, check=True)
    assert (done.rc, done.result["outcome"]) == (0, "not_run")
    assert done.result["msg"] == "would test n1 with Passing.dll on box"
    assert (site.asked, place.events(Step.NUNIT)) == ([], [])
