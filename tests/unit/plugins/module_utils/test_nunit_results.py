"""What NUnit writes, as captured from nunit-console 2.6.4 and as the NUnit 3 documentation has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.nunit_results import (
    RESULTS_LIMIT,
    Case,
    CaseOutcome,
    Results,
    Unread,
    read_results,
)

SECOND = """<?xml version="1.0" encoding="utf-8" standalone="no"?>
<!--This file represents the results of running a test suite-->
<test-results name="/srv/tests/Smoke.dll" total="4" errors="0" failures="2" not-run="1" inconclusive="1" ignored="1">
  <environment nunit-version="2.6.4.0" />
  <test-suite type="Assembly" name="/srv/tests/Smoke.dll" executed="True" result="Failure" success="False">
    <results>
      <test-suite type="TestFixture" name="BadSetUp" executed="True" result="Error" success="False">
        <failure><message><![CDATA[SetUp : System.Exception : no database]]></message><stack-trace /></failure>
        <results>
          <test-case name="S.BadSetUp.A" executed="True" result="Failure" success="False">
            <failure><message><![CDATA[TestFixtureSetUp failed in BadSetUp]]></message><stack-trace /></failure>
          </test-case>
        </results>
      </test-suite>
      <test-suite type="TestFixture" name="Mixed" executed="True" result="Failure" success="False">
        <results>
          <test-suite type="ParameterizedTest" name="Cases" executed="True" result="Failure" success="False">
            <results>
              <test-case name="S.Mixed.Cases(1)" executed="True" result="Success" success="True" />
              <test-case name="S.Mixed.Cases(2)" executed="True" result="Failure" success="False">
                <failure><message><![CDATA[  Expected: 1
  But was:  2
]]></message></failure>
              </test-case>
            </results>
          </test-suite>
          <test-case name="S.Mixed.Later" executed="False" result="Ignored">
            <reason><message><![CDATA[not yet]]></message></reason>
          </test-case>
          <test-case name="S.Mixed.Unsure" executed="True" result="Inconclusive" success="False" />
        </results>
      </test-suite>
    </results>
  </test-suite>
</test-results>
"""

# https://docs.nunit.org/articles/nunit/technical-notes/usage/Test-Result-XML-Format.html
THIRD = """<?xml version="1.0" encoding="utf-8"?>
<test-run id="2" testcasecount="5" result="Passed" total="5" passed="5" failed="3">
  <test-suite type="Assembly" id="1" name="Smoke.dll" fullname="C:\\tests\\Smoke.dll" result="Failed">
    <failure><message><![CDATA[One or more child tests had errors]]></message></failure>
    <test-suite type="TestFixture" id="2" name="BadSetUp" result="Failed" site="SetUp">
      <failure><message><![CDATA[OneTimeSetUp: System.Exception : no database]]></message></failure>
      <test-case id="3" name="A" fullname="S.BadSetUp.A" result="Failed" label="Error" site="Parent">
        <failure><message><![CDATA[OneTimeSetUp: System.Exception : no database]]></message></failure>
      </test-case>
    </test-suite>
    <test-suite type="TestFixture" id="4" name="Mixed" result="Failed">
      <test-case id="5" name="Passes" fullname="S.Mixed.Passes" result="Passed"><failure></failure></test-case>
      <test-case id="6" name="Warns" fullname="S.Mixed.Warns" result="Warning" />
      <test-case id="7" name="Explicit" fullname="S.Mixed.Explicit" result="Skipped" label="Explicit" />
      <test-case id="8" name="Invalid" fullname="S.Mixed.Invalid" result="Failed" label="Invalid">
        <reason><message><![CDATA[No arguments were provided]]></message></reason>
      </test-case>
      <test-case id="9" name="Odd" fullname="S.Mixed.Odd" result="Exploded" />
    </test-suite>
  </test-suite>
</test-run>
"""


def read(text: str) -> Results:
    results = read_results(text.encode())
    assert isinstance(results, Results), results
    return results


def outcomes(results: Results) -> list[tuple[str, str]]:
    return [(case.name, case.outcome.value) for case in results.cases]


def test_the_second_generation_is_read() -> None:
    results = read(SECOND)
    assert results.cases == (
        Case(
            "S.BadSetUp.A",
            CaseOutcome.FAILED,
            "TestFixtureSetUp failed in BadSetUp: SetUp : System.Exception : no database",
            "Smoke.dll",
        ),
        Case("S.Mixed.Cases(1)", CaseOutcome.PASSED, "", "Smoke.dll"),
        Case("S.Mixed.Cases(2)", CaseOutcome.FAILED, "Expected: 1\n  But was:  2", "Smoke.dll"),
        Case("S.Mixed.Later", CaseOutcome.SKIPPED, "not yet", "Smoke.dll"),
        Case("S.Mixed.Unsure", CaseOutcome.INCONCLUSIVE, "", "Smoke.dll"),
    )
    assert results.remarks == ("TestFixture BadSetUp: SetUp : System.Exception : no database",)


def test_the_third_generation_is_read_and_its_totals_are_not_believed() -> None:
    results = read(THIRD)
    assert outcomes(results) == [
        ("S.BadSetUp.A", "failed"),
        ("S.Mixed.Passes", "passed"),
        ("S.Mixed.Warns", "passed"),
        ("S.Mixed.Explicit", "skipped"),
        ("S.Mixed.Invalid", "failed"),
        ("S.Mixed.Odd", "failed"),
    ]
    assert results.cases[-2].message == "No arguments were provided"
    assert results.cases[-1].message == "its result 'Exploded' is unknown"
    assert results.cases[0].assembly == "Smoke.dll"
    assert results.remarks == ("TestFixture BadSetUp: OneTimeSetUp: System.Exception : no database",)


def test_results_from_before_2_5_have_two_truth_values() -> None:
    cases = '<test-case name="a" executed="True" success="True"/><test-case name="b" executed="True" success="False"/>'
    results = read(f'<test-results>{cases}<test-case name="c" executed="False"/></test-results>')
    assert outcomes(results) == [("a", "passed"), ("b", "failed"), ("c", "skipped")]


def test_an_assembly_that_can_not_be_loaded_tells_why() -> None:
    results = read(
        '<test-results><test-suite type="Assembly" name="x.dll" result="NotRunnable"><reason>'
        "<message>bad image</message></reason></test-suite></test-results>"
    )
    assert (results.cases, results.remarks) == ((), ("Assembly x.dll: bad image",))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_encodings_are_read(encoding: str) -> None:
    results = read_results(_umlaut("utf-16" if "16" in encoding else "utf-8").encode(encoding))
    assert isinstance(results, Results)
    assert results.cases[0].name == "größer €"


@pytest.mark.parametrize("encoding", ["windows-1252", "iso-8859-15", "utf-7", "UTF8"])
def test_declared_encodings_are_read(encoding: str) -> None:
    results = read_results(_umlaut(encoding).encode(encoding))
    assert isinstance(results, Results)
    assert results.cases[0].name == "größer €"


def test_utf_8_that_dotnet_declares_as_utf_16_is_read() -> None:
    results = read_results(_umlaut("utf-16").encode("utf-8"))
    assert isinstance(results, Results)
    assert results.cases[0].name == "größer €"


def _umlaut(encoding: str) -> str:
    head = f'<?xml version="1.0" encoding="{encoding}"?>'
    return f'{head}<test-results><test-case name="größer €" result="Success"/></test-results>'


def test_control_characters_that_no_xml_may_hold_are_read_over() -> None:
    results = read(
        '<test-results><test-case name="a" result="Failure"><failure><message><![CDATA[\x1b[31m\x00red]]></message>'
        '</failure></test-case><test-case name="b&#x1B;&#65;" result="Success"/></test-results>'
    )
    assert results.cases[0].message == "\ufffd[31m\ufffdred"
    assert results.cases[1].name == "b\ufffdA"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "the results file is empty"),
        (b" \n", "the results file is empty"),
        (SECOND.encode()[:900], "cut off or is not XML"),
        (b"<test-results>", "cut off or is not XML"),
        (b"<html/>", "its root is <html>"),
        (b"Unhandled Exception:", "cut off or is not XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><test-results>&b;</test-results>', "a DTD or entities"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><test-results/>', "a DTD or entities"),
        (b'<?xml version="1.0" encoding="klingon"?><test-results/>', "unknown encoding: klingon"),
        (b'<?xml version="1.0" encoding="base64"?><test-results/>', "can't be read"),
        (b"<" + b" " * RESULTS_LIMIT, "larger than 50 MiB"),
    ],
    ids=lambda value: value[:20].decode() if isinstance(value, bytes) else None,
)
def test_what_is_no_results_file_is_told(data: bytes, why: str) -> None:
    results = read_results(data)
    assert isinstance(results, Unread)
    assert why in results.why


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_told(data: bytes) -> None:
    assert isinstance(read_results(b'<?xml version="1.0"?><test-results>' + data), Results | Unread)
    assert isinstance(read_results(data), Results | Unread)


@given(st.integers(0, len(SECOND) - 20))
def test_no_cut_makes_failing_results_pass(length: int) -> None:
    assert isinstance(read_results(SECOND.encode()[:length]), Unread)
