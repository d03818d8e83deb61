"""The module nunit_results as ansible-playbook runs it, its own examples first."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from defusedxml.ElementTree import parse

from ansible_collections.tidegate.delivery.plugins.modules.nunit_results import EXAMPLES
from tests.integration.checks.plays import Place

SAMPLES = Path(__file__).parents[2] / "unit" / "plugins" / "module_utils" / "results"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path, {})
    (tmp_path / "results").mkdir()
    return made


def kept(place: Place, name: str, text: str) -> str:
    path = place.folder / "results" / name
    path.write_text(text)
    return str(path)


def test_the_first_example_judges_and_merges_into_junit(place: Place) -> None:
    example = yaml.safe_load(EXAMPLES)[0]
    kept(place, "unit.xml", '<testsuite><testcase classname="S.Unit" name="Fast" time="1"/></testsuite>')
    trx = (SAMPLES / "vstest.trx").read_text()
    for ended in ('outcome="Failed"', 'outcome="Timeout"', 'outcome="Inconclusive"'):
        trx = trx.replace(ended, 'outcome="Passed"')
    failing = trx.replace('testName="NoOutcome"', 'testName="NoOutcome" outcome="Passed"').replace(
        'testName="Fails" computerName="TESTBOX" duration="00:00:00.0100000" outcome="Passed"',
        'testName="Fails" computerName="TESTBOX" duration="00:00:00.0100000" outcome="Failed"',
    )
    kept(place, "smoke.trx", failing)
    looked = place.play(example, lock=False, check=True)
    assert (looked.result["outcome"], looked.result["changed"]) == ("passed", True)
    assert not (place.folder / "results" / "junit.xml").exists()
    done = place.play(example, lock=False)
    assert done.rc == 0, done.output
    judged = {
        key: done.result[key] for key in ("outcome", "total", "passed", "quarantined", "skipped_tests", "changed")
    }
    assert judged == {
        "outcome": "passed",
        "total": 10,
        "passed": 8,
        "quarantined": ["S.Mixed.Fails"],
        "skipped_tests": 1,
        "changed": True,
    }
    assert [(file["format"], file["cases"]) for file in done.result["files"]] == [("JUnit", 1), ("TRX", 9)]
    root = parse(place.folder / "results" / "junit.xml").getroot()
    assert root is not None
    assert [(suite.get("name"), suite.get("tests"), suite.get("skipped")) for suite in root] == [
        ("unit.xml", "1", "0"),
        ("smoke.trx", "9", "2"),
    ]
    assert place.play(example, lock=False).result["changed"] is False


def test_the_second_example_reads_on_a_host_and_tells_what_failed(place: Place) -> None:
    example = yaml.safe_load(EXAMPLES)[1]
    example["tidegate.delivery.nunit_results"] |= {"host": "box", "files": [str(SAMPLES / "nunit2.xml")]}
    done = place.play(example, lock=False)
    assert done.rc == 0, done.output
    assert (done.result["outcome"], done.result["left_out"]) == ("failed", 9)
    assert done.result["failing"] == [
        "Probe.BrokenSetUp.First: TestFixtureSetUp failed in BrokenSetUp: SetUp : System.Exception : no database"
    ]


def test_what_can_not_be_judged_is_told_without_a_traceback(place: Place) -> None:
    endless = place.play({"tidegate.delivery.nunit_results": {"files": ["/dev/zero"]}}, lock=False)
    assert "is no file (/dev/zero)" in endless.result["msg"]
    good = kept(place, "good.xml", '<testsuite><testcase name="A"/></testsuite>')
    onto = place.play({"tidegate.delivery.nunit_results": {"files": [good], "junit": good}}, lock=False)
    assert f"is one of the files (junit: {good})" in onto.result["msg"]
    assert "<testsuites" not in Path(good).read_text()
    cut = kept(place, "cut.xml", "<test-run>\n<test-suite")
    done = place.play({"tidegate.delivery.nunit_results": {"files": [cut]}}, lock=False)
    assert done.rc != 0
    assert (done.result["outcome"], done.result["where"]) == ("broken_results", cut)
    assert f"{cut}: the results file is cut off: it ends at line 2, column 1" in done.result["msg"]
    assert done.result["remedy"] in done.result["msg"]
    assert "Traceback" not in done.output
