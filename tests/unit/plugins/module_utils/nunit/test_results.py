"""Test results of all four formats. results/nunit2.xml is what nunit-console 2.6.4 wrote of results/nunit2.cs on mono,
paths and names changed; the others are written after the documents that they name."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.nunit import results_format
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results import (
    CHUNK,
    RESULTS_LIMIT,
    chunks_of,
    read_results,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import (
    Case,
    CaseOutcome,
    Results,
    Unread,
    seconds_of,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_junit import STATES
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_nunit import OUTCOMES as NUNIT_OUTCOMES
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_trx import NAMESPACE
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_trx import OUTCOMES as TRX_OUTCOMES

FOLDER = Path(__file__).parent.parent / "results"
FILES = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in (".xml", ".trx")}


def read(data: str | bytes | Iterable[bytes]) -> tuple[Results, list[Case]]:
    cases: list[Case] = []
    chunks = [data.encode()] if isinstance(data, str) else [data] if isinstance(data, bytes) else data
    results = read_results(chunks, cases.append)
    assert isinstance(results, Results), results
    return results, cases


def unread(data: bytes | Iterable[bytes]) -> str:
    results = read_results([data] if isinstance(data, bytes) else data, lambda _case: None)
    assert isinstance(results, Unread), results
    return results.why


def told(cases: list[Case]) -> list[str]:
    return [f"{case.name} {case.outcome}{f': {case.message}' if case.message else ''}" for case in cases]


def test_what_nunit_2_wrote_is_read() -> None:
    results, cases = read(chunks_of(FOLDER / "nunit2.xml"))
    assert told(cases) == [
        "Probe.BrokenSetUp.First failed: "
        "TestFixtureSetUp failed in BrokenSetUp: SetUp : System.Exception : no database",
        "Probe.BrokenTearDown.Passes passed",
        "Probe.Mixed.Fails failed: the price\n  Expected string length 8 but was 3. Strings differ at index 0.\n"
        '  Expected: "new\ufffd[31m"\n  But was:  "old"\n  -----------^',
        "Probe.Mixed.Grösse passed",
        "Probe.Mixed.Ignored skipped: not yet",
        "Probe.Mixed.Inconclusive inconclusive: cannot tell",
        "Probe.Mixed.NeedsArguments failed: No arguments were provided",
        "Probe.Mixed.OneOfTwo(1) passed",
        "Probe.Mixed.OneOfTwo(2) failed: Expected: 1\n  But was:  2",
        "Probe.Mixed.Passes passed",
        "Probe.Mixed.Throws failed: System.InvalidOperationException : boom",
    ]
    assert {case.assembly for case in cases} == {"Mixed.dll"}
    assert (cases[3].categories, cases[0].categories, cases[2].seconds) == (("Slow", "Größe"), (), 0.027)
    assert results == Results(
        "NUnit 2",
        11,
        (
            "TestFixture BrokenSetUp: SetUp : System.Exception : no database",
            "TestFixture BrokenTearDown is Failure although none of its cases is",
        ),
    )


def test_nunit_3_is_read_and_its_totals_are_not_believed() -> None:
    results, cases = read(FILES["nunit3.xml"])
    assert told(cases) == [
        "S.BadSetUp.A failed: OneTimeSetUp: System.Exception : no database",
        "S.BadTearDown.B passed",
        "S.Mixed.Passes passed",
        "S.Mixed.Warns passed: slow today",
        "S.Mixed.Explicit skipped",
        "S.Mixed.Invalid failed: No arguments were provided",
        "S.Mixed.Unsure inconclusive: cannot tell",
        'S.Mixed.Twice(1,"a") failed: Expected: 1\n  But was:  2',
        "S.Mixed.Odd failed: its result 'Exploded' is unknown",
    ]
    assert {case.assembly for case in cases} == {"Smoke.dll"}
    assert [case.categories for case in cases[:4]] == [
        ("Smoke",),
        ("Smoke",),
        ("Smoke", "Slow"),
        ("Smoke", "Slow", "Network"),
    ]
    assert results.remarks == (
        "TestFixture BadSetUp: OneTimeSetUp: System.Exception : no database",
        "TestFixture BadTearDown: TearDown : System.Exception : still open",
    )


def test_trx_is_read_with_the_classes_and_categories_that_stand_behind_the_results() -> None:
    results, cases = read(FILES["vstest.trx"])
    assert told(cases) == [
        "S.Mixed.Passes passed",
        "S.Mixed.Fails failed: Assert.AreEqual failed. Expected:<1>. Actual:<2>.",
        "S.Mixed.Rows (Data Row 0) passed",
        "S.Mixed.Rows (Data Row 1) failed: row 1",
        "S.Mixed.Ignored skipped: not yet",
        "S.Mixed.Unsure inconclusive",
        "S.Mixed.NoOutcome failed",
        "S.Mixed.Late failed",
        "S.Other.Undefined passed",
    ]
    assert cases[0] == Case(
        "S.Mixed.Passes", CaseOutcome.PASSED, "", "Smoke.dll", categories=("Smoke", "Fast"), seconds=1.5
    )
    assert (results.remarks, results.aborted) == (("the class clean-up threw",), "")


def trx(results: str, summary: str = "Completed", run_infos: str = "") -> str:
    told = f'<ResultSummary outcome="{summary}">{run_infos}</ResultSummary>'
    return f'<TestRun xmlns="{NAMESPACE}"><Results>{results}</Results>{told}</TestRun>'


def test_a_trx_test_that_failed_outside_its_rows_counts() -> None:
    row = '<InnerResults><UnitTestResult testName="row" outcome="Passed"/></InnerResults>'
    _results, cases = read(trx(f'<UnitTestResult testName="T" outcome="Failed">{row}</UnitTestResult>'))
    assert told(cases) == ["row passed", "T failed"]


@pytest.mark.parametrize("summary", ["Aborted", "Timeout", "Disconnected", "InProgress"])
def test_a_trx_of_a_run_that_was_ended_says_so(summary: str) -> None:
    results, _cases = read(trx('<UnitTestResult testName="T" outcome="Passed"/>', summary))
    assert results.aborted == f"its summary says {summary}"


CRASHED = "The active test run was aborted. Reason: Test host process crashed"


@pytest.mark.parametrize(
    "outcome, summary, text, aborted",
    [
        # What vstest's TrxLogger leaves of a test host that crashed: all that ran has passed.
        ("Passed", "Failed", CRASHED, "it says so itself"),
        ("Failed", "Failed", CRASHED, "it says so itself"),
        (
            "Passed",
            "Completed",
            "Aborting test run: test run timeout of 1000 milliseconds exceeded.",
            "it says so itself",
        ),
        # The same in a language that isn't English.
        ("Passed", "Failed", "Der aktive Testlauf wurde abgebrochen.", "its summary says Failed and no test failed"),
        ("Passed", "Error", "", "its summary says Error and no test failed"),
        ("Failed", "Failed", "the class clean-up threw", ""),
        ("Passed", "Completed", "the class clean-up threw: the connection was aborted", ""),
    ],
)
def test_a_trx_of_a_test_host_that_crashed_says_so(outcome: str, summary: str, text: str, aborted: str) -> None:
    run_infos = f'<RunInfos><RunInfo outcome="Error"><Text>{text}</Text></RunInfo></RunInfos>' if text else ""
    results, _cases = read(trx(f'<UnitTestResult testName="T" outcome="{outcome}"/>', summary, run_infos))
    assert results.aborted == aborted


@pytest.mark.parametrize("run, suite", [("Cancelled", "Cancelled"), ("Cancelled", ""), ("", "Cancelled")])
def test_a_run_of_nunit_3_that_was_cancelled_says_so(run: str, suite: str) -> None:
    case = '<test-case fullname="N.A" result="Passed"/>'
    assembly = f'<test-suite type="Assembly" name="A.dll" result="Failed" label="{suite}">{case}</test-suite>'
    results, _ = read(f'<test-run testcasecount="200" result="Failed" label="{run}">{assembly}</test-run>')
    assert results.aborted == "it says itself that it was cancelled"


def test_a_single_case_that_was_cancelled_failed_and_its_run_went_on() -> None:
    results, cases = read('<test-run><test-case fullname="N.A" result="Failed" label="Cancelled"/></test-run>')
    assert (results.aborted, told(cases)) == ("", ["N.A failed"])


def test_junit_is_read() -> None:
    results, cases = read(FILES["junit.xml"])
    assert told(cases) == [
        "S.Mixed.Passes passed",
        "S.Mixed.Fails failed: expected 1",
        "S.Mixed.Throws failed: boom\n  at S.Mixed.Throws",
        "S.Mixed.Ignored skipped: not yet",
        "S.Mixed.SkippedThenFailed failed: after all",
        "S.Mixed.Flaky passed",
        "G.NotRun skipped",
        "G.Suppressed skipped",
        "S.Full.Name passed",
    ]
    assert (cases[0].seconds, cases[0].categories, {case.assembly for case in cases}) == (
        1234.5,
        ("Smoke",),
        {"Smoke.dll"},
    )
    assert results.format == "JUnit"


def test_a_class_is_not_taken_for_the_beginning_of_a_name() -> None:
    _results, cases = read('<testsuite><testcase classname="Ad" name="Add"/></testsuite>')
    assert cases[0].name == "Ad.Add"


def test_what_a_junit_suite_says_of_itself_is_told() -> None:
    results, cases = read('<testsuites><testsuite name="S"><error message="no database"/></testsuite></testsuites>')
    assert (cases, results.remarks) == ([], ("suite S: no database",))


@pytest.mark.parametrize("told_so", sorted(NUNIT_OUTCOMES))
def test_every_result_of_nunit_counts_as_the_table_says(told_so: str) -> None:
    _results, cases = read(f'<test-run><test-case name="T" result="{told_so.title()}"/></test-run>')
    assert cases[0].outcome is NUNIT_OUTCOMES[told_so]


@pytest.mark.parametrize("told_so", sorted(TRX_OUTCOMES))
def test_every_outcome_of_trx_counts_as_the_table_says(told_so: str) -> None:
    _results, cases = read(trx(f'<UnitTestResult testName="T" outcome="{told_so.upper()}"/>'))
    assert cases[0].outcome is TRX_OUTCOMES[told_so]


@pytest.mark.parametrize("told_so", sorted(STATES))
def test_every_state_of_junit_counts_as_the_table_says(told_so: str) -> None:
    _results, cases = read(f'<testsuite><testcase name="T" status="{told_so}"/></testsuite>')
    assert cases[0].outcome is STATES[told_so]


@pytest.mark.parametrize(
    ("case", "shown"),
    [
        ('<testcase name="T" status="Broken"/>', "T failed: its status 'broken' is unknown"),
        ('<testcase name="T" status="run" result="timeout"/>', "T failed: its result 'timeout' is unknown"),
        ('<testcase name="T" status="gone"><failure message="no price"/></testcase>', "T failed: no price"),
        ('<testcase name="T" status="run" result="Completed"/>', "T passed"),
        (
            '<testcase name="T"><skipped>not <failure message="after all"/>yet</skipped></testcase>',
            "T failed: after all",
        ),
    ],
)
def test_no_word_of_junit_that_is_unknown_is_a_pass_and_the_worst_counts(case: str, shown: str) -> None:
    _results, cases = read(f"<testsuite>{case}</testsuite>")
    assert told(cases) == [shown]


def test_results_from_before_2_5_have_two_truth_values() -> None:
    cases = '<test-case name="a" executed="True" success="True"/><test-case name="b" executed="True" success="False"/>'
    _results, found = read(f'<test-results>{cases}<test-case name="c" executed="False"/></test-results>')
    assert told(found) == ["a passed", "b failed", "c skipped"]


def test_an_nunit_case_without_a_result_has_failed_and_says_so() -> None:
    _results, found = read('<test-run><test-case fullname="N.A"/></test-run>')
    assert [(case.outcome, case.message) for case in found] == [(CaseOutcome.FAILED, "it has no result")]


def test_an_assembly_that_can_not_be_loaded_tells_why() -> None:
    results, cases = read(
        '<test-results><test-suite type="Assembly" name="x.dll" result="NotRunnable"><reason>'
        "<message>bad image</message></reason></test-suite></test-results>"
    )
    assert (cases, results.remarks) == ([], ("Assembly x.dll: bad image",))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_encodings_are_read(encoding: str) -> None:
    _results, cases = read(_umlaut("utf-16" if "16" in encoding else "utf-8").encode(encoding))
    assert cases[0].name == "größer €"


@pytest.mark.parametrize(
    "encoding", ["windows-1252", "windows-1250", "iso-8859-15", "utf-7", "UTF8", "cp1140", "ibm850"]
)
def test_declared_encodings_are_read(encoding: str) -> None:
    # Cp1140 is EBCDIC: its declaration can't be read as ASCII, and XML needs a mark then.
    if encoding == "cp1140":
        assert "is not XML" in unread(_umlaut(encoding).encode(encoding))
        return
    text = _umlaut(encoding) if encoding not in ("windows-1250", "ibm850") else _umlaut(encoding).replace("€", "ß")
    _results, cases = read(text.encode(encoding))
    assert cases[0].name.startswith("größer ")


def test_utf_8_that_dotnet_declares_as_utf_16_is_read() -> None:
    _results, cases = read(_umlaut("utf-16").encode("utf-8"))
    assert cases[0].name == "größer €"


def _umlaut(encoding: str) -> str:
    head = f'<?xml version="1.0" encoding="{encoding}"?>'
    return f'{head}<test-results><test-case name="größer €" result="Success"/></test-results>'


def test_what_is_not_of_the_encoding_is_replaced() -> None:
    _results, cases = read(b'<test-run><test-case name="\xff\xfe\xc3" result="Passed"/></test-run>')
    assert cases[0].name == "\ufffd\ufffd\ufffd"


def test_control_characters_that_no_xml_may_hold_are_read_over() -> None:
    _results, cases = read(
        '<test-results><test-case name="a" result="Failure"><failure><message><![CDATA[\x1b[31m\x00red]]></message>'
        '</failure></test-case><test-case name="b&#x1B;&#65;&#xFFFF;\uffff" result="Success"/></test-results>'
    )
    assert cases[0].message == "\ufffd[31m\ufffdred"
    assert cases[1].name == "b\ufffdA\ufffd\ufffd"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_pieces_of_any_size_give_the_same(name: str, encoding: str, size: int) -> None:
    text = FILES[name].decode().replace("not yet", "not &#x1B; yet")
    data = text.encode(encoding)
    assert read(data[begin : begin + size] for begin in range(0, len(data), size)) == read(text)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "the results file is empty"),
        (b" \n", "the results file is empty"),
        (b"\xff\xfe", "the results file is empty"),
        (b"\xef\xbb\xbf\n", "the results file is empty"),
        (b"\0" * 5000, "the results file is empty"),
        (b"<test-results>", "is cut off: it ends at line 1, column 15"),
        (FILES["nunit2.xml"][:3000], "is cut off: it ends at line 45, column 49"),
        (b'<?xml version="1.0"?>\n<!-- nothing more -->', "is cut off: it ends at line 2"),
        (b"<html/>", "its root is <html>"),
        (b"<assemblies/>", "its root is <assemblies>"),
        (b"Unhandled Exception:", "is not XML at line 1, column 1: syntax error"),
        (b"<test-run>\n<a></b></test-run>", "is not XML at line 2, column 6: mismatched tag"),
        (b"<test-run/><test-run/>", "is not XML at line 1, column 12: junk after document element"),
        (b"<test-run>&nbsp;</test-run>", "undefined entity"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><test-results>&b;</test-results>', "a DTD or entities"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><test-results/>', "a DTD or entities"),
        (b'<?xml version="1.0" encoding="klingon"?><test-results/>', "unknown encoding: klingon"),
        (b'<?xml version="1.0" encoding="base64"?><test-results/>', "can't be read"),
        (b"<TestRun/>", "its namespace is missing"),
        (b'<TestRun xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2006"/>', "TeamTest/2006"),
        (b'<test-run><test-case name="a"><test-case name="b"/></test-case></test-run>', "a <test-case> inside another"),
        (b'<test-run><test-case name="a"><test-suite/></test-case></test-run>', "a <test-suite> inside another"),
        (b"<testsuite><testcase><testcase/></testcase></testsuite>", "a <testcase> inside another"),
    ],
    ids=lambda value: value[:20].decode(errors="replace") if isinstance(value, bytes) else None,
)
def test_what_is_no_results_file_is_told(data: bytes, why: str) -> None:
    assert why in unread(data)


def repeated(head: bytes, piece: bytes, times: int) -> Iterator[bytes]:
    yield head
    for _ in range(times):
        yield piece


BOMB = b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]><test-run>&c;</test-run>'


@pytest.mark.parametrize(
    ("chunks", "why"),
    [
        ([BOMB], "a DTD or entities"),
        (repeated(b"<test-run>", b"<a>" * 10_000, 2000), "nests more than 200 elements, at line 1"),
        (repeated(b'<test-run><test-case name="', b"x" * CHUNK, 1000), "a tag or comment of more than 1024 KiB"),
        (repeated(b"<test-run><!--", b"x" * CHUNK, 1000), "a tag or comment of more than 1024 KiB"),
        (repeated(b"<test-run>\n", b" " * (1024 * 1024), 200), "larger than 100 MiB"),
    ],
    ids=["entities", "depth", "attribute", "comment", "size"],
)
def test_what_would_fill_the_memory_is_refused(chunks: Iterable[bytes], why: str) -> None:
    tracemalloc.start()
    try:
        assert why in unread(chunks)
        assert tracemalloc.get_traced_memory()[1] < 24 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["nunit2.xml", "nunit3.xml", "vstest.trx", "junit.xml"])
def test_more_cases_than_anybody_has_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_format, "MOST_CASES", 5)
    assert unread(FILES[name]) == "the results file holds more than 5 cases"


def test_many_failures_with_long_messages_take_no_more_memory_than_one() -> None:
    case = (
        b'<test-case name="T" result="Failed"><failure><message>' + b"m" * 200_000 + b"</message></failure></test-case>"
    )
    lengths: list[int] = []
    tracemalloc.start()
    try:
        read_results(repeated(b"<test-run>", case, 50), lambda each: lengths.append(len(each.message)))
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert lengths == [2000] * 50


def test_secrets_are_taken_out_before_anything_is_cut() -> None:
    cases: list[Case] = []
    message = "x" * 1995 + "hunter2"
    data = f'<test-run><test-case name="T(hunter2)" result="Failed"><failure><message>{message}</message></failure>'
    read_results([f"{data}</test-case></test-run>".encode()], cases.append, lambda text: text.replace("hunter2", "***"))
    assert cases[0].name == "T(***)"
    assert cases[0].message == "x" * 1995 + "***"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_told(data: bytes) -> None:
    for root in (b"", b"<test-results>", b"<testsuite>", f'<TestRun xmlns="{NAMESPACE}">'.encode()):
        assert isinstance(read_results([root + data], lambda _case: None), Results | Unread)


@pytest.mark.parametrize("data", [b"\xff", b"\xfe", b"\xef", b"\xef\xbb", b"\xff\xfe", b"\xef\xbb\xbf"])
def test_a_file_that_ends_in_its_byte_order_mark_is_empty(data: bytes) -> None:
    assert "is empty" in unread(data)


@settings(max_examples=150)
@given(st.sampled_from(sorted(FILES)), st.sampled_from(["utf-8", "utf-16"]), st.floats(0, 1))
def test_no_cut_file_is_taken_for_a_whole_one(name: str, encoding: str, where: float) -> None:
    data = FILES[name].decode().rstrip().encode(encoding)
    # One byte less than the whole is a cut as well.
    why = unread(data[: int(where * (len(data) - 1))])
    assert "is cut off" in why or "is empty" in why


@settings(max_examples=150)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_damaged_files_are_read_or_told(name: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(read_results([bytes(damaged)], lambda _case: None), Results | Unread)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0.012", 0.012),
        ("1,234.5", 1234.5),
        ("00:01:02.5", 62.5),
        ("1.00:00:01", 86401.0),
        ("", 0.0),
        (None, 0.0),
        ("NaN", 0.0),
        ("-1", 0.0),
        ("1e999", 0.0),
        ("soon", 0.0),
    ],
)
def test_durations_are_read_as_all_formats_write_them(text: str | None, seconds: float) -> None:
    assert seconds_of(text) == seconds


def test_the_limit_is_that_of_the_documentation() -> None:
    assert RESULTS_LIMIT == 100 * 1024 * 1024
