"""Results files of any size, as nunit-console 2.6.4 and NUnit 3's console write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import quoteattr

from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.junit_writer import JUnitWriter
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results import chunks_of, read_results
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import Results

_CASES = 20
_TRACE = """at Trade.Smoke.{fixture}.{name} () [0x00000] in <6d35e58cc64c4a2d8f51e4ca98d0f033>:0
at (wrapper managed-to-native) System.Reflection.RuntimeMethodInfo.InternalInvoke(System.Reflection.RuntimeMethodInfo,object,object[],System.Exception&amp;)
"""  # noqa: E501 (as mono writes it)


def write(path: Path, fixtures: Callable[[], Iterator[str]], head: str, tail: str, size: int) -> None:
    """As many fixtures as it takes until the file has `size` bytes."""
    with path.open("w", encoding="utf-8") as file:
        file.write(head)
        for fixture in fixtures():
            file.write(fixture)
            if file.tell() >= size:
                break
        file.write(tail)


def nunit3(path: Path, size: int) -> None:
    """Of every 20 cases one fails, nine have a category and output, ten passed and say no more."""
    head = (
        '<?xml version="1.0" encoding="utf-8" standalone="no"?>\n'
        '<test-run id="2" testcasecount="0" result="Failed" engine-version="3.17.0.0">\n'
        '<test-suite type="Assembly" id="0-1" name="Trade.Smoke.dll" fullname="C:\\tests\\Trade.Smoke.dll" '
        'result="Failed">\n'
    )
    write(path, _fixtures_3, head, "</test-suite>\n</test-run>\n", size)


def nunit2(path: Path, size: int) -> None:
    """Of every 20 cases one fails, one is ignored, one has a category."""
    head = (
        '<?xml version="1.0" encoding="utf-8" standalone="no"?>\n'
        '<test-results name="C:\\tests\\Trade.Smoke.dll" total="0" errors="0" failures="0" not-run="0">\n'
        '  <environment nunit-version="2.6.4.0" clr-version="4.0.30319.42000" platform="Win32NT" />\n'
        '  <test-suite type="Assembly" name="C:\\tests\\Trade.Smoke.dll" executed="True" result="Failure" '
        'success="False">\n'
        "    <results>\n"
    )
    write(path, _fixtures_2, head, "    </results>\n  </test-suite>\n</test-results>\n", size)


def junit(path: Path, source: Path) -> None:
    """The same cases as JUnit XML. Raises ValueError when the source can't be read."""
    with path.open("w+b") as file:
        writer = JUnitWriter(file, source.name)
        writer.begin("Trade.Smoke.dll", {})
        results = read_results(chunks_of(source), writer.case)
        writer.end()
        writer.close()
    if not isinstance(results, Results):
        raise ValueError(results.why)


def _fixtures_3() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        fixture = f"Fixture{number}"
        attributes = (
            'start-time="2026-01-31T12:00:00.1234567Z" end-time="2026-01-31T12:00:00.2345678Z" duration="0.1111111"'
        )
        cases = "".join(_case_3(fixture, number, case, attributes) for case in range(_CASES))
        yield (
            f'<test-suite type="TestFixture" id="0-{number}" name="{fixture}" fullname="Trade.Smoke.{fixture}" '
            f'classname="Trade.Smoke.{fixture}" runstate="Runnable" testcasecount="{_CASES}" result="Failed" '
            f'site="Child" {attributes} total="{_CASES}" passed="{_CASES - 1}" failed="1" warnings="0" '
            f'inconclusive="0" skipped="0" asserts="{_CASES}">\n'
            "<failure><message><![CDATA[One or more child tests had errors]]></message></failure>\n"
            f"{cases}</test-suite>\n"
        )


def _case_3(fixture: str, number: int, case: int, attributes: str) -> str:
    name = f"HasAPriceOf{case}"
    failed = case == 7
    head = (
        f'  <test-case id="0-{number}{case:02}" name="{name}" fullname="Trade.Smoke.{fixture}.{name}" '
        f'methodname="{name}" classname="Trade.Smoke.{fixture}" runstate="Runnable" seed="{number * 7919 + case}" '
        f'result="{"Failed" if failed else "Passed"}" {attributes} asserts="1"'
    )
    if failed:
        trace = f"   at Trade.Smoke.{fixture}.{name}() in C:\\src\\Trade\\{fixture}.cs:line {case}"
        return (
            f"{head}>\n    <failure>\n      <message><![CDATA[  Expected: 12\n  But was:  {number}\n]]></message>\n"
            f"      <stack-trace><![CDATA[{trace}\n]]></stack-trace>\n    </failure>\n  </test-case>\n"
        )
    if case % 2:
        properties = '<properties>\n      <property name="Category" value="Smoke" />\n    </properties>'
        output = f"    <output><![CDATA[asked for price {number}\n]]></output>\n"
        return f"{head}>\n    {properties}\n{output}  </test-case>\n"
    return f"{head} />\n"


def _fixtures_2() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        fixture = f"Fixture{number}"
        cases = "".join(_case_2(fixture, number, case) for case in range(_CASES))
        yield (
            f'      <test-suite type="TestFixture" name="{fixture}" executed="True" result="Failure" success="False" '
            f'time="0.266" asserts="0">\n        <results>\n{cases}        </results>\n      </test-suite>\n'
        )


def _case_2(fixture: str, number: int, case: int) -> str:
    name = f"HasAPriceOf{case}"
    full, indent = quoteattr(f"Trade.Smoke.{fixture}.{name}"), " " * 10
    if case == 7:
        trace = _TRACE.format(fixture=fixture, name=name)
        return (
            f'{indent}<test-case name={full} executed="True" result="Failure" success="False" time="0.027" '
            f'asserts="1">\n'
            f"{indent}  <failure>\n{indent}    <message><![CDATA[  Expected: 12\n  But was:  {number}\n]]></message>\n"
            f"{indent}    <stack-trace><![CDATA[{trace}]]></stack-trace>\n{indent}  </failure>\n{indent}</test-case>\n"
        )
    if case == 11:
        reason = "<reason>\n            <message><![CDATA[not yet]]></message>\n          </reason>"
        head = f'{indent}<test-case name={full} executed="False" result="Ignored">'
        return f"{head}\n{indent}{reason}\n{indent}</test-case>\n"
    head = f'{indent}<test-case name={full} executed="True" result="Success" success="True" time="0.000" asserts="1"'
    if case == 3:
        categories = '<categories>\n              <category name="Smoke" />\n            </categories>'
        return f"{head}>\n            {categories}\n{indent}</test-case>\n"
    return f"{head} />\n"
