from __future__ import annotations

import io
from datetime import date
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring

from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.gate import Gate, Quarantined, Rules
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.junit_report import Suite, write_report

TODAY = date(2026, 1, 31)
RESULTS = b"""<test-run><test-suite type="Assembly" name="A.dll">
<test-case fullname="S.A" result="Passed"/><test-case fullname="S.B(1)" result="Failed"/></test-suite></test-run>"""


def gate(*excused: str) -> Gate:
    return Gate(Rules(quarantine=tuple(Quarantined(test, TODAY, "TRADE-117") for test in excused)), TODAY)


def cases_of(*suites: Suite) -> dict[str, dict[str, tuple[str, str]]]:
    """By suite and case, what is told below the case and its message."""
    file = io.BytesIO()
    write_report(file, "d1", suites)
    root = fromstring(file.getvalue())
    assert isinstance(root, Element)
    return {
        str(suite.get("name")): {
            f"{case.get('classname')}.{case.get('name')}": next(
                ((each.tag, str(each.get("message"))) for each in case), ("passed", "")
            )
            for case in suite.iter("testcase")
        }
        for suite in root
    }


def test_each_node_is_a_suite_with_its_verdict_among_the_cases() -> None:
    told = cases_of(
        Suite("s.n1", "passed", "of 2 tests 1 passed, 1 quarantined", gate("S.B"), [RESULTS], "ab" * 32),
        Suite("s.n2", "failed", "of 2 tests 1 passed, 1 failed", gate(), [RESULTS], "ab" * 32),
    )
    assert told == {
        "s.n1": {
            "S.A": ("passed", ""),
            "S.B(1)": ("skipped", "in quarantine until 2026-01-31 (TRADE-117): failed"),
            "tidegate.s.n1.gate": ("passed", ""),
        },
        "s.n2": {
            "S.A": ("passed", ""),
            "S.B(1)": ("failure", "failed"),
            "tidegate.s.n2.gate": ("failure", "of 2 tests 1 passed, 1 failed"),
        },
    }


def test_a_node_without_results_fails_all_the_same() -> None:
    told = cases_of(
        Suite("s.n1", "timed_out", "the tests did not end within 10m", gate()),
        Suite("s.n2", "passed", "of 2 tests 2 passed", gate(), None, "ab" * 32, problem="it was removed"),
        Suite("s.n3", "broken_results", "the results file is cut off", gate(), [RESULTS[:100]]),
    )
    assert told["s.n1"] == {"tidegate.s.n1.gate": ("failure", "the tests did not end within 10m")}
    assert told["s.n2"]["tidegate.s.n2.results"] == ("failure", "it was removed")
    assert told["s.n3"]["S.A"] == ("passed", "")
    assert told["s.n3"]["tidegate.s.n3.results"][1].startswith("the results file is cut off: it ends at line 2")
