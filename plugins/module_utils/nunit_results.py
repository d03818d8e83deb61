# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what NUnit wrote: the cases, from results of NUnit 2.x and 3.x in any XML encoding."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

RESULTS_LIMIT = 50 * 1024 * 1024
_ROOTS = ("test-results", "test-run")
_MOST_REMARKS = 20
_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,200}\?>")
_DECLARED_ENCODING = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
# Observed: nunit-console 2.6.4 writes control characters of a failure's message raw, which no XML parser accepts.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REFERENCE = re.compile(r"&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class CaseOutcome(StrEnum):
    """How one test ended, for both generations of NUnit."""

    PASSED = "passed"
    FAILED = "failed"
    """Failed, threw, could not be run, or sits in a fixture whose set-up failed."""
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    """Ignored, or left out by a filter."""


_OUTCOMES = {
    "success": CaseOutcome.PASSED,
    "passed": CaseOutcome.PASSED,
    "warning": CaseOutcome.PASSED,
    "failure": CaseOutcome.FAILED,
    "failed": CaseOutcome.FAILED,
    "error": CaseOutcome.FAILED,
    "cancelled": CaseOutcome.FAILED,
    "notrunnable": CaseOutcome.FAILED,
    "inconclusive": CaseOutcome.INCONCLUSIVE,
    "ignored": CaseOutcome.SKIPPED,
    "skipped": CaseOutcome.SKIPPED,
}


@dataclass(frozen=True, slots=True)
class Case:
    """One test case; a parameterised test has one for each set of arguments."""

    name: str
    outcome: CaseOutcome
    message: str = ""
    assembly: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """All cases in the file's order, and what suites complain about themselves (tear-downs, unreadable assemblies)."""

    cases: tuple[Case, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """The file holds no results that can be trusted, and why."""

    why: str


@dataclass(slots=True)
class _Suite:
    kind: str
    name: str
    message: str = ""


@dataclass(slots=True)
class _Reading:
    """What was read so far; the suites are those that are open here."""

    suites: list[_Suite] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read_results(data: bytes) -> Results | Unread:
    """The cases of an NUnit results file. Totals that the file states about itself are not believed.

    DTDs and entities are refused, and so are more than 50 MiB.
    """
    if not data.strip():
        return Unread("the results file is empty")
    if len(data) > RESULTS_LIMIT:
        return Unread(f"the results file is larger than {RESULTS_LIMIT // 1024 // 1024} MiB")
    try:
        return _parsed(_readable(data))
    except ParseError as error:
        return Unread(f"the results file is cut off or is not XML ({error})")
    except DefusedXmlException as error:
        return Unread(f"the results file has a DTD or entities, which NUnit never writes ({type(error).__name__})")
    except (LookupError, ValueError) as error:
        return Unread(f"the results file can't be read: {error}")


def _readable(data: bytes) -> bytes:
    """The document as UTF-8 without declaration, and without characters that XML does not allow."""
    text = data.decode(_encoding(data), "replace").removeprefix("\ufeff")
    text = _NOT_XML.sub("\ufffd", _DECLARATION.sub("", text, count=1))
    return _REFERENCE.sub(_allowed_reference, text).encode()


def _encoding(data: bytes) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return encoding
    if data.startswith(b"<\0"):
        return "utf-16-le"
    if data.startswith(b"\0<"):
        return "utf-16-be"
    declared = _DECLARED_ENCODING.match(data)
    name = codecs.lookup(declared[1].decode()).name if declared else "utf-8"
    # .NET's StringWriter declares UTF-16 whatever is written; a declaration that can be read here is not UTF-16.
    return "utf-8" if name.startswith(("utf-16", "utf-32")) else name


def _allowed_reference(match: re.Match[str]) -> str:
    code = int(match[1], 16) if match[1] else int(match[2])
    allowed = code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code <= 0x10FFFF
    return match[0] if allowed else "\ufffd"


def _parsed(document: bytes) -> Results | Unread:
    reading = _Reading()
    root = None
    path: list[str] = []
    for event, element in _events(document):
        if event == "start":
            root = root or element.tag
            if root not in _ROOTS:
                return Unread(f"the file is XML but no NUnit results: its root is <{root[:60]}>")
            path.append(element.tag)
            if element.tag == "test-suite":
                reading.suites.append(_Suite(element.get("type", ""), element.get("name", "")))
        else:
            _ended(element, path, reading)
            path.pop()
    return Results(tuple(reading.cases), tuple(reading.remarks))


def _events(document: bytes) -> Iterator[tuple[str, Element]]:
    yield from iterparse(io.BytesIO(document), events=("start", "end"), forbid_dtd=True)


def _ended(element: Element, path: list[str], reading: _Reading) -> None:
    if element.tag == "test-case":
        reading.cases.append(_case(element, reading.suites))
        element.clear()
    elif element.tag == "message" and path[-3:-1] in (["test-suite", "failure"], ["test-suite", "reason"]):
        # Before the suite's cases in the file, so that these can say why the fixture's set-up failed.
        reading.suites[-1].message = _text(element)
    elif element.tag == "test-suite":
        _remark(element, reading)
        reading.suites.pop()
        element.clear()
    elif element.tag == "results":
        element.clear()


def _case(element: Element, suites: list[_Suite]) -> Case:
    name = element.get("fullname") or element.get("name") or "(a test without a name)"
    outcome, unknown = _outcome(element)
    message = unknown or _text(element.find("failure/message")) or _text(element.find("reason/message"))
    if outcome is CaseOutcome.FAILED and _blames_fixture(element, message):
        message = _with_cause(message, suites)
    assembly = next((suite.name for suite in reversed(suites) if suite.kind == "Assembly"), "")
    return Case(name, outcome, message, re.split(r"[/\\]", assembly)[-1])


def _outcome(element: Element) -> tuple[CaseOutcome, str]:
    told = element.get("result")
    if told is None:
        # NUnit before 2.5 has two truth values instead.
        if element.get("executed", "").lower() != "true":
            return CaseOutcome.SKIPPED, ""
        return (CaseOutcome.PASSED if element.get("success", "").lower() == "true" else CaseOutcome.FAILED), ""
    outcome = _OUTCOMES.get(told.lower())
    if outcome is None:
        return CaseOutcome.FAILED, f"its result {told[:60]!r} is unknown"
    if outcome is CaseOutcome.SKIPPED and element.get("label", "").lower() == "invalid":
        return CaseOutcome.FAILED, ""
    return outcome, ""


def _blames_fixture(element: Element, message: str) -> bool:
    return element.get("site") == "Parent" or message.startswith(("TestFixtureSetUp failed", "SetUpFixture"))


def _with_cause(message: str, suites: list[_Suite]) -> str:
    cause = next((suite.message for suite in reversed(suites) if suite.message), "")
    return message if not cause or cause in message else f"{message}: {cause}".removeprefix(": ")


def _remark(element: Element, reading: _Reading) -> None:
    suite = reading.suites[-1]
    broken = element.get("result", "").lower() in ("error", "failed", "failure", "notrunnable")
    # NUnit 3 says this of every suite with a failed case.
    tells = suite.message and not suite.message.startswith("One or more child tests had")
    if broken and tells and len(reading.remarks) < _MOST_REMARKS:
        reading.remarks.append(f"{suite.kind or 'suite'} {suite.name}: {suite.message}")


def _text(element: Element | None) -> str:
    return (element.text or "").strip() if element is not None else ""
