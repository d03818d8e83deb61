# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test results as JUnit XML for Jenkins, written as a stream: what is in memory does not grow with the cases.

Source: what Jenkins' JUnit plugin reads, as the jenkins-junit.xsd of its xUnit plugin has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import IO

from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.case_text import first_line
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import Case, CaseOutcome

# The totals stand before the cases and are known behind them: so much room is left for them.
_ROOM = 120
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_IN_ATTRIBUTE = str.maketrans(_ESCAPES)
_IN_TEXT = str.maketrans({key: _ESCAPES[key] for key in "&<>\r"})
_PLAIN = re.compile(r"[^&<>\"\t\n\r]*")


class _Totals:
    def __init__(self, at: int) -> None:
        self.at = at
        self.tests = self.failures = self.skipped = 0
        self.seconds = 0.0

    def text(self) -> str:
        told = f'tests="{self.tests}" failures="{self.failures}" errors="0" skipped="{self.skipped}"'
        return f'{told} time="{self.seconds:.3f}"'.ljust(_ROOM)


class JUnitWriter:
    """Writes into a binary file that can seek. Call `begin`, `case` and `end` for each suite, then `close`."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._write('<?xml version="1.0" encoding="UTF-8"?>\n')
        self._all = self._opened("testsuites", name)
        self._suite = self._all

    def begin(self, name: str, properties: Mapping[str, str]) -> None:
        """A suite begins."""
        self._suite = self._opened("testsuite", name)
        if properties:
            listed = "".join(
                f'<property name="{_attribute(key)}" value="{_attribute(value)}"/>' for key, value in properties.items()
            )
            self._write(f"<properties>{listed}</properties>\n")

    def case(self, case: Case, excuse: str = "") -> None:
        """One case of the suite. With an excuse it is told as skipped, whatever it was."""
        for totals in (self._all, self._suite):
            totals.tests += 1
            totals.seconds += case.seconds
        cut = case.name.partition("(")[0].rfind(".")
        head = (
            f'<testcase classname="{_attribute(case.name[: max(cut, 0)])}" name="{_attribute(case.name[cut + 1 :])}" '
            f'time="{case.seconds:.3f}"'
        )
        if excuse or case.outcome is CaseOutcome.SKIPPED:
            self._count("skipped")
            message = f"{excuse}: {first_line(case)}" if excuse else case.message
            self._write(f'{head}><skipped message="{_attribute(message)}"/></testcase>\n')
        elif case.outcome is CaseOutcome.PASSED:
            self._write(f"{head}/>\n")
        else:
            self._count("failures")
            told = f'<failure type="{case.outcome}" message="{_attribute(first_line(case))}">{_text(case.message)}'
            self._write(f"{head}>{told}</failure></testcase>\n")

    def end(self) -> None:
        """The suite ends."""
        self._write("</testsuite>\n")
        self._fill_in(self._suite)

    def close(self) -> None:
        """All suites are written."""
        self._write("</testsuites>\n")
        self._fill_in(self._all)

    def _opened(self, element: str, name: str) -> _Totals:
        self._write(f'<{element} name="{_attribute(name)}" ')
        totals = _Totals(self._file.tell())
        self._write(" " * _ROOM + ">\n")
        return totals

    def _count(self, what: str) -> None:
        for totals in (self._all, self._suite):
            setattr(totals, what, getattr(totals, what) + 1)

    def _fill_in(self, totals: _Totals) -> None:
        here = self._file.tell()
        self._file.seek(totals.at)
        self._write(totals.text())
        self._file.seek(here)

    def _write(self, text: str) -> None:
        self._file.write(text.encode())


def _attribute(text: str) -> str:
    text = _FORBIDDEN.sub("\ufffd", text)
    return text if _PLAIN.fullmatch(text) else text.translate(_IN_ATTRIBUTE)


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text).translate(_IN_TEXT)
