"""The release's own NUnit assembly, run by nunit-console through a real HAProxy that says who answered."""

from __future__ import annotations

import os
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from defusedxml import ElementTree

from lab.build import SMOKE, Release
from lab.programs import program
from tests.integration.lab.service_process import Running, serving
from tests.waiting import PATIENCE_S, until

ADDRESS = "127.251.3.1"
FRONT = f"http://{ADDRESS}:8090"

CONFIGURATION = f"""
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend maintenance
    bind {ADDRESS}:8090
    http-response set-header X-Served-By %[srv_name]
    default_backend nodes
backend nodes
    server n1 {ADDRESS}:8080
"""


@contextmanager
def front_end(folder: Path) -> Iterator[None]:
    config = folder / "haproxy.cfg"
    config.write_text(CONFIGURATION)
    process = subprocess.Popen([program("haproxy"), "-db", "-f", str(config)])
    try:
        yield
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def nunit(service: Running, release: Release, folder: Path, node: str = "n1", version: str = "") -> dict[str, str]:
    """Run the release's assembly: each case's name and result."""
    environment = os.environ | {
        "TIDEGATE_URL": FRONT,
        "TIDEGATE_NODE": node,
        "TIDEGATE_VERSION": version or release.version,
    }
    assembly = folder / release.name / "tests" / SMOKE[release.service][0]
    result = folder / "result.xml"
    argv = ["nunit-console", "-nologo", f"-xml:{result}", str(assembly)]
    subprocess.run(argv, env=environment, cwd=folder, capture_output=True, timeout=PATIENCE_S, check=False)
    cases = ElementTree.fromstring(result.read_bytes()).iter("test-case")
    return {str(case.get("name")).rsplit(".", 1)[1]: str(case.get("result")) for case in cases}


def failures(results: dict[str, str]) -> set[str]:
    return {name for name, result in results.items() if result != "Success"}


def await_front_end() -> None:
    until(_answers, f"{FRONT} answers", every=0.1)


def _answers() -> bool:
    try:
        urllib.request.urlopen(f"{FRONT}/health", timeout=PATIENCE_S).close()
    except OSError:
        return False
    return True


@contextmanager
def under_test(release: Release, folder: Path) -> Iterator[Running]:
    with serving(release, folder, ADDRESS) as service, front_end(folder):
        await_front_end()
        yield service


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0", "1.3.0"])
def test_a_good_release_passes_all_of_its_tests(tmp_path: Path, version: str) -> None:
    release = Release("tradeapi", version)
    with under_test(release, tmp_path) as service:
        results = nunit(service, release, tmp_path)
    assert len(results) == 14
    assert failures(results) == set()


def test_the_defect_of_1_2_0_is_found_by_nunit_and_not_by_health(tmp_path: Path) -> None:
    release = Release("tradeapi", "1.2.0")
    with under_test(release, tmp_path) as service:
        assert service.health()["status"] == "ok"
        results = nunit(service, release, tmp_path)
    assert failures(results) == {"TheSpreadIsPositive"}


def test_another_version_or_node_than_expected_is_found(tmp_path: Path) -> None:
    release = Release("tradeapi", "1.1.0")
    with under_test(release, tmp_path) as service:
        other_version = nunit(service, release, tmp_path, version="1.3.0")
        other_node = nunit(service, release, tmp_path, node="n2")
    assert failures(other_version) == {"ServesTheExpectedVersion", "EveryAnswerNamesTheVersion"}
    assert failures(other_node) == {"EveryAnswerComesFromTheNodeAimedAt"}


def test_the_price_feed_has_an_assembly_of_its_own(tmp_path: Path) -> None:
    release = Release("pricefeed", "1.1.0")
    with under_test(release, tmp_path) as service:
        results = nunit(service, release, tmp_path)
    assert {"NamesItself", "HasPrices", "AnswersWithItsVersion"} < set(results)
    assert failures(results) == set()
